"""A cell of ours: the mean over runs, their deviation, what was discarded."""

import statistics
from dataclasses import dataclass

NOTHING = "–"


@dataclass(frozen=True)
class Scores:
    """UA of the runs of one cell, in percent.

    Arguments
    ---------
    kept : tuple of float
        Of the runs that count.
    discarded : tuple of float
        Of those that the outlier rule discarded.
    """

    kept: tuple = ()
    discarded: tuple = ()


@dataclass(frozen=True)
class Figure:
    """A cell of ours.

    Arguments
    ---------
    mean, deviation : float or None
        Over the runs; None without any run, or with only one.
    runs : int
        Runs that count.
    discarded : int
        Runs that do not.
    mean_of_all, deviation_of_all : float or None
        The same with the discarded runs.
    """

    mean: float | None
    deviation: float | None
    runs: int
    discarded: int
    mean_of_all: float | None
    deviation_of_all: float | None


def figure(scores):
    """Mean and sample deviation over runs.

    Example
    -------
    >>> cell = figure(Scores(kept=(60.0, 62.0), discarded=(40.0,)))
    >>> cell.mean, cell.runs, cell.mean_of_all
    (61.0, 2, 54.0)
    """
    return Figure(
        *_moments(scores.kept),
        len(scores.kept),
        len(scores.discarded),
        *_moments((*scores.kept, *scores.discarded)),
    )


def _moments(values):
    """Mean and deviation, where there are enough values."""
    mean = statistics.mean(values) if values else None
    return mean, statistics.stdev(values) if len(values) > 1 else None


def mean_figure(figures):
    """The mean over folds of the means over runs, as the paper's.

    Its deviation is that of the mean over folds from one repetition to the
    next, the runs of different folds being independent: the root of the sum
    of the folds' variances, divided by the number of folds.

    Example
    -------
    >>> cells = [figure(Scores((60.0, 62.0))), figure(Scores((70.0, 72.0)))]
    >>> mean_figure(cells).mean, round(mean_figure(cells).deviation, 3)
    (66.0, 1.0)
    """
    return Figure(
        _mean([cell.mean for cell in figures]),
        _root([cell.deviation for cell in figures]),
        sum(cell.runs for cell in figures),
        sum(cell.discarded for cell in figures),
        _mean([cell.mean_of_all for cell in figures]),
        _root([cell.deviation_of_all for cell in figures]),
    )


def _mean(values):
    return None if None in values else statistics.mean(values)


def _root(values):
    if None in values:
        return None
    return sum(value**2 for value in values) ** 0.5 / len(values)


def ratio(vft, tapt, ptapt):
    """Share of P-TAPT's gain over V-FT that TAPT reaches (Table 4).

    Arguments
    ---------
    vft, tapt, ptapt : float or None
        UA of the three procedures.

    Returns
    -------
    float or None
        In percent; None where P-TAPT gains nothing, or a figure is missing.

    Example
    -------
    >>> round(ratio(56.8, 58.1, 58.8), 1), ratio(60.0, 61.0, 60.0)
    (65.0, None)
    """
    if None in (vft, tapt, ptapt) or ptapt <= vft:
        return None
    return 100 * (tapt - vft) / (ptapt - vft)


def shown(value, deviation=None, decimals=1, empty=NOTHING):
    """A figure as it is printed.

    Example
    -------
    >>> shown(71.25, 1.04), shown(None), shown(-3.0, decimals=2)
    ('71.2 ± 1.0', '–', '−3.00')
    """
    if value is None:
        return empty
    # No minus before a zero.
    text = f"{round(value, decimals) + 0.0:.{decimals}f}".replace("-", "−")
    if deviation is None:
        return text
    return f"{text} ± {deviation:.{decimals}f}"


def difference(ours, paper):
    """Ours − the paper's, where there are both."""
    return None if ours is None or paper is None else ours - paper
