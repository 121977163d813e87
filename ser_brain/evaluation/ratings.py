"""Scores of predicted ratings, such as valence, arousal and dominance."""

import numpy as np


def concordance(truth, prediction):
    r"""Concordance correlation coefficient (CCC; Lin, 1989).

    .. math:: \frac{2 \sigma_{tp}}
        {\sigma_t^2 + \sigma_p^2 + (\mu_t - \mu_p)^2}

    with variances that divide by n. Unlike a correlation it is lower if
    predictions have another mean or variance.

    Arguments
    ---------
    truth, prediction : array
        Shape (clips,) or (clips, targets).

    Returns
    -------
    float or numpy.ndarray
        In [-1, 1], one per target. If neither varies, it is 1 if they are
        equal and 0 otherwise.

    Raises
    ------
    ValueError
        If the shapes differ, or there are no clips.

    Example
    -------
    >>> concordance([1, 2, 3], [1, 2, 3]), concordance([1, 2, 3], [2, 3, 4])
    (1.0, 0.571...)
    """
    truth, prediction = _checked(truth, prediction)
    difference = truth.mean(axis=0) - prediction.mean(axis=0)
    covariance = (
        (truth - truth.mean(axis=0)) * (prediction - prediction.mean(axis=0))
    ).mean(axis=0)
    below = truth.var(axis=0) + prediction.var(axis=0) + difference**2
    equal = np.ones_like(below)
    found = np.divide(2 * covariance, below, out=equal, where=below > 0)
    return float(found) if found.ndim == 0 else found


def root_mean_square_error(truth, prediction):
    """Root of the mean squared difference (RMSE), in the ratings' unit.

    Arguments
    ---------
    truth, prediction
        As for :func:`concordance`.

    Returns
    -------
    float or numpy.ndarray
        At least 0, one per target.

    Raises
    ------
    ValueError
        As for :func:`concordance`.

    Example
    -------
    >>> root_mean_square_error([1, 2], [1, 4])
    1.414...
    """
    truth, prediction = _checked(truth, prediction)
    found = np.sqrt(((truth - prediction) ** 2).mean(axis=0))
    return float(found) if found.ndim == 0 else found


def rating_scores(truth, prediction, targets):
    """All scores of one test part, under the names of ``ratings.json``.

    Arguments
    ---------
    truth, prediction : array
        Shape (clips, targets).
    targets : sequence of str
        Name of each column.

    Returns
    -------
    dict
        CCC and RMSE by target, mean_CCC over the targets, and n (clips).

    Example
    -------
    >>> rating_scores([[1.0], [2.0]], [[1.0], [2.0]], ["valence"])["CCC"]
    {'valence': 1.0}
    """
    ccc = np.atleast_1d(concordance(truth, prediction))
    rmse = np.atleast_1d(root_mean_square_error(truth, prediction))
    return {
        "mean_CCC": float(ccc.mean()),
        "CCC": dict(zip(targets, ccc.tolist(), strict=True)),
        "RMSE": dict(zip(targets, rmse.tolist(), strict=True)),
        "n": len(truth),
    }


def _checked(truth, prediction):
    """Return both as float arrays of the same shape."""
    truth = np.asarray(truth, float)
    prediction = np.asarray(prediction, float)
    if truth.shape != prediction.shape or truth.ndim == 0:
        raise ValueError(
            f"the ratings have shape {truth.shape}, the predictions "
            f"{prediction.shape}: give one prediction for every rating."
        )
    if len(truth) == 0:
        raise ValueError("There are no ratings to score.")
    return truth, prediction
