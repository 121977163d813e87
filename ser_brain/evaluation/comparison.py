"""Significance tests for two procedures on the same clips.

Both tests treat the clip as the unit. They show whether the difference would
hold on other clips of the same speakers, not on other speakers.
"""

import numpy as np
from statsmodels.stats.contingency_tables import mcnemar as mcnemar_test
from statsmodels.stats.multitest import multipletests

CHUNK = 1000  # sign patterns at once: bounds the memory
EXACT_CLIPS = 13  # all 2**13 patterns are fewer than the usual resamples


def accuracy_contributions(truth, fold, first, second):
    r"""What each clip adds to the difference of two unweighted accuracies.

    With :math:`K_f` classes in fold f, :math:`n_{fk}` clips of class k and F
    folds, a clip of class k in fold f adds

    .. math:: \frac{a_i - b_i}{F K_f n_{fk}}

    where a and b are the fractions of runs that were correct. The sum over
    clips is the difference of the means over folds of the means over runs.

    Arguments
    ---------
    truth, fold : numpy.ndarray
        Index of the true class and of the fold, shape (clips,).
    first, second : numpy.ndarray
        Fraction of the runs that were correct, shape (clips,).

    Returns
    -------
    numpy.ndarray
        Shape (clips,).

    Example
    -------
    >>> same = np.zeros(4, int)
    >>> right, wrong = np.ones(4), np.zeros(4)
    >>> accuracy_contributions(np.array([0, 0, 0, 1]), same, right, wrong)
    array([0.166..., 0.166..., 0.166..., 0.5       ])
    """
    pairs = np.stack([fold, truth], axis=1)
    cells, cell, clips = np.unique(
        pairs, axis=0, return_inverse=True, return_counts=True
    )
    folds, classes = np.unique(cells[:, 0], return_counts=True)
    classes = classes[np.searchsorted(folds, fold)]
    return (first - second) / (len(folds) * classes * clips[cell.ravel()])


def randomisation_test(contributions, resamples=10000, seed=0):
    """Approximate randomisation test, two-sided, paired by clip.

    If the procedures were equally good, their predictions of a clip could be
    exchanged, which flips the sign of the clip's contribution. A clip's
    predictions in all runs are exchanged together: runs of a fold test the
    same clips and are not new evidence about other clips. With up to 13 clips
    that contribute, all patterns of signs are counted and p is exact; with
    more, patterns are drawn and p is (1 + as extreme) / (1 + drawn).
    ``scipy.stats.permutation_test`` computes the same, but draws the patterns
    from another stream, which would change published p values.

    Arguments
    ---------
    contributions : numpy.ndarray
        As :func:`accuracy_contributions` returns them, shape (clips,).
    resamples : int
        Number of patterns drawn.
    seed : int
        Seed of the draws.

    Returns
    -------
    float
        The p value.

    Example
    -------
    >>> randomisation_test(np.array([1.0, 1.0, 1.0, 0.0]))
    0.25
    """
    moving = contributions[contributions != 0]
    # Sums of the same terms in another order are equal up to rounding.
    bound = abs(moving.sum()) - 1e-9 * np.abs(moving).sum()
    if len(moving) <= EXACT_CLIPS:
        patterns = np.arange(2 ** len(moving))
        signs = 1 - 2 * (patterns[:, None] >> np.arange(len(moving)) & 1)
        return float(np.mean(np.abs(signs @ moving) >= bound))
    generator = np.random.default_rng(seed)
    extreme = 0
    for begin in range(0, resamples, CHUNK):
        size = (min(CHUNK, resamples - begin), len(moving))
        signs = 1.0 - 2.0 * generator.integers(0, 2, size)
        extreme += int((np.abs(signs @ moving) >= bound).sum())
    return (1 + extreme) / (1 + resamples)


def mcnemar(first, second):
    """McNemar's test, exact at any number of clips.

    Only clips that exactly one procedure classifies correctly count. If the
    procedures were equally good, it would be either with probability 1/2.

    Arguments
    ---------
    first, second : numpy.ndarray
        Whether each clip was classified correctly, bool, shape (clips,).

    Returns
    -------
    only_first, only_second : int
        Clips that only the first or only the second classifies correctly.
    p : float
        Two-sided, from the binomial distribution.

    Example
    -------
    >>> first = np.array([True] * 6 + [False])
    >>> only_first, only_second, p = mcnemar(first, ~first)
    >>> only_first, only_second, round(p, 6)
    (6, 1, 0.125)
    """
    only_first = int((first & ~second).sum())
    only_second = int((second & ~first).sum())
    counts = [[0, only_first], [only_second, 0]]
    return only_first, only_second, float(mcnemar_test(counts).pvalue)


def holm(p_values):
    """Holm's correction for several comparisons.

    The smallest of m values is multiplied by m, the next by m - 1 and so on;
    corrected values keep the order and do not exceed 1.

    Arguments
    ---------
    p_values : sequence of float
        One value per comparison.

    Returns
    -------
    list of float
        Corrected values, in the same order.

    Example
    -------
    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    # statsmodels refuses an empty list.
    if not len(p_values):
        return []
    return multipletests(p_values, method="holm")[1].tolist()
