"""Small corpora on disk, in the exact layout of the real ones."""

import os
import shutil

import numpy as np
import pytest
import soundfile

LABELS = ("neu", "hap", "exc", "sad", "ang", "fru", "xxx")


@pytest.fixture
def write_wav():
    """A function that writes half a second of noise."""

    def write(path, seconds=0.5, rate=16000):
        path.parent.mkdir(parents=True, exist_ok=True)
        noise = np.random.default_rng(0).normal(0, 0.1, int(seconds * rate))
        soundfile.write(path, noise, rate, subtype="PCM_16")

    return write


def _label_file(dialogue, clips):
    """An EmoEvaluation file as the corpus has it, raters and all."""
    lines = ["% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]", ""]
    for name, label in clips:
        lines += [
            f"[6.2901 - 8.2357]\t{name}\t{label}\t[2.5000, 2.5000, 2.5000]",
            "C-E2:\tNeutral;\t()",
            "C-F1:\tAnger; [sic]\t(d\xe9j\xe0 vu)",
            "A-E3:\tval 3; act 2; dom  2;\t()",
            "",
        ]
    return "\n".join(lines)


@pytest.fixture
def iemocap(tmp_path, write_wav):
    """A small IEMOCAP_full_release with all the litter of real copies."""
    root = tmp_path / "data" / "IEMOCAP_full_release"
    noise = tmp_path / "noise.wav"
    write_wav(noise)
    for session in "12345":
        folder = root / f"Session{session}"
        labels = folder / "dialog" / "EmoEvaluation"
        labels.mkdir(parents=True)
        for worn, take in (("F", "impro01"), ("M", "script01_1b")):
            dialogue = f"Ses0{session}{worn}_{take}"
            clips = [
                (f"{dialogue}_{letter}{n:03d}", label)
                for letter in "FM"
                for n, label in enumerate(LABELS)
            ]
            text = _label_file(dialogue, clips)
            # Some copies went through Windows.
            newline = "\r\n" if worn == "M" else "\n"
            (labels / f"{dialogue}.txt").write_text(
                text, encoding="latin-1", newline=newline
            )
            (labels / f"._{dialogue}.txt").write_bytes(b"\0\x05\x16\x07")
            for rater in ("Attribute", "Categorical", "Self-evaluation"):
                (labels / rater).mkdir(exist_ok=True)
                (labels / rater / f"{dialogue}.txt").write_text(
                    f"[1.0 - 2.0]\t{dialogue}_F000\tjunk\t[1, 1, 1]\n"
                )
            wavs = folder / "sentences" / "wav" / dialogue
            wavs.mkdir(parents=True)
            for name, _ in clips:
                shutil.copyfile(noise, wavs / f"{name}.wav")
            (wavs / f"._{clips[0][0]}.wav").write_bytes(b"litter")
    return root


@pytest.fixture
def savee(tmp_path, write_wav):
    """A SAVEE in the official layout, with its counts, all very short."""
    root = tmp_path / "savee"
    noise = tmp_path / "short_noise.wav"
    write_wav(noise, 0.03, 44100)
    for speaker in ("DC", "JE", "JK", "KL"):
        folder = root / "AudioData" / speaker
        folder.mkdir(parents=True)
        for code in ("a", "d", "f", "h", "n", "sa", "su"):
            for n in range(1, 31 if code == "n" else 16):
                os.link(noise, folder / f"{code}{n:02d}.wav")
    (root / "AudioData" / "Info.txt").write_text("about the corpus")
    (root / "AudioData" / "DC" / "._a01.wav").write_bytes(b"litter")
    return root
