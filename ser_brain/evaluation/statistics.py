"""Scores of the whole protocol and their bootstrap intervals.

The protocol's score is the mean over folds of the mean over runs (Chen and
Rudnicky, Section 4). There are two intervals. Over clips: what if other clips
of the same speakers had been tested? Clips are resampled within each fold.
Over speakers: what if other people had been recorded? Speakers are resampled,
with all their clips. All runs of a fold test the same clips, so a clip is
drawn with the predictions of all runs.

Nothing is computed clip by clip in Python: a resample is a row of weights,
and a matrix product turns all rows into counts at once. scipy's ``bootstrap``
supports neither folds nor speakers, and scores one resample at a time.
"""

from dataclasses import dataclass

import numpy as np

SCORES = ("UA", "WA", "macro_f1", "recall")
CHUNK = 500  # resamples at once: bounds the memory


@dataclass(frozen=True)
class FoldTrials:
    """Predictions of all runs of one fold for its test clips.

    Arguments
    ---------
    truth : numpy.ndarray
        Index of the true class, shape (clips,).
    speaker : numpy.ndarray
        Index of the speaker among those of all folds, shape (clips,).
    prediction : numpy.ndarray
        Index of the predicted class, shape (runs, clips).

    Example
    -------
    >>> FoldTrials(np.array([0, 1]), np.array([0, 0]), np.array([[0, 0]])).runs
    1
    """

    truth: np.ndarray
    speaker: np.ndarray
    prediction: np.ndarray

    @property
    def runs(self):
        """Number of runs."""
        return len(self.prediction)

    @property
    def correct(self):
        """Fraction of the runs that were correct, shape (clips,)."""
        return (self.prediction == self.truth).mean(axis=0)


def fold_counts(trials, n_classes, weights):
    """Weighted counts by class.

    Arguments
    ---------
    trials : FoldTrials
        The runs of a fold.
    n_classes : int
        Number of classes.
    weights : numpy.ndarray
        How often each clip counts, shape (resamples, clips).

    Returns
    -------
    hits : numpy.ndarray
        Clips classified correctly, shape (resamples, runs, classes).
    totals : numpy.ndarray
        Clips of the class, shape (resamples, 1, classes).
    predicted : numpy.ndarray
        Clips predicted as the class, shape (resamples, runs, classes).

    Example
    -------
    >>> trials = FoldTrials(
    ...     np.array([0, 1]), np.array([0, 0]), np.array([[0, 0]])
    ... )
    >>> hits, totals, predicted = fold_counts(trials, 2, np.array([[1, 3]]))
    >>> hits.tolist(), totals.tolist(), predicted.tolist()
    ([[[1.0, 0.0]]], [[[1.0, 3.0]]], [[[4.0, 0.0]]])
    """
    one_hot = np.eye(n_classes)
    truth = one_hot[trials.truth]
    predicted = one_hot[trials.prediction]
    hits = predicted * truth
    clips = len(truth)
    columns = np.concatenate([truth[None], hits, predicted]).swapaxes(0, 1)
    counts = weights.astype(float) @ columns.reshape(clips, -1)
    counts = counts.reshape(len(weights), -1, n_classes)
    runs = trials.runs
    return counts[:, 1 : 1 + runs], counts[:, :1], counts[:, 1 + runs :]


def fold_scores(hits, totals, predicted):
    """UA, WA and macro-F1 of one fold, each the mean over its runs.

    A class without clips is left out, as in
    :mod:`ser_brain.evaluation.metrics`.

    Arguments
    ---------
    hits, totals, predicted : numpy.ndarray
        As :func:`fold_counts` returns them.

    Returns
    -------
    dict
        Score -> fractions, shape (resamples,); 0 where no clip counts.

    Example
    -------
    >>> counts = np.array([[[3.0, 1.0]]])
    >>> scores = fold_scores(counts, np.array([[[4.0, 4.0]]]), counts)
    >>> float(scores["UA"][0]), float(scores["WA"][0])
    (0.5, 0.5)
    """
    found = hits / np.maximum(totals, 1)
    held = np.maximum((totals > 0).sum(axis=-1), 1)
    said = totals + predicted
    f1 = 2 * hits / np.maximum(said, 1)
    occurring = np.maximum((said > 0).sum(axis=-1), 1)
    right = hits.sum(-1) / np.maximum(totals.sum(-1), 1)
    return {
        "UA": (found.sum(-1) / held).mean(-1),
        "WA": right.mean(-1),
        "macro_f1": (f1.sum(-1) / occurring).mean(-1),
    }


