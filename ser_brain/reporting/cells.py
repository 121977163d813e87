"""A cell of the paper's tables: the mean over runs and its deviation."""

import statistics
from typing import NamedTuple

from ser_brain.reporting.formats import moments


class Scores(NamedTuple):
    """UA of the runs of one cell, in percent.

    Arguments
    ---------
    kept : tuple of float
        UA of the runs that count.
    discarded : tuple of float
        UA of the runs that the outlier rule discarded.
    """

    kept: tuple = ()
    discarded: tuple = ()


class Figure(NamedTuple):
    """Mean and deviation of the runs of a cell.

    Arguments
    ---------
    mean, deviation : float or None
        Over the runs that count. The mean is None without any run, the
        deviation with fewer than two.
    runs : int
        Number of runs that count.
    discarded : int
        Number of runs that do not.
    mean_of_all, deviation_of_all : float or None
        The same, including the discarded runs.
    """

    mean: float | None
    deviation: float | None
    runs: int
    discarded: int
    mean_of_all: float | None
    deviation_of_all: float | None


def figure(scores):
    """Compute mean and sample deviation over runs.

    Arguments
    ---------
    scores : Scores
        The runs.

    Returns
    -------
    Figure

    Example
    -------
    >>> cell = figure(Scores(kept=(60.0, 62.0), discarded=(40.0,)))
    >>> cell.mean, cell.runs, cell.mean_of_all
    (61.0, 2, 54.0)
    """
    kept, discarded = scores
    counts = len(kept), len(discarded)
    return Figure(*moments(kept), *counts, *moments((*kept, *discarded)))


def mean_figure(figures):
    """Compute the mean over folds of the means over runs, as in the paper.

    Its deviation is that of the mean over folds between repetitions. Runs of
    different folds are independent, so it is the square root of the sum of the
    folds' variances, divided by the number of folds.

    Arguments
    ---------
    figures : list of Figure
        One per fold.

    Returns
    -------
    Figure

    Example
    -------
    >>> cells = [figure(Scores((60.0, 62.0))), figure(Scores((70.0, 72.0)))]
    >>> mean_figure(cells).mean, round(mean_figure(cells).deviation, 3)
    (66.0, 1.0)
    """
    mean, deviation, runs, discarded, of_all, deviation_of_all = zip(*figures)
    counts = sum(runs), sum(discarded)
    first, second = (mean, deviation), (of_all, deviation_of_all)
    return Figure(*_over_folds(*first), *counts, *_over_folds(*second))


def _over_folds(means, deviations):
    """Mean over folds and its deviation, if no fold lacks its own."""
    mean = None if None in means else statistics.mean(means)
    if None in deviations:
        return mean, None
    return mean, sum(one**2 for one in deviations) ** 0.5 / len(deviations)


def ratio(vft, tapt, ptapt):
    """Fraction of P-TAPT's gain over V-FT that TAPT reaches (Table 4).

    Arguments
    ---------
    vft, tapt, ptapt : float or None
        UA of the three procedures.

    Returns
    -------
    float or None
        In percent; None if P-TAPT gains nothing, or a figure is missing.

    Example
    -------
    >>> round(ratio(56.8, 58.1, 58.8), 1), ratio(60.0, 61.0, 60.0)
    (65.0, None)
    """
    if None in (vft, tapt, ptapt) or ptapt <= vft:
        return None
    return 100 * (tapt - vft) / (ptapt - vft)


def difference(ours, paper):
    """Our figure − the paper's, if both exist."""
    return None if ours is None or paper is None else ours - paper
