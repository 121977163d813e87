r"""Soft pseudo-labels: a frame is shared among its nearest centres.

.. math:: q_j \propto \exp(-(d_j^2 - d_1^2) / (T \sigma^2))

over the nearest ``top`` centres of a k-means, where :math:`d_j` is the
frame's distance to the j-th nearest and :math:`\sigma^2` the mean of
:math:`d_1^2` over all frames, the k-means' inertia per frame. The temperature
T therefore has no unit: at 1, a centre whose squared distance is larger by
:math:`\sigma^2` gets a share smaller by a factor of e.
"""

import numpy as np
import torch

from ser_brain.errors import InputError

# Number of distances held at once, 8 bytes each.
BLOCK = 1 << 23


def soft_labels(ensemble, frames, top, temperature):
    """Find the nearest centres of each frame and their shares, for every k.

    Arguments
    ---------
    ensemble : KMeansEnsemble
        Fitted.
    frames : numpy.ndarray
        Of any float type, shape (frames, dim); may be memory-mapped.
    top : int
        Number of centres that share a frame.
    temperature : float
        Above 0; higher values give more even shares.

    Returns
    -------
    labels : numpy.ndarray
        int32, shape (frames, number of k * top): the ``top`` centres of the
        first k, nearest first, then those of the next.
    shares : numpy.ndarray
        float16, of the same shape; they sum to 1 per frame and k.

    Raises
    ------
    InputError
        If a k is below ``top``, or the temperature is not above 0.

    Example
    -------
    >>> from ser_brain.clustering import KMeansEnsemble
    >>> frames = np.array([[0.0], [1.0], [8.0], [9.0]], np.float32)
    >>> ensemble = KMeansEnsemble(n_clusters=(2,)).fit(frames)
    >>> labels, shares = soft_labels(ensemble, frames, 2, temperature=100)
    >>> shares[0].round(2), shares.sum(1)
    (array([0.95, 0.05], dtype=float16), array([1., 1., 1., 1.], dtype=float16))
    """
    check_soft(ensemble.n_clusters, top, temperature)
    labels, shares = [], []
    for centres in ensemble.centres:
        nearest, squares = nearest_centres(frames, centres, top)
        scale = temperature * max(squares[:, 0].mean(), 1e-30)
        weights = np.exp((squares[:, :1] - squares) / scale)
        labels.append(nearest)
        shares.append(weights / weights.sum(1, keepdims=True))
    shares = np.concatenate(shares, 1).astype(np.float16)
    return np.concatenate(labels, 1), shares


def check_soft(n_clusters, top, temperature):
    """Refuse more centres than exist, and a temperature that is not above 0.

    Arguments
    ---------
    n_clusters : sequence of int
        The k of each k-means.
    top, temperature
        As for ``soft_labels``.

    Raises
    ------
    InputError
        If a k is below ``top``, or the temperature is not above 0.
    """
    if not temperature > 0:
        raise InputError(
            f"--soft_temperature is {temperature}: give a number above 0."
        )
    smallest = min(n_clusters)
    if top > smallest:
        raise InputError(
            f"--soft_top is {top}, but the smallest k-means has {smallest} "
            f"centres: give --soft_top {smallest} or less, or larger "
            "--n_clusters."
        )


def nearest_centres(frames, centres, top):
    """Find the nearest centres of each frame, nearest first.

    Arguments
    ---------
    frames : numpy.ndarray
        Shape (frames, dim).
    centres : torch.Tensor
        Shape (k, dim).
    top : int
        Number of centres, at most k.

    Returns
    -------
    nearest : numpy.ndarray
        int32, shape (frames, top).
    squares : numpy.ndarray
        float64, squared distances, of the same shape.

    Example
    -------
    >>> frames, centres = np.array([[0.0], [3.0]]), torch.tensor([[0.0], [4.0]])
    >>> nearest_centres(frames, centres, 2)[1]
    array([[ 0., 16.],
           [ 1.,  9.]])
    """
    centres = centres.double()
    size = max(BLOCK // len(centres), 1)
    nearest, squares = [], []
    for first in range(0, len(frames), size):
        block = np.array(frames[first : first + size], np.float64)
        found = torch.cdist(torch.from_numpy(block), centres).topk(
            top, largest=False
        )
        nearest.append(found.indices.numpy().astype(np.int32))
        squares.append(found.values.square().numpy())
    return np.concatenate(nearest), np.concatenate(squares)