def protocol_scores(folds, n_classes, weights=None, shares=None):
    r"""Mean over folds of the mean over runs, under weights of the clips.

    .. math:: \theta(w) = \sum_f W_f \theta_f(w) / \sum_f W_f

    Recall is pooled over the clips of all folds, as in a pooled confusion
    matrix.

    Arguments
    ---------
    folds : list of FoldTrials
        All folds.
    n_classes : int
        Number of classes.
    weights : list of numpy.ndarray, optional
        For each fold how often each clip counts, (resamples, clips); by
        default once.
    shares : numpy.ndarray, optional
        Weight W of each fold, (resamples, folds); by default equal.

    Returns
    -------
    dict
        UA, WA, macro_f1, shape (resamples,), and recall, shape
        (resamples, classes), nan for a class without clips.

    Example
    -------
    >>> trials = FoldTrials(
    ...     np.array([0, 1]), np.array([0, 0]), np.array([[0, 0], [0, 1]])
    ... )
    >>> float(protocol_scores([trials], 2)["UA"][0])
    0.75
    """
    if weights is None:
        weights = [np.ones((1, len(trials.truth))) for trials in folds]
    if shares is None:
        shares = np.ones((len(weights[0]), len(folds)))
    shares = shares / shares.sum(axis=1, keepdims=True)
    found = dict.fromkeys(SCORES[:3], 0.0)
    hits, totals = 0.0, 0.0
    for number, (trials, weight) in enumerate(zip(folds, weights)):
        counts = fold_counts(trials, n_classes, weight)
        for name, score in fold_scores(*counts).items():
            found[name] = found[name] + shares[:, number] * score
        hits = hits + counts[0].mean(axis=1)
        totals = totals + counts[1][:, 0]
    recall = np.full(totals.shape, np.nan)
    np.divide(hits, totals, out=recall, where=totals > 0)
    return {**found, "recall": recall}


def bootstrap(folds, n_classes, by="clip", resamples=5000, seed=0, level=0.95):
    """Percentile intervals of the protocol's scores.

    Over clips, each fold's clips are drawn with replacement within the fold.
    Over speakers, all speakers are drawn with replacement; a fold then counts
    as often as its speakers were drawn, on average. With few speakers there
    are few different draws (35 with four), and the interval is coarse and, as
    a rule, too narrow.

    Arguments
    ---------
    folds, n_classes
        As :func:`protocol_scores` takes them.
    by : str
        "clip" or "speaker".
    resamples : int
        Number of draws.
    seed : int
        Seed of the draws.
    level : float
        Fraction of the draws that the interval contains.

    Returns
    -------
    dict
        UA, WA, macro_f1: (low, high) as fractions; recall: one such pair
        per class, shape (2, classes).

    Raises
    ------
    ValueError
        If ``by`` is neither of them.

    Example
    -------
    >>> truth = np.arange(100) // 50
    >>> trials = FoldTrials(truth, truth, np.arange(100)[None] % 2)
    >>> low, high = bootstrap([trials], 2)["UA"]
    >>> bool(0.39 < low < 0.42), bool(0.58 < high < 0.61)
    (True, True)
    """
    drawn = _resampled(folds, n_classes, by, resamples, seed)
    return {name: _percentiles(drawn[name], level) for name in SCORES}


