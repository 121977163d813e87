"""The plain baseline on real speech."""

import soundfile
import torch

from ser_brain.corpora import folds
from ser_brain.dataio.audio import read_audio
from ser_brain.evaluation.baseline import (
    accuracy_by_fold,
    log_mel_baseline,
    log_mel_statistics,
)


def test_statistics_of_a_louder_clip():
    """Twice the amplitude: the means rise by log 4, deviations stay."""
    wav = torch.randn(8000, generator=torch.Generator().manual_seed(0))
    quiet, loud = log_mel_statistics(wav), log_mel_statistics(2 * wav)
    rise = torch.full((40,), 4.0).log()
    torch.testing.assert_close(loud[:40] - quiet[:40], rise, atol=1e-3, rtol=0)
    torch.testing.assert_close(loud[40:], quiet[40:], atol=1e-3, rtol=0)


def test_silence_and_the_shortest_clip_have_statistics():
    """Nothing infinite, however little there is to hear."""
    for wav in (torch.zeros(16000), torch.randn(400)):
        assert log_mel_statistics(wav).isfinite().all()


def test_speaker_out_on_real_emotions(shared_corpora):
    """Anger and sadness of SAVEE are told apart across speakers."""
    manifest = {
        f"{speaker}_{code}{number:02}": {
            "wav": str(
                shared_corpora / "savee" / speaker / f"{code}{number:02}.flac"
            ),
            "emotion": emotion,
            "speaker": speaker,
        }
        for speaker in ("DC", "JE", "JK")
        for code, emotion in (("a", "anger"), ("sa", "sadness"))
        for number in range(1, 9)
    }
    rows = log_mel_baseline(manifest, folds(manifest, "speaker"), read_audio)
    assert sorted(row["id"] for row in rows) == sorted(manifest)
    assert all(row["fold"] == row["speaker"] for row in rows)
    assert all(abs(sum(row["posteriors"].values()) - 1) < 1e-6 for row in rows)
    by_fold = accuracy_by_fold(rows)
    assert list(by_fold) == ["DC", "JE", "JK"]
    assert sum(by_fold.values()) / 3 > 0.7


def test_scale_of_the_test_part_is_not_learned(tmp_path):
    """Statistics for standardising come from the training part alone."""
    draws = torch.Generator().manual_seed(0)
    manifest = {}
    for speaker in "ab":
        for number in range(6):
            level = 0.01 if number % 2 else 0.3
            file = tmp_path / f"{speaker}{number}.wav"
            wav = level * torch.randn(4000, generator=draws)
            soundfile.write(file, wav.numpy(), 16000, subtype="FLOAT")
            manifest[file.stem] = {
                "wav": str(file),
                "emotion": "soft" if number % 2 else "loud",
                "speaker": speaker,
            }
    parts = folds(manifest, "speaker")
    whole = {
        row["id"]: row for row in log_mel_baseline(manifest, parts, read_audio)
    }
    louder = log_mel_baseline(
        manifest, {"a": parts["a"]},
        lambda path: read_audio(path) * (9 if path.endswith("a0.wav") else 1),
    )  # fmt: skip
    for row in louder:
        if row["id"] != "a0":
            assert row["posteriors"] == whole[row["id"]]["posteriors"]
