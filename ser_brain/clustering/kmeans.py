"""Lloyd's iterations for several k at once, over frames that may be on disk.

Frames are read in blocks, once per iteration for all k, so memory grows with
their number only by what is kept per frame: 8 bytes per k, for its label and a
lower bound on the distance to the next centre.
"""

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import repeat

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from ser_brain.bars import passing_bar
from ser_brain.clustering.following import Follower
from ser_brain.clustering.pictures import Basis
from ser_brain.errors import InputError

# Frames read at a time, and frames labelled at a time by a thread or a GPU.
BLOCK = 16384
# Bytes of the frames' pictures kept from one iteration to the next.
PICTURES = 1e9
CHUNK = {"cpu": 2048, "cuda": 8192}


def blocks(frames, device="cpu", size=BLOCK):
    """Yield blocks of frames as float32 on a device.

    Arguments
    ---------
    frames : numpy.ndarray or torch.Tensor
        Shape (n, dim), of any float type; may be memory-mapped.
    device : str or torch.device
        The device of the blocks.
    size : int
        Frames per block.

    Yields
    ------
    block : torch.Tensor
        float32, shape (at most size, dim).

    Example
    -------
    >>> [len(block) for block in blocks(np.zeros((5, 1)), size=2)]
    [2, 2, 1]
    """
    for begin in range(0, len(frames), size):
        some = frames[begin : begin + size]
        if isinstance(some, np.ndarray):
            # A copy: torch takes no read-only memory.
            some = torch.from_numpy(np.array(some, np.float32))
        yield some.detach().to(device, torch.float32)


@contextmanager
def workers(device):
    """Return a `map` that spreads work over the processor's threads.

    Many short steps parallelise better with one whole chunk per thread than
    with each step spread over all threads. On a GPU it is Python's own `map`.
    Results keep the order of the work.

    Arguments
    ---------
    device : torch.device
        The device that does the work.

    Example
    -------
    >>> with workers(torch.device("cpu")) as spread:
    ...     list(spread(abs, [-1, 2]))
    [1, 2]
    """
    if device.type != "cpu":
        yield map
        return
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1), ThreadPoolExecutor(threads) as pool:
            yield pool.map
    finally:
        torch.set_num_threads(threads)


class Labels:
    """The labels of all frames at every k, for the latest centres.

    Arguments
    ---------
    frames : numpy.ndarray or torch.Tensor
        Shape (n, dim), as for `blocks`.
    centres : sequence of torch.Tensor
        float32, each of shape (k, dim), on the device to work on.
    size : int
        Frames read at a time.

    Attributes
    ----------
    labels : torch.Tensor
        int32, shape (n, len(centres)), on the CPU.

    Example
    -------
    >>> frames = torch.tensor([[0.0], [1.0], [8.0]])
    >>> labels = Labels(frames, [frames[:1], frames[1:]])
    >>> with workers(frames.device) as spread:
    ...     blocks_done = len(list(labels.update(labels.centres, spread)))
    >>> labels.labels.T
    tensor([[0, 0, 0],
            [0, 0, 1]], dtype=torch.int32)
    """

    def __init__(self, frames, centres, size=BLOCK):
        self.frames = frames
        self.centres = list(centres)
        self.size = size
        self.basis = Basis(torch.cat(self.centres))
        shape = len(frames), len(self.centres)
        self.labels = torch.zeros(shape, dtype=torch.int32)
        self._others = torch.zeros(shape)
        self._pictures = {}
        width = self.basis.axes.size(-1) + 5
        self._keeps_pictures = 4 * width * len(frames) <= PICTURES
        self._known = False

    def update(self, centres, spread):
        """Label all frames for new centres, block by block.

        Arguments
        ---------
        centres : sequence of torch.Tensor
            Centres of the same shapes as before.
        spread : callable
            As returned by `workers`.

        Yields
        ------
        block : torch.Tensor
            float32 frames, on the device of the centres.
        labels : torch.Tensor
            int64, shape (len(block), len(centres)), on the same device.
        """
        before = self.centres if self._known else [None] * len(centres)
        followers = [
            Follower(now, self.basis, then)
            for now, then in zip(centres, before)
        ]
        device = centres[0].device
        chunk = CHUNK[device.type]
        parts = zip(
            blocks(self.frames, device, self.size),
            self.labels.split(self.size),
            self._others.split(self.size),
        )

        def work(frames, picture, labels, others):
            if picture is None:
                picture = self.basis.picture(frames, torch.float32)
            for i, follower in enumerate(followers):
                follower.follow(frames, picture, labels[:, i], others[:, i])
            return picture

        def begin(number, block, *kept):
            labels, others = (each.to(device) for each in kept)
            pictures = self._pictures.get(number, repeat(None))
            chunks = (each.split(chunk) for each in (labels, others))
            work_done = spread(work, block.split(chunk), pictures, *chunks)
            return number, block, kept, (labels, others), work_done

        def end(number, block, kept, found, work_done):
            pictures = list(work_done)
            if self._keeps_pictures:
                self._pictures[number] = pictures
            for old, new in zip(kept, found):
                old.copy_(new)
            return block, found[0].long()

        # A block is read and begun before the last one has ended, so that
        # no thread waits.
        begun = deque()
        for number, part in enumerate(parts):
            begun.append(begin(number, *part))
            if len(begun) > 1:
                yield end(*begun.popleft())
        yield from (end(*each) for each in begun)
        self.centres = list(centres)
        self._known = True


