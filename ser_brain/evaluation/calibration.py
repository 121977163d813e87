"""Calibration of a classifier's posteriors."""

import numpy as np

BINS = 15


def expected_calibration_error(posteriors, truth, bins=BINS):
    r"""Expected calibration error (ECE) of the predicted class.

    .. math:: \sum_b \frac{n_b}{n} |\mathrm{acc}_b - \mathrm{conf}_b|

    over bins of equal width of the largest posterior (Guo et al., 2017): the
    fraction of correct predictions in a bin against their mean posterior. It
    is biased upwards for few clips.

    Arguments
    ---------
    posteriors : array
        Shape (clips, classes), rows summing to 1.
    truth : array
        Index of each clip's class, shape (clips,).
    bins : int
        Number of bins.

    Returns
    -------
    float
        In [0, 1]; 0 is calibrated.

    Raises
    ------
    ValueError
        If there are no clips, or the numbers of labels and posteriors differ.

    Example
    -------
    >>> expected_calibration_error([[0.9, 0.1], [0.9, 0.1]], [0, 1])
    0.4
    """
    posteriors, truth = _checked(posteriors, truth)
    confidence = posteriors.max(axis=1)
    right = posteriors.argmax(axis=1) == truth
    # A bin includes its upper edge, as in Guo et al.
    place = np.ceil(confidence * bins).astype(int).clip(1, bins)
    gaps = np.bincount(place, right - confidence, minlength=bins + 1)
    return float(np.abs(gaps).sum() / len(truth))


def brier_score(posteriors, truth):
    r"""Brier score: mean squared distance of the posteriors to the truth.

    .. math:: \frac{1}{n} \sum_i \sum_c (p_{ic} - [t_i = c])^2

    Arguments
    ---------
    posteriors, truth
        As for :func:`expected_calibration_error`.

    Returns
    -------
    float
        In [0, 2]; a uniform guess among K classes scores 1 - 1 / K.

    Raises
    ------
    ValueError
        As for :func:`expected_calibration_error`.

    Example
    -------
    >>> brier_score([[0.5, 0.5], [1.0, 0.0]], [0, 0])
    0.25
    """
    posteriors, truth = _checked(posteriors, truth)
    wanted = np.eye(posteriors.shape[1])[truth]
    return float(((posteriors - wanted) ** 2).sum(axis=1).mean())


def _checked(posteriors, truth):
    """Return both as arrays of the same length."""
    posteriors, truth = np.asarray(posteriors, float), np.asarray(truth)
    if posteriors.ndim != 2 or len(posteriors) == 0:
        raise ValueError("There are no posteriors to score.")
    if truth.shape != (len(posteriors),):
        raise ValueError(
            f"{len(truth)} true labels and {len(posteriors)} posteriors: give "
            "one label for every clip."
        )
    return posteriors, truth
