"""The scores of the paper, each a short function of two label sequences.

All scores are fractions in [0, 1]; tables print them as percent. The labels
are class names or class indices, whatever the caller uses, as long as both
sequences use the same. Every score takes ``truth``, ``prediction`` and
``labels`` as :func:`confusion` does, and raises the same errors.
"""

import numpy as np


def confusion(truth, prediction, labels=None):
    r"""Counts of predictions by true class.

    .. math:: C_{ij} = |\{n : t_n = i, \; p_n = j\}|

    Arguments
    ---------
    truth : sequence
        The true label of each clip.
    prediction : sequence
        The predicted label of each clip, as long as ``truth``.
    labels : sequence, optional
        All classes, in the order of the rows and columns. By default the
        sorted labels that occur in either sequence.

    Returns
    -------
    numpy.ndarray
        Integer counts, shape (classes, classes), true classes in rows.

    Raises
    ------
    ValueError
        If the sequences differ in length, are empty, or hold a label that
        ``labels`` does not, or if ``labels`` names a class twice.

    Example
    -------
    >>> confusion(["sad", "sad", "angry"], ["sad", "angry", "angry"])
    array([[1, 0],
           [1, 1]])
    """
    truth, prediction = list(truth), list(prediction)
    labels = _all_labels(truth, prediction, labels)
    index = {label: position for position, label in enumerate(labels)}
    counts = np.zeros((len(labels), len(labels)), dtype=np.int64)
    for true, predicted in zip(truth, prediction, strict=True):
        counts[index[true], index[predicted]] += 1
    return counts


def recall_by_class(truth, prediction, labels=None):
    r"""Recall of each class: the fraction of its clips that were found.

    .. math:: r_i = C_{ii} / \sum_j C_{ij}

    Returns
    -------
    dict
        Label -> recall in [0, 1], in the order of the labels; None for a
        class without a clip in ``truth``, whose recall is not defined.

    Example
    -------
    >>> recall_by_class(["sad", "sad"], ["sad", "angry"])
    {'angry': None, 'sad': 0.5}
    """
    truth, prediction = list(truth), list(prediction)
    labels = _all_labels(truth, prediction, labels)
    counts = confusion(truth, prediction, labels)
    return {
        label: float(row[position] / row.sum()) if row.any() else None
        for position, (label, row) in enumerate(zip(labels, counts))
    }


def unweighted_accuracy(truth, prediction, labels=None):
    r"""Unweighted accuracy (UA): the mean of the classes' recalls.

    .. math:: \mathrm{UA} = \frac{1}{|K|} \sum_{i \in K} r_i

    K are the classes that occur in ``truth``: a class that the test part lacks
    has no recall, and counting it as zero would penalise the model for the
    split. This is the main score of Chen and Rudnicky, Tables 1 and 2.

    Returns
    -------
    float
        UA in [0, 1]; a uniform guess scores 1 / classes.

    Example
    -------
    >>> unweighted_accuracy([0, 0, 0, 1], [0, 0, 1, 1])
    0.833...
    """
    recalls = recall_by_class(truth, prediction, labels).values()
    return float(np.mean([recall for recall in recalls if recall is not None]))


def weighted_accuracy(truth, prediction, labels=None):
    r"""Weighted accuracy (WA): the fraction of clips labelled correctly.

    .. math:: \mathrm{WA} = \sum_i C_{ii} / \sum_{ij} C_{ij}

    Returns
    -------
    float
        WA in [0, 1].

    Example
    -------
    >>> weighted_accuracy([0, 0, 0, 1], [0, 0, 1, 1])
    0.75
    """
    counts = confusion(truth, prediction, labels)
    return float(np.trace(counts) / counts.sum())


def macro_f1(truth, prediction, labels=None):
    r"""Macro F1: the mean over classes of the F1 of each class.

    .. math:: F_i = 2 C_{ii} / (\sum_j C_{ij} + \sum_j C_{ji})

    The mean is over the classes that occur in ``truth`` or ``prediction``;
    for any other class :math:`F_i` is 0 / 0. This is not the harmonic mean
    of macro precision and macro recall that some code calls F1.

    Returns
    -------
    float
        Macro F1 in [0, 1].

    Example
    -------
    >>> macro_f1([0, 0, 0, 1], [0, 0, 1, 1])
    0.733...
    """
    counts = confusion(truth, prediction, labels)
    total = counts.sum(axis=0) + counts.sum(axis=1)
    occurs = total > 0
    return float(np.mean(2 * np.diag(counts)[occurs] / total[occurs]))


def scores(truth, prediction, labels=None):
    """All scores of one test part, under the names of ``metrics.json``.

    Returns
    -------
    dict
        UA, WA, macro_f1 (fractions), recall (by class) and n (clips).

    Example
    -------
    >>> found = scores(["sad", "angry"], ["sad", "sad"])
    >>> found["UA"], found["recall"], found["n"]
    (0.5, {'angry': 0.0, 'sad': 1.0}, 2)
    """
    truth, prediction = list(truth), list(prediction)
    return {
        "UA": unweighted_accuracy(truth, prediction, labels),
        "WA": weighted_accuracy(truth, prediction, labels),
        "macro_f1": macro_f1(truth, prediction, labels),
        "recall": recall_by_class(truth, prediction, labels),
        "n": len(truth),
    }


def _all_labels(truth, prediction, labels):
    """The classes in order, once both sequences have been checked."""
    if len(truth) != len(prediction):
        raise ValueError(
            f"{len(truth)} true labels and {len(prediction)} predictions: "
            "give one prediction for every clip."
        )
    if not truth:
        raise ValueError("There are no clips to score.")
    occurring = set(truth) | set(prediction)
    if labels is None:
        return sorted(occurring)
    labels = list(labels)
    if len(set(labels)) != len(labels):
        raise ValueError(f"The labels {labels} name a class twice.")
    unknown = sorted(occurring - set(labels), key=str)
    if unknown:
        raise ValueError(
            f"The label {unknown[0]!r} is not one of the classes {labels}."
        )
    return labels