def lloyd(frames, starts, iterations, after=None, first=0, size=BLOCK):
    """Lloyd's iterations: label the frames, move the centres to the means.

    A cluster left empty restarts at one of the frames that are farthest from
    their centres. The sums are taken in a fixed order, in float64, so
    that one start always leads to the same centres.

    Arguments
    ---------
    frames : numpy.ndarray or torch.Tensor
        Shape (n, dim), as for `blocks`.
    starts : sequence of torch.Tensor
        float32, each of shape (k, dim), on the device to work on.
    iterations : int
        Maximum number of iterations; fewer if the centres stop moving.
    after : callable, optional
        Called after each iteration with the number of iterations done and the
        list of centres.
    first : int
        Iterations done before.
    size : int
        Frames read at a time.

    Returns
    -------
    centres : list of torch.Tensor
        float32, of the shapes of `starts`.

    Example
    -------
    >>> frames = torch.tensor([[0.0], [1.0], [8.0], [9.0]])
    >>> lloyd(frames, [frames[:1], frames[:2]], iterations=20)
    [tensor([[4.5000]]), tensor([[0.5000],
            [8.5000]])]
    """
    centres = list(starts)
    labels = Labels(frames, centres, size)
    progress = passing_bar(
        total=iterations * len(frames),
        initial=first * len(frames),
        desc="k-means",
        unit="frames",
        unit_scale=True,
    )
    with progress, workers(centres[0].device) as spread:
        for done in range(first + 1, iterations + 1):
            moved = _iteration(labels, centres, spread, progress)
            still = all(map(torch.equal, moved, centres))
            centres = moved
            if after is not None:
                after(done, centres)
            if still:
                break
    return centres


def _iteration(labels, centres, spread, progress):
    """The means of each cluster's frames, for every set of centres."""
    means = [_Means(before) for before in centres]
    adding = ()
    for block, found in labels.update(centres, spread):
        # One set per thread, block after block: each sum keeps the order of
        # the frames.
        list(adding)
        adding = spread(_Means.add, means, repeat(block), found.unbind(dim=-1))
        progress.update(len(block))
    list(adding)
    columns = labels.labels.unbind(dim=-1)
    return [
        one.centres(labels.frames, column, labels.size)
        for one, column in zip(means, columns)
    ]


class _Means:
    """Sums and counts of the frames of each cluster."""

    def __init__(self, before):
        self.before = before
        self.sums = torch.zeros_like(before, dtype=torch.float64)
        self.counts = before.new_zeros(len(before), dtype=torch.int64)

    def add(self, frames, labels):
        """Add frames (n, dim) with labels (n,)."""
        members = labels.bincount(minlength=len(self.sums))
        self.counts += members
        if not frames.is_cuda:
            chunk = CHUNK["cpu"]
            for some, label in zip(frames.split(chunk), labels.split(chunk)):
                self.sums.index_add_(0, label, some.double())
            return
        # Sorted and summed by segment: scattered additions on a GPU come in
        # any order, so that their rounding differs each time.
        self.sums += torch.segment_reduce(
            frames[labels.argsort(stable=True)].double(),
            "sum",
            lengths=members,
            axis=0,
            initial=0.0,
        )

    def centres(self, frames, labels, size):
        """The means, float32; far frames in place of empty clusters."""
        sizes = self.counts.clamp(min=1).unsqueeze(-1)
        means = (self.sums / sizes).to(self.before.dtype)
        empty = self.counts == 0
        if empty.any():
            means[empty] = _farthest(
                frames, labels, self.before, int(empty.sum()), size
            )
        return means


def _farthest(frames, labels, centres, count, size):
    """The `count` frames farthest from their own centres."""
    farthest = centres.new_zeros(0)
    found = centres.new_zeros(0, centres.size(-1))
    for block, some in zip(
        blocks(frames, centres.device, size), labels.split(size), strict=True
    ):
        own = centres[some.to(centres.device).long()]
        distances = (block - own).square().sum(dim=-1)
        farthest = torch.cat([farthest, distances])
        order = farthest.argsort(descending=True, stable=True)[:count]
        farthest = farthest[order]
        found = torch.cat([found, block])[order]
    return found


def check_numbers(frames):
    """Raise InputError if a number is not finite or its square overflows."""
    bad, largest = 0, 0.0
    for block in blocks(frames):
        largest = max(largest, block.abs().max().item())
        # The sum of a row is finite only if all of it is.
        rows = block.sum(dim=-1, dtype=torch.float64)
        bad += int((~rows.isfinite()).sum())
    if bad:
        raise InputError(
            f"{bad} of {len(frames)} frames hold NaN or infinity: check the "
            "model that made them."
        )
    if largest and not 1e-15 < largest < 1e15:
        raise InputError(
            f"the largest number in the frames is {largest:g}: k-means takes "
            "1e-15 to 1e15, so check the model that made them."
        )
