"""Measure ensembles of runs, and the rule for unsure answers.

    python tools/posterior_rules.py results/SAVEE/vft/small

Reads the predictions of finished runs of one procedure; several runs of each
fold differ in their seed. The first table compares single runs with the mean
of their posteriors, fold by fold. All runs of a fold were trained without its
test speakers, so neither has heard them. The second table counts the clips
whose answer is unsure, and how many are right. Nothing is chosen with it.
"""

import argparse

import numpy as np

from ser_brain.errors import exit_code
from ser_brain.evaluation.calibration import expected_calibration_error
from ser_brain.evaluation.metrics import unweighted_accuracy
from ser_brain.inference.warning_rules import answer_warnings
from ser_brain.results import load
from ser_brain.results.frames import CLIP_COLUMNS


def averaged(clips, classes):
    """The clips of each fold with the mean posteriors of its runs."""
    mean = clips.groupby(["fold", "clip", "label"])[classes].mean()
    mean = mean.reset_index()
    return mean.assign(prediction=mean[classes].idxmax(axis=1))


def accuracies(clips, together):
    """Yield each fold, the mean UA of its runs, and the UA of all together."""
    for fold, here in together.groupby("fold"):
        runs = clips[clips["fold"] == fold].groupby("seed")
        single = [score(run) for _, run in runs]
        yield fold, np.mean(single), score(here)


def score(clips):
    """UA in percent."""
    return 100 * unweighted_accuracy(clips["label"], clips["prediction"])


def unsure_shares(clips, classes):
    """Shares of unsure answers, and of right ones, in percent; the ECE."""
    posteriors = clips[classes].to_numpy()
    unsure = np.array([bool(answer_warnings(row)) for row in posteriors])
    right = (clips["label"] == clips["prediction"]).to_numpy()
    truth = [classes.index(label) for label in clips["label"]]
    ece = expected_calibration_error(posteriors, truth)
    shares = (unsure, right, right[~unsure], right[unsure])
    return [100 * share.mean() for share in shares] + [100 * ece]


def markdown(head, rows):
    """Print a table; numbers have one decimal."""
    print(f"| {' | '.join(head)} |\n{'|---' * len(head)}|")
    for name, *numbers in rows:
        print(f"| {name} | {' | '.join(f'{n:.1f}' for n in numbers)} |")


def main(argv=None):
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", help="with the runs of one procedure")
    clips = load(parser.parse_args(argv).folder)
    classes = [name for name in clips if name not in CLIP_COLUMNS]
    together = averaged(clips, classes)
    rows = list(accuracies(clips, together))
    mean = np.mean([numbers for _, *numbers in rows], axis=0)
    head = ("UA, %", "mean of the runs", "ensemble")
    markdown(head, [*rows, ("mean", *mean)])
    print()
    head = ("%", "unsure", "right", "right if sure", "right if unsure", "ECE")
    named = {"single runs": clips, "ensembles": together}
    markdown(
        head, [(name, *unsure_shares(t, classes)) for name, t in named.items()]
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(exit_code(main))
