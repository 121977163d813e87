"""One k-means in torch: where it starts, its labels, its iterations.

Frames may lie anywhere, also in a memory-mapped file: they are taken in
chunks to the device of the centres, so only one chunk and the centres need
to fit there.
"""

import numpy as np
import torch

from ser_brain.errors import InputError

CHUNK = 8192

# Rounding of one number inside a float32 matrix product, by the precision
# that the caller chose for them in torch.
_ROUNDING = {"none": 2**-24, "ieee": 2**-24, "tf32": 2**-11, "bf16": 2**-8}


def distinct_frames(frames, count, seed):
    """A random choice of frames, no two the same: where k-means starts.

    The released code's k-means starts from random frames too.

    Arguments
    ---------
    frames : torch.Tensor
        Shape (n, dim).
    count : int
        How many to choose.
    seed : int
        Of the random order in which the frames are tried.

    Returns
    -------
    chosen : torch.Tensor
        Shape (count, dim). For one seed, fewer frames are the first of more.

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
    order = np.random.default_rng(seed).permutation(len(frames))
    chosen = {}
    for index in order.tolist():
        # Adding zero turns -0.0, equal but of other bytes, into 0.0.
        key = (frames[index] + 0.0).cpu().numpy().tobytes()
        chosen.setdefault(key, index)
        if len(chosen) == count:
            return frames[list(chosen.values())]
    raise InputError(
        f"k-means cannot find {count} clusters in {len(frames)} frames of "
        f"which {len(chosen)} differ: the largest possible k is "
        f"{len(chosen)}, so lower n_clusters or give more audio."
    )


def nearest_centres(frames, centres, chunk=CHUNK):
    """The nearest centre of each frame, the same on every device.

    Distances are computed in float32. Where the two best lie within the
    rounding error of that, and only there, they are computed again in
    float64; what is a tie even so goes to the lowest index.

    Arguments
    ---------
    frames : torch.Tensor
        float32, shape (n, dim).
    centres : torch.Tensor
        float32, shape (k, dim). The work is done on their device.
    chunk : int
        Frames taken at a time.

    Returns
    -------
    labels : torch.Tensor
        int64, shape (n,), on the frames' device.

    Example
    -------
    >>> centres = torch.tensor([[0.0], [2.0]])
    >>> nearest_centres(torch.tensor([[0.5], [9.0], [1.0]]), centres)
    tensor([0, 1, 0])
    """
    # Distances do not change with the origin; rounding errors do.
    origin = centres.mean(dim=0, dtype=torch.float64)
    centred = centres.double() - origin
    labels = [
        _nearest(some.to(centres.device).double() - origin, centred)
        for some in frames.split(chunk)
    ]
    return torch.cat(labels).to(frames.device)


def _nearest(frames, centres):
    """Labels of float64 frames: by float32, the doubtful ones by float64."""
    # Mixed precision around the caller must not reach these products.
    with torch.autocast(frames.device.type, enabled=False):
        rough = _distances(frames.float(), centres.float())
        labels = rough.argmin(dim=-1)
        product = _product_rounding(frames.device)
        rivals = _within_rounding(rough, frames, centres, product, 2**-24)
        doubtful = rivals.sum(dim=-1) > 1
        unsure = frames[doubtful]
        exact = _distances(unsure, centres)
    ties = _within_rounding(exact, unsure, centres, 2**-53, 2**-53)
    # Of equal maxima argmax gives the first: the lowest index wins a tie.
    labels[doubtful] = ties.int().argmax(dim=-1)
    return labels


def _product_rounding(device):
    """Rounding of a factor in the device's float32 matrix products."""
    on_gpu = device.type == "cuda"
    backend = torch.backends.cuda if on_gpu else torch.backends.mkldnn
    return _ROUNDING[backend.matmul.fp32_precision]


def _distances(frames, centres):
    """Squared distances (n, k), less each frame's own squared norm."""
    return torch.addmm(
        centres.square().sum(dim=-1), frames, centres.T, alpha=-2
    )


def _within_rounding(distances, frames, centres, product, unit):
    """Which distances (n, k) may be the smallest, but for rounding errors.

    An error is at most that of the factors (`product`) and of the sum over
    the dimensions (`unit` each), times the size of the terms.
    """
    longest = centres.norm(dim=-1).max()
    terms = 2 * longest * (frames.norm(dim=-1, keepdim=True) + longest)
    error = (2 * product + (frames.size(-1) + 2) * unit) * terms
    limit = distances.amin(dim=-1, keepdim=True) + 2 * error
    # Written so that a distance that overflowed to NaN is in doubt too.
    return ~(distances > limit)


def lloyd(frames, centres, iterations, chunk=CHUNK):
    """Lloyd's iterations: label the frames, move the centres to the means.

    A cluster left empty starts again at one of the frames that lie farthest
    from their centres. The sums are taken in a fixed order, in float64, so
    that one start always leads to the same centres.

    Arguments
    ---------
    frames : torch.Tensor
        float32, shape (n, dim).
    centres : torch.Tensor
        float32, shape (k, dim): the start, on the device to work on.
    iterations : int
        At most so many; fewer if no centre moves any more.
    chunk : int
        Frames taken at a time.

    Returns
    -------
    centres : torch.Tensor
        float32, shape (k, dim).

    Example
    -------
    >>> frames = torch.tensor([[0.0], [1.0], [8.0], [9.0]])
    >>> lloyd(frames, frames[:2], iterations=20)
    tensor([[0.5000],
            [8.5000]])
    """
    for _ in range(iterations):
        labels = nearest_centres(frames, centres, chunk)
        moved = _means(frames, labels, centres, chunk)
        if torch.equal(moved, centres):
            break
        centres = moved
    return centres


def _means(frames, labels, centres, chunk):
    """Mean of each cluster's frames; an empty cluster gets a far frame."""
    sums = torch.zeros_like(centres, dtype=torch.float64)
    counts = torch.zeros(len(centres), dtype=torch.int64, device=sums.device)
    for some, label in zip(
        frames.split(chunk), labels.split(chunk), strict=True
    ):
        label = label.to(sums.device)
        # Sorted and summed by segment: scattered additions on a GPU come
        # in any order, and so with another rounding each time.
        by_label = some.to(sums.device)[label.argsort(stable=True)]
        members = label.bincount(minlength=len(centres))
        sums += torch.segment_reduce(
            by_label.double(), "sum", lengths=members, axis=0, initial=0.0
        )
        counts += members
    means = (sums / counts.clamp(min=1).unsqueeze(-1)).to(centres.dtype)
    empty = counts == 0
    if empty.any():
        far = _farthest(frames, labels, centres, int(empty.sum()), chunk)
        means[empty] = far
    return means


def _farthest(frames, labels, centres, count, chunk):
    """The `count` frames farthest from their own centres."""
    distances = torch.cat(
        [
            (some.to(centres.device) - centres[label.to(centres.device)])
            .square()
            .sum(dim=-1)
            for some, label in zip(
                frames.split(chunk), labels.split(chunk), strict=True
            )
        ]
    )
    farthest = distances.argsort(descending=True, stable=True)[:count]
    return frames[farthest.to(frames.device)].to(centres.device)
