"""Clips that real corpora have: silent, clipped, short, of every format."""

import re

import numpy as np
import pytest
import soundfile
from recipe_runs import pick_clips, run_folder, write_table


@pytest.fixture
def odd_clips(tmp_path):
    """The table of few clips, its first ones replaced by odd ones."""
    draws = np.random.default_rng(0)

    def noise(seconds, rate=16000, channels=1):
        shape = (int(seconds * rate), channels)
        return 0.3 * draws.standard_normal(shape)

    clips = {
        "silent.wav": (np.zeros(16000), 16000, "PCM_16"),
        "constant.wav": (np.full(16000, 0.25), 16000, "PCM_16"),
        "clipped.wav": (np.sign(noise(1.0)), 16000, "PCM_16"),
        "shorter than a mask.wav": (noise(0.1), 16000, "PCM_16"),
        "8 kHz.wav": (noise(1.0, 8000), 8000, "PCM_16"),
        "96 kHz.wav": (noise(1.0, 96000), 96000, "PCM_24"),
        "float.wav": (noise(1.0, 44100, 2), 44100, "FLOAT"),
        "a.flac": (noise(1.0), 16000, "PCM_24"),
        "a.ogg": (noise(1.0), 16000, "VORBIS"),
        "a.mp3": (noise(1.0, 16000, 2), 16000, "MPEG_LAYER_III"),
    }
    rows = pick_clips()
    for number, (name, written) in enumerate(clips.items()):
        path = tmp_path / name
        soundfile.write(path, *written)
        rows[2 * number] = (str(path), *rows[2 * number][1:])
    table = tmp_path / "few.csv"
    write_table(table, rows)
    return table


@pytest.mark.parametrize(
    "recipe, procedure", [("train_tapt", "tapt"), ("train_ptapt", "ptapt")]
)
def test_every_stage_stays_finite(run, odd_clips, tmp_path, recipe, procedure):
    got = run("SAVEE", recipe, manifest=odd_clips)
    check_finite(got, tmp_path, procedure)


def test_clips_that_are_normalized_stay_finite(
    run, odd_clips, tmp_path, make_wav2vec2
):
    """Large models want each clip with a deviation of 1; silence has none."""
    large = make_wav2vec2(feat_extract_norm="layer")
    got = run("SAVEE", "train_vft", manifest=odd_clips, encoder=large)
    check_finite(got, tmp_path, "vft")


def check_finite(got, tmp_path, procedure):
    """The recipe ended well, without a loss or posterior that is no number."""
    assert got.code == 0, got.err
    assert "is not finite" not in got.out + got.err
    folder = run_folder(tmp_path / "results", procedure)
    assert not list((tmp_path / "results").rglob("nonfinite"))
    losses = re.findall(r"loss: (\S+?)[,\s]", log_of(tmp_path))
    assert losses and np.isfinite([float(loss) for loss in losses]).all()
    assert len((folder / "predictions.csv").read_text().splitlines()) == 9


def log_of(tmp_path):
    """The train_log.txt of all stages, wherever they lie."""
    logs = (tmp_path / "results").rglob("train_log.txt")
    return "\n".join(path.read_text() for path in logs)


def test_less_than_a_frame_is_refused(run, odd_clips, tmp_path):
    soundfile.write(tmp_path / "silent.wav", np.zeros(399), 16000)
    got = run("SAVEE", "train_vft", manifest=odd_clips)
    assert got.code == 2
    assert "silent.wav lasts 24.9 ms, less than the 25 ms" in got.err
