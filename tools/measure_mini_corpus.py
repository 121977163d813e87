"""Print acoustic measurements of the mini corpus, as a table by class.

python tools/measure_mini_corpus.py ser_brain/assets/mini_corpus
"""

import argparse
import json
from pathlib import Path

import numpy as np
import soundfile as sf
from make_mini_corpus import CLIPS, RATE, pitch_track, rms

COLUMNS = (
    "clips",
    "seconds a clip",
    "F0 female [Hz]",
    "F0 male [Hz]",
    "F0 deviation [semitones]",
    "level [dB re full scale]",
    "energy above 1 kHz [dB re below]",
)


def measure(samples):
    """Duration, F0 median and deviation, level and balance of one clip."""
    f0, _ = pitch_track(samples)
    voiced = f0[f0 > 0]
    power = np.abs(np.fft.rfft(samples)) ** 2
    edge = round(1000 * len(samples) / RATE)
    return (
        len(samples) / RATE,
        np.median(voiced),
        12 * np.std(np.log2(voiced)),
        20 * np.log10(rms(samples)),
        10 * np.log10(power[edge:].sum() / power[:edge].sum()),
    )


def row(emotion, clips, measures):
    """One line of the table: means over the clips of a class."""
    seconds, _, deviation, level, balance = measures.mean(axis=0)
    sexes = np.array([clip["sex"] for clip in clips])
    female, male = (measures[sexes == sex, 1].mean() for sex in "FM")
    cells = (
        f"{emotion} | {len(clips)} | {seconds:.2f} | {female:.0f} | "
        f"{male:.0f} | {deviation:.1f} | {level:.1f} | {balance:.1f}"
    )
    return f"| {cells} |"


def main(arguments=None):
    """Measure every clip and print the table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args(arguments).folder
    index = json.loads((folder / "index.json").read_text("utf-8"))
    print(f"| class | {' | '.join(COLUMNS)} |")
    print("|---" * (len(COLUMNS) + 1) + "|")
    for emotion in CLIPS:
        clips = [c for c in index["clips"] if c["emotion"] == emotion]
        speech = [
            sf.read(folder / "audio" / f"{clip['id']}.flac")[0]
            for clip in clips
        ]
        print(row(emotion, clips, np.array([measure(x) for x in speech])))


if __name__ == "__main__":
    main()
