"""An hour of audio: in windows, in bounded memory."""

import json
import subprocess
import sys

import numpy as np
import pytest
import soundfile
import torch

from ser_brain.inference import EmotionRecognizer, recognizer, save_classifier
from ser_brain.lobes.wav2vec2 import Wav2Vec2
from ser_brain.nnet.heads import UtteranceHead


@pytest.fixture(scope="module")
def parts(tiny_wav2vec2):
    torch.manual_seed(0)
    return Wav2Vec2(tiny_wav2vec2), UtteranceHead(32, 2), ["calm", "sad"]


def test_posteriors_are_the_mean_over_windows(parts, monkeypatch):
    monkeypatch.setattr(recognizer, "WINDOW", 8000)
    emotion = EmotionRecognizer(*parts)
    generator = torch.Generator().manual_seed(0)
    wav = torch.randn(20001, generator=generator)
    cuts = [wav[:6667], wav[6667:13334], wav[13334:]]
    rows = [emotion(cut)[0][0] * len(cut) / len(wav) for cut in cuts]
    torch.testing.assert_close(emotion(wav)[0][0], sum(rows))
    # Beside a short one, which stays whole.
    both = torch.nn.utils.rnn.pad_sequence([wav, wav[:4000]], True)
    found = emotion(both, torch.tensor([1.0, 4000 / 20001]))[0]
    torch.testing.assert_close(found[0], sum(rows))
    torch.testing.assert_close(found[1], emotion(wav[:4000])[0][0])


def test_what_no_corpus_exceeds_stays_whole(parts, monkeypatch):
    def no_windows(*_):
        raise AssertionError("was cut")

    monkeypatch.setattr(recognizer, "by_windows", no_windows)
    emotion = EmotionRecognizer(*parts)
    assert emotion(torch.randn(34 * 16000))[0].isfinite().all()


def peak_megabytes(folder, path):
    """What a command of its own needs at most."""
    code = (
        "import resource, sys\n"
        "from ser_brain.cli import main\n"
        f"code = main(['predict', {str(folder)!r}, {str(path)!r}, '--json'])\n"
        "peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "print(peak // 1024, file=sys.stderr)\n"
        "sys.exit(code)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    (record,) = json.loads(ended.stdout)
    return int(ended.stderr.split()[-1]), record


@pytest.mark.skipif(sys.platform == "darwin", reason="ru_maxrss is in bytes")
def test_memory_does_not_grow_with_the_length(parts, tmp_path):
    (tmp_path / "hyperparams.yaml").write_text("seed: 1\n")
    save_classifier(tmp_path / "save" / "classifier", *parts)
    found = {}
    for minutes in (1.5, 6):
        path = tmp_path / f"{minutes} min.wav"
        draws = np.random.default_rng(0)
        noise = draws.integers(-9999, 9999, int(minutes * 960_000), np.int16)
        soundfile.write(path, noise, 16000)
        found[minutes], record = peak_megabytes(tmp_path, path)
        assert record["duration"] == minutes * 60
    # The audio itself is 17 MB, some copies 54 MB; without windows it is 215.
    assert found[6] - found[1.5] < 120, found
