"""Every way in which an audio file can be bad is told by name."""

import os
import struct

import numpy as np
import pytest
import soundfile

from ser_brain.corpora.audio import check_audio_files
from ser_brain.errors import InputError

RATE = 16000


def samples(seconds=1.0):
    return np.random.default_rng(0).normal(0, 0.1, int(seconds * RATE))


def check(*paths):
    return check_audio_files(list(paths), workers=2, progress=False)


@pytest.fixture
def good(tmp_path):
    path = tmp_path / "good.wav"
    soundfile.write(path, samples(), RATE)
    return path


def patched(data, at, number, form):
    """The file's bytes with one header field overwritten."""
    field = struct.pack(form, number)
    return data[:at] + field + data[at + len(field) :]


DAMAGE = {
    "is empty": lambda data: b"",
    "is not a readable audio": lambda data: os.urandom(4000),
    "is cut short": lambda data: data[: len(data) // 2],
    "struct incomplete": lambda data: patched(data, 24, 0, "<I"),
    "Channel count is zero": lambda data: patched(data, 22, 0, "<H"),
}


@pytest.mark.parametrize("said", DAMAGE)
def test_a_damaged_file_is_named(good, said):
    bad = good.with_name("bad.wav")
    bad.write_bytes(DAMAGE[said](good.read_bytes()))
    with pytest.raises(InputError, match=f"bad.wav .*{said}"):
        check(good, bad)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_no_numbers(tmp_path, value):
    bad = tmp_path / "bad.wav"
    wave = samples()
    wave[-1] = value
    soundfile.write(bad, wave, RATE, subtype="FLOAT")
    with pytest.raises(InputError, match="bad.wav holds samples that are"):
        check(bad)


def test_a_flac_with_a_hole_is_told(tmp_path):
    path = tmp_path / "hole.flac"
    soundfile.write(path, samples(), RATE)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 200] = bytes(200)
    path.write_bytes(data)
    with pytest.raises(InputError, match="hole.flac is not a readable audio"):
        check(path)


@pytest.mark.parametrize("n, fits", [(400, True), (399, False), (0, False)])
def test_one_frame_is_the_shortest_clip(tmp_path, n, fits):
    path = tmp_path / "short.wav"
    soundfile.write(path, samples()[:n], RATE)
    if fits:
        assert check(path) == [0.025]
    else:
        with pytest.raises(InputError, match="short.wav lasts .* ms, less"):
            check(path)


def test_the_missing_and_the_number_of_bad_files_are_told(good, tmp_path):
    missing = [tmp_path / f"{n}.wav" for n in "abc"]
    with pytest.raises(InputError) as error:
        check(good, *missing)
    assert f"{missing[0]} does not exist" in str(error.value)
    assert "2 more files are bad" in str(error.value)


def test_a_rate_that_no_recording_has(tmp_path):
    path = tmp_path / "slow.wav"
    soundfile.write(path, np.zeros(1000), 10)
    with pytest.raises(InputError, match="slow.wav has 1 channels at 10 Hz"):
        check(path)


def test_any_rate_and_channel_count_is_good(tmp_path):
    path = tmp_path / "stereo.wav"
    soundfile.write(path, np.zeros((44100, 2)), 44100)
    assert check(path) == [1.0]


def test_a_size_left_open_by_a_pipe_is_no_damage(good):
    data = good.read_bytes()
    size_at = data.index(b"data") + 4
    good.write_bytes(patched(data, size_at, 0xFFFFFFFF, "<I"))
    assert check(good) == [1.0]
