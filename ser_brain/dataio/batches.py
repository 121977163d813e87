"""The utterances of each update: a pure function of the seed."""

import contextlib
import random

import numpy as np
import torch
from torch.utils.data import Sampler

from ser_brain.errors import InputError


def seeded(*numbers):
    """Return a CPU generator seeded by all the numbers.

    Example
    -------
    >>> draw = torch.rand(1, generator=seeded(1, 2, 3))
    >>> bool(draw == torch.rand(1, generator=seeded(1, 2, 3)))
    True
    >>> bool(draw == torch.rand(1, generator=seeded(1, 2, 4)))
    False
    """
    return torch.Generator().manual_seed(mixed_seed(*numbers))


def mixed_seed(*numbers):
    """Combine several integers into one 63-bit seed (FNV-1a on their words).

    Example
    -------
    >>> mixed_seed(1, 2) != mixed_seed(2, 1)
    True
    """
    state = 0xCBF29CE484222325
    for number in numbers:
        for shift in (0, 32):
            word = (int(number) >> shift) & 0xFFFFFFFF
            state = ((state ^ word) * 0x100000001B3) % 2**64
            state ^= state >> 29
    return state >> 1


@contextlib.contextmanager
def global_seed(seed):
    """Seed the global CPU generators for a block, then restore them.

    For code that takes no generator: Python, NumPy and torch are seeded.

    Arguments
    ---------
    seed : int
        In [0, 2**32), as NumPy requires.

    Example
    -------
    >>> with global_seed(1):
    ...     draw = torch.rand(1)
    >>> with global_seed(1):
    ...     bool(draw == torch.rand(1))
    True
    """
    python, numpy = random.getstate(), np.random.get_state()
    with torch.random.fork_rng(devices=[]):
        random.seed(seed)
        np.random.seed(seed)
        torch.random.default_generator.manual_seed(seed)
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy)


def data_parallel():
    """Return this process's rank and the number of data-parallel processes.

    Returns
    -------
    tuple of int
        ``(0, 1)`` if there is only one.

    Example
    -------
    >>> data_parallel()
    (0, 1)
    """
    distributed = torch.distributed
    if not (distributed.is_available() and distributed.is_initialized()):
        return 0, 1
    return distributed.get_rank(), distributed.get_world_size()


class UpdateSampler(Sampler):
    """Yield one batch of utterance indices per update.

    A pass goes over all utterances once, in a new order. Without buckets it
    is a random permutation; with them utterances of similar length stay
    together (sorted by length, split into buckets, shuffled within each), and
    the batches come in random order. Utterances left over at the end of a pass
    are dropped, as in the released code.

    An epoch is a pass or, if the length of the stage is given in updates,
    ``updates_per_epoch`` of them. Epoch ``e`` yields the same batches whatever
    was run before.

    Arguments
    ---------
    durations : list of float
        Seconds of each utterance as used, after the crop.
    batch_size : int, optional
        Utterances per batch.
    batch_seconds : float, optional
        Seconds of audio after which a batch is closed, instead of a size.
    buckets : int
        Number of length buckets; 1 for none.
    updates : int, optional
        Updates in the whole stage, divided into epochs of
        ``updates_per_epoch``; by default an epoch is one pass.
    updates_per_epoch : int, optional
        Updates per epoch; needed with ``updates``.
    seed : int
        Seed of the order.
    rank, world : int
        Data-parallel rank and number of ranks: each takes every ``world``-th
        utterance of a batch, so that an update always sees one batch. A rank
        for which there is none is lent the first one.
    setting : str
        Name of the batch size in the yaml, for the error message.

    Raises
    ------
    InputError
        If not a single batch can be filled.

    Example
    -------
    >>> sampler = UpdateSampler([1.0] * 10, batch_size=4, seed=1)
    >>> [len(batch) for batch in sampler]
    [4, 4]
    """

    def __init__(
        self,
        durations,
        batch_size=None,
        batch_seconds=None,
        buckets=1,
        updates=None,
        updates_per_epoch=None,
        seed=0,
        rank=0,
        world=1,
        setting="batch_size",
    ):
        self.durations = torch.tensor(durations, dtype=torch.float64)
        self.batch_size = batch_size
        self.batch_seconds = batch_seconds
        self.buckets = min(buckets, len(durations))
        self.updates = updates
        self.updates_per_epoch = updates_per_epoch
        self.seed = seed
        self.rank, self.world = rank, world
        self.epoch = 1
        self._starts = [0]
        self._batches = (0, [])
        if not self.one_pass(0):
            wanted = batch_seconds if batch_size is None else batch_size
            raise InputError(
                f"--{setting} {wanted} cannot be filled from "
                f"{len(durations)} training utterances "
                f"({float(self.durations.sum()):.0f} s of audio): give a "
                "smaller one."
            )

    def set_epoch(self, epoch):
        """Choose the epoch, counted from 1, of the next iteration."""
        self.epoch = epoch

    def one_pass(self, number):
        """Return the batches of one pass over the utterances as index lists."""
        generator = seeded(self.seed, number)
        if self.buckets > 1:
            order = torch.argsort(self.durations, stable=True)
            parts = order.tensor_split(self.buckets)
        else:
            parts = [torch.arange(len(self.durations))]
        shuffled = [
            part[torch.randperm(len(part), generator=generator)]
            for part in parts
        ]
        batches = self._cut(torch.cat(shuffled).tolist())
        if self.buckets > 1:
            order = torch.randperm(len(batches), generator=generator)
            batches = [batches[index] for index in order.tolist()]
        return batches

    def _cut(self, order):
        """Close a batch at its size, or once it holds its seconds."""
        batches, batch, seconds = [], [], 0.0
        for index in order:
            batch.append(index)
            seconds += float(self.durations[index])
            if self.batch_size is not None:
                full = len(batch) >= self.batch_size
            else:
                full = seconds >= self.batch_seconds
            if full:
                batches.append(batch)
                batch, seconds = [], 0.0
        return batches

    def batches(self):
        """Yield the batches of this epoch before they are split among ranks."""
        if self._batches[0] != self.epoch:
            self._batches = (self.epoch, self._epoch_batches())
        return self._batches[1]

    def _epoch_batches(self):
        if self.updates is None:
            return self.one_pass(self.epoch)
        first = (self.epoch - 1) * self.updates_per_epoch
        wanted = min(self.updates - first, self.updates_per_epoch)
        number, batches = self._pass_at(first)
        position = first - self._starts[number]
        chosen = []
        while len(chosen) < wanted:
            if position == len(batches):
                number, position = number + 1, 0
                batches = self.one_pass(number)
            chosen.append(batches[position])
            position += 1
        return chosen

    def _pass_at(self, update):
        """Find the pass of an update; passes may differ in length."""
        number = 0
        batches = self.one_pass(number)
        while self._starts[number] + len(batches) <= update:
            if len(self._starts) == number + 1:
                self._starts.append(self._starts[number] + len(batches))
            number += 1
            batches = self.one_pass(number)
        return number, batches

    def __iter__(self):
        for batch in self.batches():
            yield batch[self.rank :: self.world] or batch[:1]

    def __len__(self):
        return len(self.batches())
