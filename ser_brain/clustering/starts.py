"""Initial centres of k-means: frames of which no two are equal."""

import numpy as np
import torch
from sklearn.cluster import kmeans_plusplus

from ser_brain.errors import InputError

# k-means++ chooses among this many random frames per centre: its time grows
# with their number times k.
SAMPLE = 4


def distinct_frames(frames, count, seed):
    """Choose random frames, no two equal, as initial centres of k-means.

    The k-means of the released code starts from random frames, too.

    Arguments
    ---------
    frames : numpy.ndarray or torch.Tensor
        Shape (n, dim); may be memory-mapped.
    count : int
        Number of frames to choose.
    seed : int
        Seed of the random order in which the frames are tried.

    Returns
    -------
    chosen : torch.Tensor
        float32, shape (count, dim), on the CPU. With the same seed, a smaller
        choice is the beginning of a larger one.

    Raises
    ------
    InputError
        If there are fewer distinct frames than that.

    Example
    -------
    >>> frames = torch.tensor([[1.0], [2.0], [1.0]])
    >>> distinct_frames(frames, 2, seed=0).sum()
    tensor(3.)
    """
    chosen = _distinct(frames, count, seed)
    if len(chosen) == count:
        return chosen
    raise InputError(
        f"k-means cannot find {count} clusters in {len(frames)} frames of "
        f"which {len(chosen)} differ: the largest possible k is "
        f"{len(chosen)}, so lower n_clusters or give more audio."
    )


def spread_frames(frames, count, seed):
    """Choose frames by k-means++: far apart, from dense regions.

    scikit-learn's greedy k-means++ over a random sample of the frames,
    `SAMPLE` times as many as are wanted.

    Arguments
    ---------
    frames, count, seed
        As for `distinct_frames`.

    Returns
    -------
    chosen : torch.Tensor
        float32, shape (count, dim), on the CPU.

    Raises
    ------
    InputError
        If there are fewer distinct frames than that.

    Example
    -------
    >>> frames = torch.tensor([[1.0], [2.0], [1.0]])
    >>> spread_frames(frames, 2, seed=0).sum()
    tensor(3.)
    """
    distinct_frames(frames, count, seed)
    sample = _distinct(frames, SAMPLE * count, seed).numpy()
    _, chosen = kmeans_plusplus(sample, count, random_state=seed)
    return torch.from_numpy(sample[chosen])


def _distinct(frames, most, seed):
    """Up to `most` distinct frames, float32 on the CPU."""
    order = np.random.default_rng(seed).permutation(len(frames))
    chosen = {}
    for index in order.tolist():
        frame = frames[index]
        if isinstance(frame, torch.Tensor):
            frame = frame.detach().cpu().numpy()
        # Adding zero turns -0.0 (equal, but other bytes) into 0.0.
        frame = np.asarray(frame, np.float32) + np.float32(0)
        chosen.setdefault(frame.tobytes(), frame)
        if len(chosen) == most:
            break
    return torch.from_numpy(np.stack(list(chosen.values())))
