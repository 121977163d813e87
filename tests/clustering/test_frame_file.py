"""The frames' file: what was written comes back, also after a kill."""

import shutil
from types import SimpleNamespace

import numpy as np
import pytest

from ser_brain.clustering import FrameFile
from ser_brain.errors import InputError


def utterances(*lengths):
    generator = np.random.default_rng(0)
    return [generator.normal(size=(n, 3)).astype("f4") for n in lengths]


def test_frames_come_back_one_after_another(tmp_path):
    parts = utterances(4, 0, 7)
    file = FrameFile(tmp_path / "new", 3)
    file.append(parts[:1])
    file.append(parts[1:])
    assert file.counts == [4, 0, 7]
    frames = file.open()
    assert isinstance(frames, np.memmap) and frames.dtype == np.float32
    np.testing.assert_array_equal(frames, np.concatenate(parts))


@pytest.mark.parametrize("cut", [1, 12, 13, 40])
def test_what_a_killed_process_left_is_taken_up(tmp_path, cut):
    parts = utterances(4, 2, 7)

    def killed():
        yield parts[0]
        yield parts[1]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        FrameFile(tmp_path, 3).append(killed())
    # Part of the next utterance, and of its line.
    with (tmp_path / "frames.f32").open("ab") as stream:
        stream.write(parts[2].tobytes()[:cut])
    with (tmp_path / "frames.txt").open("a") as stream:
        stream.write("7")
    file = FrameFile(tmp_path, 3)
    assert file.counts == [4, 2]
    file.append(parts[2:])
    np.testing.assert_array_equal(file.open(), np.concatenate(parts))


def test_frames_that_are_missing_are_written_again(tmp_path):
    parts = utterances(4, 2)
    FrameFile(tmp_path, 3).append(parts)
    path = tmp_path / "frames.f32"
    path.write_bytes(path.read_bytes()[:-1])
    file = FrameFile(tmp_path, 3)
    assert file.counts == [4]
    file.append(parts[1:])
    np.testing.assert_array_equal(file.open(), np.concatenate(parts))


@pytest.mark.parametrize(
    "name, content, counts",
    [
        # Blocks of a file that a power cut kept from the disk are zeros.
        ("frames.f32", bytes(13 * 12), []),
        ("frames.f32", b"", []),
        ("frames.txt", bytes(30), []),
        ("frames.txt", b"4\n2\n", []),
        ("frames.txt", b"999999999999999999999999 0\n", []),
    ],
)
def test_a_torn_file_is_written_again(tmp_path, name, content, counts):
    parts = utterances(4, 2, 7)
    FrameFile(tmp_path, 3).append(parts)
    (tmp_path / name).write_bytes(content)
    file = FrameFile(tmp_path, 3)
    assert file.counts == counts
    file.append(parts[len(counts) :])
    np.testing.assert_array_equal(file.open(), np.concatenate(parts))


def test_a_changed_frame_costs_what_follows_it(tmp_path):
    parts = utterances(4, 2, 7)
    FrameFile(tmp_path, 3).append(parts)
    path = tmp_path / "frames.f32"
    content = bytearray(path.read_bytes())
    content[5 * 12] ^= 1
    path.write_bytes(content)
    assert FrameFile(tmp_path, 3).counts == [4]


def test_a_file_of_another_length_is_refused(tmp_path):
    file = FrameFile(tmp_path, 3)
    file.append(utterances(4))
    file.path.write_bytes(b"1234")
    with pytest.raises(InputError, match="has 4 bytes instead of 48"):
        file.open()


def test_the_disk_need_is_told_before_and_refused_if_too_large(
    tmp_path, monkeypatch, caplog
):
    caplog.set_level("INFO")
    file = FrameFile(tmp_path, 3)
    file.append(utterances(50))
    monkeypatch.setattr(
        shutil, "disk_usage", lambda _: SimpleNamespace(free=12_000_000)
    )
    file.announce(1_000_000)
    assert "1000000 frames take 12 MB in" in caplog.text
    with pytest.raises(InputError, match="needs 13 MB more, but 12 MB"):
        file.announce(1_100_000)


def test_a_sample_takes_its_share_of_every_clip(tmp_path):
    parts = utterances(10, 0, 3, 25)
    file = FrameFile(tmp_path, 3)
    file.append(parts)
    drawn = file.sample(0.2, seed=1)
    # Two of ten, none of none, at least one of three, five of 25.
    sizes = [2, 0, 1, 5]
    assert len(drawn) == sum(sizes)
    begins = np.cumsum([0, *sizes])
    for part, begin, end in zip(parts, begins, begins[1:]):
        rows = [
            np.flatnonzero((part == row).all(1)) for row in drawn[begin:end]
        ]
        places = np.concatenate([np.zeros(0, int), *rows])
        assert len(places) == end - begin and (np.diff(places) > 0).all()
    np.testing.assert_array_equal(file.sample(0.2, seed=1), drawn)
    assert (file.sample(0.2, seed=2) != drawn).any()
    assert isinstance(file.sample(1.0, seed=1), np.memmap)


@pytest.mark.parametrize("share", [0, -0.1, 1.5, float("nan")])
def test_a_share_out_of_range_is_refused(tmp_path, share):
    file = FrameFile(tmp_path, 3)
    file.append(utterances(4))
    with pytest.raises(InputError, match="--kmeans_share is"):
        file.sample(share, seed=1)
