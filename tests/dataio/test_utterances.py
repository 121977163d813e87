"""Crops, padding and micro-batches."""

from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import (
    given,
    settings,
    strategies as st,
)

from ser_brain.dataio.batches import seeded
from ser_brain.dataio.utterances import (
    CachedReader,
    micro_batches,
    padded,
    random_crop,
    utterance_dataset,
)
from ser_brain.errors import InputError


def _utterance(samples, **more):
    signal = torch.arange(float(samples))
    return SimpleNamespace(id=str(samples), signal=signal, **more)


@given(
    length=st.integers(1, 5000),
    samples=st.integers(1, 3000),
    grid=st.sampled_from([1, 320]),
    seed=st.integers(0, 999),
)
@settings(deadline=None)
def test_a_crop_is_a_stretch_on_the_grid(length, samples, grid, seed):
    whole = _utterance(length)
    crop = random_crop(whole, samples, seeded(seed), grid)
    assert len(crop.signal) == min(length, samples)
    assert crop.start % grid == 0
    expected = whole.signal[crop.start : crop.start + samples]
    assert torch.equal(crop.signal, expected)
    assert len(whole.signal) == length
    assert not hasattr(whole, "start")
    assert random_crop(whole, samples, seeded(seed), grid).start == crop.start


def test_every_start_is_drawn():
    generator = seeded(0)
    whole = _utterance(1300)
    found = {random_crop(whole, 400, generator, 320).start for _ in range(60)}
    assert found == {0, 320, 640}


def test_padding_is_neutral():
    one = _utterance(
        6,
        label=2,
        duration=1.5,
        time_mask=torch.tensor([True, True]),
        targets=torch.tensor([[1, 2], [3, 4]]),
        features=torch.ones(2, 3),
    )
    two = _utterance(
        3,
        label=0,
        duration=0.5,
        time_mask=torch.tensor([True]),
        targets=torch.tensor([[5, 6]]),
        features=torch.ones(1, 3),
    )
    batch = padded([two, one], "cpu")
    assert batch.id == ["3", "6"]
    assert batch.wavs.tolist() == [[0, 1, 2, 0, 0, 0], [0, 1, 2, 3, 4, 5]]
    assert batch.wav_lens.tolist() == [0.5, 1.0]
    assert batch.samples.tolist() == [3, 6]
    assert batch.label.tolist() == [0, 2]
    assert batch.time_mask.tolist() == [[True, False], [True, True]]
    assert batch.targets[0].tolist() == [[5, 6], [-100, -100]]
    assert batch.features[0].tolist() == [[1] * 3, [0] * 3]
    assert batch.duration == [0.5, 1.5]


@given(st.lists(st.integers(1, 400000), min_size=1, max_size=8))
@settings(deadline=None, max_examples=50)
def test_relative_lengths_give_the_samples_back(lengths):
    ones = [SimpleNamespace(signal=torch.zeros(n)) for n in lengths]
    batch = padded(ones, "cpu")
    samples = (batch.wav_lens * batch.wavs.shape[1]).round().long()
    assert samples.tolist() == batch.samples.tolist() == lengths


@given(
    st.lists(st.integers(1, 3200), min_size=1, max_size=20),
    st.floats(0.01, 1.0),
)
@settings(deadline=None)
def test_micro_batches_are_a_partition_within_the_limit(lengths, seconds):
    clips = [_utterance(length) for length in lengths]
    parts = micro_batches(clips, seconds)
    found = sorted(id(one) for part in parts for one in part)
    assert found == sorted(map(id, clips))
    for part in parts:
        longest = max(len(one.signal) for one in part) / 16000
        assert part
        assert len(part) == 1 or longest * len(part) <= seconds


def test_without_a_limit_the_update_is_one_part():
    clips = [_utterance(3), _utterance(5)]
    assert micro_batches(clips, None) == [clips]
    with pytest.raises(InputError, match="micro_batch_seconds is 0"):
        micro_batches(clips, 0)


def _manifest(folder):
    manifest = {}
    for number, emotion in enumerate(["sad", "angry"]):
        samples = np.full(8000 * (number + 1), 0.1)
        soundfile.write(folder / f"{number}.wav", samples, 16000)
        manifest[f"clip{number}"] = {
            "wav": f"{{data_root}}/{number}.wav",
            "emotion": emotion,
            "speaker": "one",
            "session": "1",
            "duration": 0.5 * (number + 1),
        }
    return manifest


def test_a_dataset_decodes_what_is_asked_for_in_its_order(tmp_path):
    manifest = _manifest(tmp_path)
    dataset = utterance_dataset(
        manifest, ["clip1", "clip0"], tmp_path, ["angry", "sad"]
    )
    items = [dataset[index] for index in range(2)]
    assert [item["id"] for item in items] == ["clip1", "clip0"]
    assert [item["label"] for item in items] == [0, 1]
    assert [len(item["signal"]) for item in items] == [16000, 8000]
    assert items[0]["speaker"] == "one"
    assert manifest["clip0"]["wav"] == "{data_root}/0.wav"


def test_the_reader_keeps_what_there_is_room_for(tmp_path):
    _manifest(tmp_path)
    reader = CachedReader(hours=10000 / 16000 / 3600)
    first = reader(tmp_path / "0.wav")
    second = reader(tmp_path / "1.wav")
    for path in tmp_path.iterdir():
        path.unlink()
    assert reader(tmp_path / "0.wav") is first
    assert len(second) == 16000
    with pytest.raises(InputError, match="1.wav"):
        reader(tmp_path / "1.wav")
