"""Many files at once give what each gives alone."""

import random

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import (
    given,
    settings,
    strategies as st,
)

from ser_brain.dataio.audio import read_audio
from ser_brain.errors import InputError
from ser_brain.inference import EmotionRecognizer
from ser_brain.inference.reading import (
    Faults,
    batches_by_length,
    check_options,
    header_samples,
    padded_batches,
)
from ser_brain.lobes.wav2vec2 import Wav2Vec2
from ser_brain.nnet.heads import UtteranceHead

CLASSES = ["angry", "happy", "sad"]
# Seconds, rate, channels, ending: in no order, some of like length.
CLIPS = [
    (1.61, 16000, 1, "wav"),
    (1.70, 44100, 2, "flac"),
    (0.025, 16000, 1, "wav"),
    (0.84, 8000, 1, "ogg"),
    (1.66, 22050, 3, "wav"),
    (0.90, 48000, 1, "flac"),
    (0.86, 11025, 1, "mp3"),
]


@pytest.fixture(scope="module")
def recognizer(tiny_wav2vec2):
    """A small random classifier whose answers differ from clip to clip."""
    torch.manual_seed(0)
    head = UtteranceHead(32, len(CLASSES))
    with torch.no_grad():
        for weights in head.parameters():
            weights.mul_(5)
    return EmotionRecognizer(Wav2Vec2(tiny_wav2vec2), head, CLASSES)


def write(path, seconds, rate=16000, channels=1, seed=0):
    """Noise with a moving level, as a file."""
    count = round(seconds * rate)
    level = np.sin(np.linspace(0, 3 + seed, count)) ** 2
    draws = np.random.default_rng(seed).standard_normal((count, channels))
    soundfile.write(path, 0.2 * level[:, None] * draws, rate)
    return path


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """Seven files of unlike length, rate, channels and format."""
    folder = tmp_path_factory.mktemp("clips")
    return [
        write(folder / f"{n}.{ending}", seconds, rate, channels, seed=n)
        for n, (seconds, rate, channels, ending) in enumerate(CLIPS)
    ]


@pytest.fixture(scope="module")
def alone(recognizer, clips):
    """The posteriors of each file by itself, shape (files, classes)."""
    answers = [recognizer.classify_file(path)[0] for path in clips]
    # A mix-up of files would show.
    assert torch.cat(answers).std(0).max() > 0.01
    return torch.cat(answers)


@pytest.mark.parametrize(
    "batch_seconds, num_workers", [(None, None), (0.001, 0), (3, 2)]
)
def test_answers_are_those_of_each_file_alone(
    recognizer, clips, alone, batch_seconds, num_workers
):
    """In the order given, whatever the batches and who decodes."""
    records = recognizer.classify_files(clips, batch_seconds, num_workers)
    assert [record["file"] for record in records] == [*map(str, clips)]
    found = torch.tensor([[*r["posteriors"].values()] for r in records])
    torch.testing.assert_close(found, alone, atol=1e-5, rtol=0)
    for record, row in zip(records, alone):
        assert record["label"] == CLASSES[int(row.argmax())]
        assert record["score"] == record["posteriors"][record["label"]]
        samples = len(read_audio(record["file"]))
        assert record["duration"] == samples / 16000


def test_order_and_repetition_of_files(recognizer, clips):
    """A file named twice is answered twice; no file, no answer."""
    first = recognizer.classify_files(clips)
    places = [*range(len(clips)), 3, 3]
    random.Random(0).shuffle(places)
    again = recognizer.classify_files([str(clips[place]) for place in places])
    assert [r["file"] for r in again] == [first[p]["file"] for p in places]
    for record, place in zip(again, places):
        assert record["score"] == pytest.approx(first[place]["score"], abs=1e-5)
    assert recognizer.classify_files([]) == []


@pytest.mark.parametrize("place", range(len(CLIPS)))
def test_the_header_tells_what_decoding_gives(clips, place):
    assert header_samples(clips[place]) == len(read_audio(clips[place]))


@settings(deadline=None)
@given(
    samples=st.lists(st.integers(400, 500_000)),
    seconds=st.floats(0.01, 100),
)
def test_batches_hold_each_file_once_and_keep_the_budget(samples, seconds):
    """Only a file that is longer by itself goes beyond it; padding is rare."""
    batches = batches_by_length(samples, seconds)
    assert sorted(sum(batches, [])) == [*range(len(samples))]
    for batch in batches:
        counts = [samples[place] for place in batch]
        longest = max(counts)
        assert len(batch) == 1 or longest * len(batch) <= seconds * 16000
        assert min(counts) >= 0.9 * longest
    longest_first = [samples[place] for place in sum(batches, [])]
    assert longest_first == sorted(samples, reverse=True)


def test_a_batch_ends_only_where_it_must():
    """At the budget, or at a file of another length."""
    second = 16000
    samples = [second * 10] * 7 + [second * 5] * 2
    batches = batches_by_length(samples, seconds=30)
    assert [len(batch) for batch in batches] == [3, 3, 1, 2]


def test_the_clips_are_padded(clips):
    """What the other tests compare is not a batch a file."""
    batches = batches_by_length([*map(header_samples, clips)], 30)
    assert [sorted(batch) for batch in batches] == [[0, 1, 4], [3, 5, 6], [2]]