def bootstrap_difference(
    first, second, n_classes, by="clip", resamples=5000, seed=0, level=0.95
):
    """Percentile intervals of the difference of two protocols' scores.

    Both are scored on the same draws of clips or speakers, so that what makes
    a clip or speaker easy for both does not widen the interval.

    Arguments
    ---------
    first, second : list of FoldTrials
        All folds, with the same clips in the same order.
    n_classes, by, resamples, seed, level
        As for :func:`bootstrap`.

    Returns
    -------
    dict
        As :func:`bootstrap` returns it, of first − second.

    Raises
    ------
    ValueError
        If the clips differ, or as for :func:`bootstrap`.

    Example
    -------
    >>> truth = np.arange(100) // 50
    >>> trials = FoldTrials(truth, truth, np.arange(100)[None] % 2)
    >>> low, high = bootstrap_difference([trials], [trials], 2)["UA"]
    >>> float(low), float(high)
    (0.0, 0.0)
    """
    for one, other in zip(first, second, strict=True):
        if not (
            np.array_equal(one.truth, other.truth)
            and np.array_equal(one.speaker, other.speaker)
        ):
            raise ValueError("The two have other clips: give the common ones.")
    ours, theirs = (
        _resampled(folds, n_classes, by, resamples, seed)
        for folds in (first, second)
    )
    return {
        name: _percentiles(ours[name] - theirs[name], level) for name in SCORES
    }


def _resampled(folds, n_classes, by, resamples, seed):
    """The scores of each draw."""
    draws = {"clip": _draw_clips, "speaker": _draw_speakers}
    if by not in draws:
        raise ValueError(f"by={by!r}: draw by one of {sorted(draws)}.")
    generator = np.random.default_rng(seed)
    drawn = []
    for begin in range(0, resamples, CHUNK):
        size = min(CHUNK, resamples - begin)
        weights, shares = draws[by](generator, folds, size)
        drawn.append(protocol_scores(folds, n_classes, weights, shares))
    return {
        name: np.concatenate([part[name] for part in drawn]) for name in SCORES
    }


def _percentiles(draws, level):
    """Percentiles over the draws; nan for a class that was in none of them."""
    ends = [50 * (1 - level), 50 * (1 + level)]
    found = np.full((2, *draws.shape[1:]), np.nan)
    known = ~np.isnan(draws).all(axis=0)
    found[:, known] = np.nanpercentile(draws[:, known], ends, axis=0)
    return found


def _draw(generator, resamples, size):
    """How often each of ``size`` items is drawn: (resamples, size)."""
    chosen = generator.integers(0, size, (resamples, size))
    flat = chosen + size * np.arange(resamples)[:, None]
    counts = np.bincount(flat.ravel(), minlength=resamples * size)
    return counts.reshape(resamples, size)


def _draw_clips(generator, folds, resamples):
    """Clips within each fold; every fold counts once."""
    weights = [
        _draw(generator, resamples, len(trials.truth)) for trials in folds
    ]
    return weights, None


def _draw_speakers(generator, folds, resamples):
    """Speakers of all folds; a fold counts as its speakers do."""
    speakers = [np.unique(trials.speaker) for trials in folds]
    drawn = _draw(generator, resamples, 1 + max(map(np.max, speakers)))
    weights = [drawn[:, trials.speaker] for trials in folds]
    shares = [drawn[:, members].mean(axis=1) for members in speakers]
    return weights, np.stack(shares, axis=1)


def run_deviation(by_fold):
    r"""Standard deviation of the protocol's mean over repetitions.

    Runs of different folds are independent, so with the sample variances
    :math:`s_f^2` over the runs of each of F folds it is

    .. math:: \sqrt{\sum_f s_f^2} / F

    the standard deviation of a mean over folds with one run each.

    Arguments
    ---------
    by_fold : sequence of sequence of float
        Scores of the runs of each fold.

    Returns
    -------
    float or None
        In the unit of the scores; None where a fold has one run.

    Example
    -------
    >>> run_deviation([[1.0, 3.0], [2.0, 2.0]])
    0.7071...
    """
    if any(len(scores) < 2 for scores in by_fold):
        return None
    variances = [np.var(scores, ddof=1) for scores in by_fold]
    return float(np.sqrt(np.sum(variances)) / len(by_fold))
