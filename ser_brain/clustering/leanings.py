"""Which class the frames of each cluster come from."""

import numpy as np


def class_shares(labels, classes, n_clusters, n_classes):
    r"""Compute how each cluster's frames are distributed over the classes.

    .. math:: s_{jc} \propto n_{jc} / n_c

    where :math:`n_{jc}` frames of class c are in cluster j and :math:`n_c` in
    total: the classes' shares as if all had the same number of frames. A
    cluster leans to the class with the largest share.

    Arguments
    ---------
    labels : sequence of numpy.ndarray
        Cluster of each frame of each utterance, integers of shape (frames,).
    classes : sequence of int
        Class of each utterance.
    n_clusters, n_classes : int
        Numbers of clusters and of classes.

    Returns
    -------
    numpy.ndarray
        Shape (n_clusters, n_classes), rows summing to 1; a cluster without
        frames has equal shares.

    Example
    -------
    >>> labels = [np.array([0, 0, 1]), np.array([1, 1, 1])]
    >>> class_shares(labels, [0, 1], n_clusters=3, n_classes=2)
    array([[1.  , 0.  ],
           [0.25, 0.75],
           [0.5 , 0.5 ]])
    """
    counts = np.zeros((n_clusters, n_classes))
    for each, number in zip(labels, classes, strict=True):
        counts[:, number] += np.bincount(each, minlength=n_clusters)
    rates = counts / counts.sum(axis=0).clip(min=1)
    totals = rates.sum(axis=1, keepdims=True)
    equal = np.full_like(rates, 1 / n_classes)
    return np.divide(rates, totals, out=equal, where=totals > 0)
