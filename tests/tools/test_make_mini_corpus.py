"""The prosody changes, the plan, and the tool's restart."""

import importlib.util
import json
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from hypothesis import (
    given,
    settings,
    strategies as st,
)

from ser_brain.assets import folder
from ser_brain.errors import InputError

pytest.importorskip("pyworld", reason="pyworld comes with the extra dev")

AUDIO = Path(folder("mini_corpus")) / "audio"
TOOL = Path(__file__).parents[2] / "tools" / "make_mini_corpus.py"
SPEC = importlib.util.spec_from_file_location("make_mini_corpus", TOOL)
tool = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(tool)

SAME = {"pitch": 0, "pitch_range": 1, "rate": 1, "energy": 0, "tilt": 0}


@pytest.fixture(scope="module")
def speech():
    return sf.read(AUDIO / "09_neutral_01.flac")[0]


@pytest.fixture(scope="module")
def librispeech(tmp_path_factory):
    """LibriSpeech's layout, made of the mini corpus's own neutral voices."""
    root = tmp_path_factory.mktemp("libri")
    for number in range(1, 11):
        chapter = root / "test-other" / str(number) / "7"
        chapter.mkdir(parents=True)
        clip = AUDIO / f"{number:02d}_neutral_01.flac"
        shutil.copy(clip, chapter / f"{number}-7-0.flac")
    return root


@pytest.fixture(scope="module")
def voices(librispeech):
    return tool.find_speakers(librispeech)


def changed(speech, **change):
    return tool.change_prosody(speech, tool.Prosody(**{**SAME, **change}))


def log_f0(speech):
    f0, _ = tool.pitch_track(speech)
    return 12 * np.log2(f0[f0 > 0])


def spread(values):
    """Interquartile range, which single tracking errors do not move."""
    return np.subtract(*np.percentile(values, [75, 25]))


def slope(speech):
    """dB per octave of the long-term spectrum from 250 Hz to 4 kHz."""
    power = np.abs(np.fft.rfft(speech)) ** 2
    hertz = np.fft.rfftfreq(len(speech), 1 / tool.RATE)
    octaves = [(250 * 2**k, 500 * 2**k) for k in range(4)]
    levels = [
        10 * np.log10(power[(hertz >= low) & (hertz < high)].mean())
        for low, high in octaves
    ]
    return np.polyfit(range(4), levels, 1)[0]


def test_pitch_moves_by_semitones(speech):
    raised = changed(speech, pitch=4.0)
    difference = np.median(log_f0(raised)) - np.median(log_f0(speech))
    assert difference == pytest.approx(4, abs=0.5)


def test_pitch_range_narrows_and_widens(speech):
    narrow, wide = (changed(speech, pitch_range=r) for r in (0.3, 1.6))
    assert spread(log_f0(narrow)) < 0.6 * spread(log_f0(speech))
    assert spread(log_f0(wide)) > 1.2 * spread(log_f0(speech))


@pytest.mark.parametrize("rate", [0.75, 1.25])
def test_rate_changes_the_duration(speech, rate):
    duration = len(changed(speech, rate=rate)) / len(speech)
    assert duration == pytest.approx(1 / rate, rel=0.01)


def test_energy_is_decibels_whatever_else_changes(speech):
    louder = changed(speech, energy=5.0, tilt=3.0, pitch=2.0)
    gain = 20 * np.log10(tool.rms(louder) / tool.rms(speech))
    assert gain == pytest.approx(5, abs=0.1)


def test_tilt_is_decibels_an_octave(speech):
    tilted = slope(changed(speech, tilt=3.0)) - slope(changed(speech))
    assert tilted == pytest.approx(3, abs=0.4)


def test_unvoiced_frames_stay_unvoiced():
    f0 = np.array([0.0, 100.0, 0.0, 200.0])
    moved = tool.move_pitch(f0, tool.Prosody(**{**SAME, "pitch": 12}))
    np.testing.assert_allclose(moved, [0, 200, 0, 400])
    silent = np.zeros(5)
    assert tool.move_pitch(silent, tool.Prosody(**SAME)) is silent


@settings(deadline=None, max_examples=25)
@given(st.floats(0.2, 23), st.integers(0, 99))
def test_cuts_cover_the_utterance_in_short_excerpts(seconds, seed):
    noise = np.random.default_rng(seed).normal(size=int(seconds * tool.RATE))
    cuts = tool.cut_points(noise)
    lengths = np.diff(cuts) / tool.RATE
    assert (cuts[0], cuts[-1]) == (0, len(noise))
    assert (lengths > 0).all()
    if seconds > 2:
        assert lengths.min() >= 1.2 and lengths.max() <= 4.2


def test_the_plan_is_a_function_of_the_seed(voices, monkeypatch):
    monkeypatch.setattr(tool, "CLIPS", {"happy": 1})
    assert Counter(sex for sex, _ in voices.values()) == {"F": 5, "M": 5}
    plan = tool.make_plan(voices, seed=1)
    assert plan == tool.make_plan(voices, seed=1)
    assert plan != tool.make_plan(voices, seed=2)
    for clip in plan:
        for name, (low, high) in vars(tool.RANGES[clip["emotion"]]).items():
            assert low <= clip["prosody"][name] <= high


def test_a_killed_run_goes_on_and_ends_the_same(voices, tmp_path, monkeypatch):
    monkeypatch.setattr(tool, "CLIPS", {"sad": 1})
    plan = tool.make_plan(voices, seed=1)[:3]
    once, twice = tmp_path / "once", tmp_path / "twice"
    tool.render_all(plan, voices, once)
    # The killed run: two clips whole, the third one half written.
    tool.render_all(plan[:2], voices, twice)
    (twice / f"{plan[2]['id']}.part").write_bytes(b"half a cl")
    kept = twice / f"{plan[0]['id']}.flac"
    age = kept.stat().st_mtime_ns
    tool.render_all(plan, voices, twice)
    assert kept.stat().st_mtime_ns == age
    assert sorted(p.name for p in twice.iterdir()) == sorted(
        p.name for p in once.iterdir()
    )
    for path in once.iterdir():
        assert path.read_bytes() == (twice / path.name).read_bytes()

    out = tmp_path / "out"
    (out / "audio").mkdir(parents=True)
    (out / "audio" / "stale.flac").write_bytes(b"of an older corpus")
    tool.install(plan, 1, twice, out)
    index = json.loads((out / "index.json").read_text())
    assert index["clips"] == plan
    assert {p.stem for p in (out / "audio").iterdir()} == {
        clip["id"] for clip in plan
    }
    assert not twice.exists()


def test_bad_input_is_told_in_one_sentence(librispeech, tmp_path):
    with pytest.raises(InputError, match="--librispeech"):
        tool.find_speakers(tmp_path / "nowhere")
    with pytest.raises(InputError, match="give more utterances"):
        tool.plan_speaker(1, "F", 1, [AUDIO / "09_sad_21.flac"], 0)
    text = tmp_path / "text.flac"
    text.write_text("no audio")
    with pytest.raises(InputError, match="text.flac cannot be read"):
        tool.read_clip(text)
    nine, out = tmp_path / "nine", tmp_path / "out"
    shutil.copytree(librispeech, nine)
    shutil.rmtree(nine / "test-other" / "3")
    with pytest.raises(SystemExit, match="9 speakers"):
        tool.main(["--librispeech", str(nine), "--out", str(out)])
    assert not out.exists()
