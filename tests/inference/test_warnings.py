"""Too quiet, silent or unsure: the rules, and where they are told."""

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import (
    given,
    settings,
    strategies as st,
)

from ser_brain.assets import folder
from ser_brain.dataio.audio import read_audio
from ser_brain.inference import EmotionRecognizer
from ser_brain.inference.warning_rules import (
    QUIET,
    answer_warnings,
    sentences,
    sound_warnings,
    speech_level,
)
from ser_brain.lobes.wav2vec2 import Wav2Vec2
from ser_brain.nnet.heads import UtteranceHead

CLASSES = ["angry", "happy", "sad"]


@pytest.fixture(scope="module")
def speech():
    """A clip of the mini corpus."""
    return read_audio(f"{folder('mini_corpus')}/audio/01_angry_09.flac")


def independent_level(wav):
    """The level as numpy computes it, frame by frame."""
    wav = wav.numpy().astype(np.float64)
    powers = [
        np.mean(wav[first : first + 1600] ** 2)
        for first in range(0, len(wav) - 1599, 1600)
    ]
    active = [power for power in powers if power >= max(powers) / 100]
    return 10 * np.log10(np.mean(active))


def test_the_level_is_that_of_the_active_frames(speech):
    """Its gain in dB is added to it, and silence around it changes nothing."""
    level = speech_level(speech)
    assert level == pytest.approx(independent_level(speech), abs=1e-6)
    assert -45 < level < -15
    assert speech_level(speech * 10**-1.5) == pytest.approx(level - 30)
    pause = torch.zeros(10 * 16000)
    around = torch.cat([pause, speech, pause])
    assert speech_level(around) == pytest.approx(level, abs=0.5)


def test_quiet_begins_at_its_threshold(speech):
    at_zero = speech * 10 ** (-speech_level(speech) / 20)
    for level, expected in [
        (QUIET - 0.1, ["quiet"]),
        (QUIET + 0.1, []),
        (-140, ["silent"]),
    ]:
        assert sound_warnings(at_zero * 10 ** (level / 20)) == expected


@pytest.mark.parametrize("samples", [1, 400, 1600, 1601])
def test_the_shortest_waveforms_have_a_level(samples):
    """A constant has its own RMS; digital silence has none."""
    assert speech_level(torch.full((samples,), 0.1)) == pytest.approx(-20)
    assert speech_level(torch.zeros(samples)) == -np.inf
    assert sound_warnings(torch.zeros(samples)) == ["silent"]


@settings(deadline=None)
@given(
    st.lists(st.floats(0.01, 1), min_size=1, max_size=9),
    st.randoms(use_true_random=False),
)
def test_unsure_is_what_the_rule_says(weights, random):
    """Whatever the order of the classes."""
    shares = [weight / sum(weights) for weight in weights]
    best, second = sorted([*shares, 0.0], reverse=True)[:2]
    expected = best < 0.5 or best - second < 0.1
    assert answer_warnings(shares) == ["unsure"] * expected
    random.shuffle(shares)
    assert answer_warnings(shares) == ["unsure"] * expected


@pytest.fixture(scope="module")
def recognizer(tiny_wav2vec2):
    """A head without weights: each class has a third."""
    head = UtteranceHead(32, len(CLASSES))
    with torch.no_grad():
        for weights in head.parameters():
            weights.zero_()
    return EmotionRecognizer(Wav2Vec2(tiny_wav2vec2), head, CLASSES)


def test_records_have_them_in_a_batch(recognizer, speech, tmp_path, caplog):
    """Padding is not part of a clip's level; only the sound is logged."""
    gain = 10 ** ((QUIET - 5 - speech_level(speech)) / 20)
    clips = {"loud": speech, "low": gain * speech, "none": 0 * speech[:-900]}
    paths = [tmp_path / f"{name}.wav" for name in clips]
    for path, wav in zip(paths, clips.values()):
        soundfile.write(path, wav.numpy(), 16000, subtype="FLOAT")
    records = recognizer.classify_files(paths)
    found = [record["warnings"] for record in records]
    assert found == [["unsure"], ["quiet", "unsure"], ["silent", "unsure"]]
    assert len(caplog.messages) == 2
    quiet, unsure = sentences(records[1])
    assert quiet == caplog.messages[0]
    assert "low.wav is too quiet (its speech is below -50 dBFS)" in quiet
    assert (
        "low.wav has no clear label: angry has 33.3 %, happy 33.3 %" in unsure
    )
    caplog.clear()
    recognizer.classify_file(paths[1])
    assert caplog.messages == [quiet]


def test_a_sure_answer_has_none(recognizer, speech, tmp_path):
    soundfile.write(tmp_path / "a.wav", speech.numpy(), 16000)
    bias = [each for each in recognizer.head.parameters() if each.shape == (3,)]
    with torch.no_grad():
        bias[-1][1] = 3.0
    (record,) = recognizer.classify_files([tmp_path / "a.wav"])
    with torch.no_grad():
        bias[-1].zero_()
    assert record["label"] == "happy" and record["warnings"] == []
    assert sentences(record) == []
