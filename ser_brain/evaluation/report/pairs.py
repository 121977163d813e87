"""Pairs of procedures on the runs and clips that both have."""

from dataclasses import dataclass
from itertools import combinations

import numpy as np

from ser_brain.evaluation.comparison import (
    accuracy_contributions,
    holm,
    mcnemar,
    randomisation_test,
)
from ser_brain.evaluation.report.trials import fold_trials


@dataclass(frozen=True)
class Comparison:
    """Two procedures on the clips and runs that both have.

    Arguments
    ---------
    first, second : Procedure
        The pair.
    runs, clips : int
        Pairs of runs of the same fold and seed, and clips tested by both.
    difference : float
        UA of the first less that of the second, over the paired runs.
    p, p_corrected : float
        Of the randomisation test, alone and after Holm's correction.
    only_first, only_second : int
        Clips that only one of them has right, by mean posterior.
    p_mcnemar, p_mcnemar_corrected : float
        Of McNemar's test, alone and after Holm's correction.
    """

    first: object
    second: object
    runs: int
    clips: int
    difference: float
    p: float
    p_corrected: float
    only_first: int
    only_second: int
    p_mcnemar: float
    p_mcnemar_corrected: float


def compare_all(procedures, classes, resamples):
    """Compare all pairs that share runs; p values are corrected together.

    Arguments
    ---------
    procedures : list of Procedure
        The later is the first of a pair.
    classes : list of str
        What the indices mean.
    resamples : int
        Draws of the randomisation test.

    Returns
    -------
    list of Comparison
        Empty where no runs of the same fold and seed are shared.
    """
    pairs = [
        (first, second, shared)
        for second, first in combinations(procedures, 2)
        if (shared := _shared_runs(first, second))
    ]
    raw = [_compare(shared, classes, resamples) for *_, shared in pairs]
    by_chance = holm([one["p"] for one in raw])
    by_mcnemar = holm([one["p_mcnemar"] for one in raw])
    return [
        Comparison(first, second, len(shared), **one, p_corrected=p,
                   p_mcnemar_corrected=q)
        for (first, second, shared), one, p, q in zip(
            pairs, raw, by_chance, by_mcnemar
        )
    ]  # fmt: skip


def _shared_runs(first, second):
    """Pairs of runs of the same fold and seed."""
    of_second = {(run.fold, run.seed): run for run in second.runs}
    return [
        (run, of_second[run.fold, run.seed])
        for run in first.runs
        if (run.fold, run.seed) in of_second
    ]


def _compare(shared, classes, resamples):
    """Both tests of one pair of procedures."""
    first, second = (
        answers([pair[side] for pair in shared], classes) for side in (0, 1)
    )
    contributions = accuracy_contributions(
        first["truth"], first["fold"], first["correct"], second["correct"]
    )
    only_first, only_second, p = mcnemar(first["right"], second["right"])
    return {
        "clips": len(contributions),
        "difference": float(contributions.sum()),
        "p": randomisation_test(contributions, resamples),
        "only_first": only_first,
        "only_second": only_second,
        "p_mcnemar": p,
    }


def answers(runs, classes):
    """What runs say about each clip: fold by fold, by the clips' ids.

    Arguments
    ---------
    runs : list of Run
        Of one procedure.
    classes : list of str
        What the indices mean.

    Returns
    -------
    dict
        truth: class indices, (clips,); fold: indices, (clips,); correct:
        share of the fold's runs that were right, (clips,); right: whether
        their mean posterior was, (clips,).
    """
    by_fold = {}
    for run in runs:
        by_fold.setdefault(run.fold, []).append(run)
    parts = []
    for number, members in enumerate(by_fold.values()):
        trials = fold_trials(members, classes)
        guess = _mean_posteriors(members).argmax(axis=1)
        parts.append(
            {
                "truth": trials.truth,
                "fold": np.full(len(guess), number),
                "correct": trials.correct,
                "right": guess == trials.truth,
            }
        )
    return {
        name: np.concatenate([part[name] for part in parts])
        for name in parts[0]
    }


def _mean_posteriors(runs):
    """Over runs of one fold, (clips, classes), in the order of the ids."""
    posteriors = [
        [
            list(row["posteriors"].values())
            for row in sorted(run.rows, key=lambda row: row["id"])
        ]
        for run in runs
    ]
    return np.mean(posteriors, axis=0)