def test_files_are_decoded_when_their_batch_is_asked_for(clips):
    """A folder of any size: what comes later is not in memory yet."""
    gone = [*clips, clips[0].parent / "gone.wav"]
    places = [[0, 2], [len(clips)]]
    batches = padded_batches(gone, places, 0, Faults(skips=False))
    first = next(batches)
    assert first.wavs.shape == (2, len(read_audio(clips[0])))
    assert first.place.tolist() == [0, 2]
    assert first.samples.tolist() == [len(first.wavs[0]), 400]
    with pytest.raises(InputError, match="gone.wav cannot be read"):
        next(batches)


def damaged_flac(path):
    """A whole header, and nothing behind it that decodes."""
    write(path, 0.5)
    content = path.read_bytes()
    path.write_bytes(content[:200] + b"\xff" * (len(content) - 200))


def bad_files(folder):
    """Each kind of bad file, and what is said about it."""
    (folder / "text.wav").write_text("no audio")
    write(folder / "short.wav", 0.02)
    samples = np.full(8000, 0.1)
    samples[100] = np.nan
    soundfile.write(folder / "nan.wav", samples, 16000, subtype="FLOAT")
    damaged_flac(folder / "damaged.flac")
    return {
        "none.wav": "cannot be read",
        "text.wav": "cannot be read",
        "short.wav": "lasts 20 ms",
        "nan.wav": "holds NaN",
        "damaged.flac": "cannot be read",
    }


@pytest.mark.parametrize("num_workers", [0, 1])
def test_one_bad_file_is_named_in_one_line(
    recognizer, clips, tmp_path, num_workers
):
    """As alone, also where a worker found it."""
    for name, reason in bad_files(tmp_path).items():
        path = tmp_path / name
        with pytest.raises(InputError) as single:
            recognizer.classify_file(path)
        with pytest.raises(InputError) as among:
            recognizer.classify_files([clips[0], path], None, num_workers)
        assert str(among.value) == str(single.value)
        assert f"{name} {reason}" in str(among.value)
        assert "\n" not in str(among.value)


@pytest.mark.parametrize("num_workers", [0, 1])
@pytest.mark.parametrize("batch_seconds", [0.001, 100])
def test_bad_files_can_be_skipped(
    recognizer, clips, alone, tmp_path, batch_seconds, num_workers
):
    """The others are answered as ever; each bad one says why."""
    bad = bad_files(tmp_path)
    mixed = [clips[0], *(tmp_path / name for name in bad), *clips[1:]]
    records = recognizer.classify_files(mixed, batch_seconds, num_workers, True)
    assert [record["file"] for record in records] == [*map(str, mixed)]
    good = [record for record in records if "error" not in record]
    found = torch.tensor([[*r["posteriors"].values()] for r in good])
    torch.testing.assert_close(found, alone, atol=1e-5, rtol=0)
    told = {r["file"]: r["error"] for r in records if "error" in r}
    for name, reason in bad.items():
        assert f"{name} {reason}" in told[str(tmp_path / name)]
    only = recognizer.classify_files([tmp_path / "text.wav"], skip_bad=True)
    assert [*only[0]] == ["file", "error"]


def test_files_without_sound_are_told(recognizer, clips, tmp_path, caplog):
    """Silence, and two channels that cancel each other out."""
    silent, antiphase = tmp_path / "silent.wav", tmp_path / "antiphase.wav"
    soundfile.write(silent, np.zeros(8000), 16000)
    tone = 0.5 * np.sin(np.arange(8000) / 9)
    soundfile.write(antiphase, np.stack([tone, -tone], 1), 16000)
    recognizer.classify_files([clips[0], silent, antiphase])
    assert len(caplog.messages) == 2
    recognizer.classify_file(silent)
    for message in caplog.messages:
        assert "is silent, or its channels cancel each other out" in message


def test_a_short_file_is_refused_before_anything_is_computed(
    recognizer, clips, tmp_path
):
    """Not after an hour, though the shortest files come last."""
    begun = []
    hook = recognizer.encoder.register_forward_pre_hook(
        lambda *_: begun.append(True)
    )
    short = write(tmp_path / "short.wav", 0.01)
    with pytest.raises(InputError, match="short.wav lasts 10 ms"):
        recognizer.classify_files([*clips, short])
    hook.remove()
    assert begun == []


def test_a_batch_beyond_the_memory_is_one_sentence(recognizer, clips):
    """It names the longest file and the mend."""

    def fail(module, inputs):
        raise torch.OutOfMemoryError("CUDA out of memory (injected)")

    hook = recognizer.encoder.register_forward_pre_hook(fail)
    with pytest.raises(
        InputError, match=r"1.flac \(1.7 s\), in a batch of 3, "
    ):
        recognizer.classify_files(clips)
    hook.remove()


@pytest.mark.parametrize(
    "options, sentence",
    [
        ({"batch_seconds": 0}, "batch_seconds is 0"),
        ({"batch_seconds": float("nan")}, "batch_seconds is nan"),
        ({"num_workers": -1}, "num_workers is -1"),
    ],
)
def test_options_out_of_range(recognizer, clips, options, sentence):
    with pytest.raises(InputError, match=sentence):
        recognizer.classify_files(clips, **options)


def test_defaults_suit_the_device():
    """Larger batches and decoding ahead where cores wait for a GPU."""
    assert check_options(None, None, torch.device("cpu")) == (15.0, 0)
    seconds, workers = check_options(None, None, torch.device("cuda"))
    assert seconds > 30 and workers > 0
    assert check_options(7, 3, torch.device("cuda")) == (7, 3)
