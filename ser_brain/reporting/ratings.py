"""Runs that predict ratings, as a table of the report."""

from ser_brain.evaluation.statistics import run_deviation
from ser_brain.reporting.formats import counted
from ser_brain.reporting.report_tables import worded_table
from ser_brain.results.ratings import find_ratings

SCORES = ("CCC", "RMSE")


def ratings_table(folders, scale=None):
    """Scores of ratings by fold.

    Arguments
    ---------
    folders, scale
        As for :func:`ser_brain.results.runs.find_runs`.

    Returns
    -------
    Table or None
        One row per target and score; None if no run predicts ratings.

    Raises
    ------
    InputError
        If a run was edited, or runs have other targets or scales.
    """
    runs = find_ratings(folders, scale)
    if not runs:
        return None
    folds = sorted({run["fold"] for run in runs})
    rows = [
        [f"{target}, {score}", *_cells(runs, folds, score, target)]
        for score in SCORES
        for target in runs[0]["CCC"]
    ]
    columns = [*(f"fold {fold}" for fold in folds), "mean"]
    known = {name: runs[0][name] for name in ("scale", "corpus")}
    runs_said = counted(len(runs), "run")
    return worded_table("ratings", rows, columns, runs=runs_said, **known)


def _cells(runs, folds, score, target):
    """One cell per fold, and their mean."""
    values = [
        [run[score][target] for run in runs if run["fold"] == fold]
        for fold in folds
    ]
    means = [sum(some) / len(some) for some in values]
    cells = [
        _cell(mean, run_deviation([some])) for mean, some in zip(means, values)
    ]
    return [*cells, _cell(sum(means) / len(means), run_deviation(values))]


def _cell(mean, deviation):
    """A mean and its deviation, if there is one."""
    told = f"{mean:.3f}"
    return told if deviation is None else f"{told} ± {deviation:.3f}"
