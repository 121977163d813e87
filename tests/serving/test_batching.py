"""One thread, many askers: each gets the answer that it would get alone."""

import random
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest
import torch

from ser_brain.errors import InputError
from ser_brain.inference import EmotionRecognizer
from ser_brain.serving.batching import Batcher


class Gate(EmotionRecognizer):
    """A recognizer that computes no batch before it is let, and keeps count."""

    def __init__(self, other):
        super().__init__(other.encoder, other.head, other.classes)
        self.open = Event()
        self.batches = []

    def classify_batch(self, wavs, wav_lens=None):
        assert self.open.wait(300)
        self.batches.append(len(wavs))
        return super().classify_batch(wavs, wav_lens)


@pytest.fixture
def gate(recognizer):
    return Gate(recognizer)


@pytest.fixture(scope="module")
def signals():
    """Waveforms of many lengths, some alike."""
    generator = torch.Generator().manual_seed(0)
    lengths = [400, 8000, 8100, 24000, 16000, 15900, 15800, 9000, 30000, 401]
    return [0.1 * torch.randn(n, generator=generator) for n in lengths]


@pytest.fixture(scope="module")
def expected(recognizer, signals):
    """The posteriors of each by itself."""
    found = torch.cat([recognizer.classify_batch(s)[0] for s in signals])
    # A mix-up would show.
    assert found.std(0).max() > 0.01
    return found


def posteriors(records):
    return torch.tensor([[*r["posteriors"].values()] for r in records])


@pytest.mark.parametrize("batch_seconds", [None, 0.001, 2])
def test_answers_are_those_of_each_alone(
    recognizer, signals, expected, batch_seconds
):
    """Asked by eight threads at once, in any order, each three times."""
    batcher = Batcher(recognizer, batch_seconds)
    places = 3 * [*range(len(signals))]
    random.Random(0).shuffle(places)
    with ThreadPoolExecutor(8) as pool:
        futures = [*pool.map(lambda p: batcher.submit(signals[p]), places)]
    records = [future.result(300) for future in futures]
    batcher.close()
    rows = expected[places]
    torch.testing.assert_close(posteriors(records), rows, atol=1e-5, rtol=0)
    for record, place, row in zip(records, places, rows):
        assert record["label"] == recognizer.classes[int(row.argmax())]
        assert record["score"] == record["posteriors"][record["label"]]
        assert record["duration"] == len(signals[place]) / 16000


def test_what_waits_is_batched_and_counted(gate, signals, expected):
    """The first alone; then all that came meanwhile, like with like."""
    measured = []
    batcher = Batcher(gate, 60, lambda *found: measured.append(found))
    futures = [batcher.submit(signal) for signal in signals]
    gate.open.set()
    records = [future.result(300) for future in futures]
    batcher.close()
    torch.testing.assert_close(posteriors(records), expected, atol=1e-5, rtol=0)
    # Of like length: 16000, 15900, 15800; 9000; 8100, 8000; 401, 400; ...
    assert sorted(gate.batches)[-1] == 3 and sum(gate.batches) == 10
    assert sum(clips for clips, _, _ in measured) == 10
    audio = sum(seconds for _, seconds, _ in measured)
    assert audio == pytest.approx(sum(map(len, signals)) / 16000)


def test_the_budget_bounds_what_is_taken(gate):
    """Six seconds wait; no batch has more than two of them."""
    batcher = Batcher(gate, 2)
    futures = [batcher.submit(torch.randn(16000)) for _ in range(6)]
    gate.open.set()
    assert all(future.result(300) for future in futures)
    batcher.close()
    assert max(gate.batches) == 2


def test_a_bad_clip_fails_alone(gate, signals, expected):
    """Not finite in a batch of three: the other two are answered."""
    bad = torch.full((16000,), float("nan"))
    batcher = Batcher(gate)
    batcher.submit(signals[0])
    good = [batcher.submit(signals[4])]
    wrong = batcher.submit(bad)
    good.append(batcher.submit(signals[5]))
    gate.open.set()
    with pytest.raises(InputError, match="not finite"):
        wrong.result(300)
    records = [future.result(300) for future in good]
    batcher.close()
    torch.testing.assert_close(
        posteriors(records), expected[[4, 5]], atol=1e-5, rtol=0
    )


def test_closing_answers_what_waits(gate, signals):
    """Nothing is lost at the end, and nothing is taken after it."""
    batcher = Batcher(gate)
    futures = [batcher.submit(signal) for signal in signals]
    gate.open.set()
    batcher.close()
    assert all(future.done() for future in futures)
    assert all(future.result()["label"] for future in futures)
    with pytest.raises(RuntimeError, match="closed"):
        batcher.submit(signals[0])


def test_whoever_gives_up_costs_nothing(gate, signals):
    """A cancelled job is not computed, and the thread lives on."""
    batcher = Batcher(gate)
    first = batcher.submit(signals[0])
    cancelled = [batcher.submit(signal) for signal in signals[1:4]]
    last = batcher.submit(signals[4])
    assert any([future.cancel() for future in cancelled])
    gate.open.set()
    assert first.result(300) and last.result(300)
    batcher.close()
    left = sum(not future.cancelled() for future in cancelled)
    assert sum(gate.batches) == 2 + left


def test_an_option_out_of_range(recognizer):
    with pytest.raises(InputError, match="batch_seconds is 0"):
        Batcher(recognizer, 0)
