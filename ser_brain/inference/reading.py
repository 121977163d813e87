"""From many audio files to padded batches of similar length.

Lengths are taken from the files' headers, so that batches are planned before
anything is decoded, and only a few of them are in memory at a time.
"""

import os
from contextlib import contextmanager
from types import SimpleNamespace

import soundfile
from torch.utils.data import DataLoader, Dataset

from ser_brain.corpora.audio import UNKNOWN_LENGTH
from ser_brain.dataio.audio import (
    SAMPLE_RATE,
    UNREADABLE,
    check_rate,
    read_audio,
    resampled_count,
)
from ser_brain.dataio.budget import CPU_SECONDS
from ser_brain.dataio.utterances import padded
from ser_brain.errors import InputError

# The first CNN layer of a base model holds 6.5 MB per padded second in fp32,
# and a few times that while it is computed: 2 to 3 GB in total.
GPU_SECONDS = 120.0
# Fraction of a batch's longest file: shorter ones begin the next batch.
# Padding costs as much as audio, and on a CPU batching saves little.
LIKE_LENGTH = 0.9
MOST_WORKERS = 8
# Batches' worth of audio that is sorted by length. More makes batches fuller
# and lets the first result wait longer.
NEAR = 4


def check_options(batch_seconds, num_workers, device):
    """Check the options, and choose defaults that suit the device.

    Arguments
    ---------
    batch_seconds : float or None
        Maximum padded audio per batch. None: 15 s on a CPU, where smaller
        batches hold less padding, and 120 s elsewhere.
    num_workers : int or None
        Processes that decode. None: 0 on a CPU, whose cores are busy, and one
        per core, at most 8, elsewhere.
    device : torch.device
        The device of the computation.

    Returns
    -------
    batch_seconds : float
    num_workers : int

    Raises
    ------
    InputError
        If the seconds are not above 0, or the workers are below 0.

    Example
    -------
    >>> import torch
    >>> check_options(None, None, torch.device("cpu"))
    (15.0, 0)
    """
    on_cpu = device.type == "cpu"
    if batch_seconds is None:
        batch_seconds = CPU_SECONDS if on_cpu else GPU_SECONDS
    if num_workers is None:
        num_workers = 0 if on_cpu else min(MOST_WORKERS, os.cpu_count() or 1)
    if not batch_seconds > 0:
        raise InputError(
            f"batch_seconds is {batch_seconds}: give seconds above 0."
        )
    if num_workers < 0:
        raise InputError(
            f"num_workers is {num_workers}: give 0, which decodes in this "
            "process, or more."
        )
    return batch_seconds, num_workers


def header_samples(path):
    """Number of samples of a file at 16 kHz, according to its header.

    Arguments
    ---------
    path : str or Path
        Anything soundfile opens.

    Returns
    -------
    int
        The same as ``read_audio`` returns, unless the header is wrong.

    Raises
    ------
    InputError
        If the file is missing or not audio.

    Example
    -------
    >>> import numpy, tempfile
    >>> with tempfile.NamedTemporaryFile(suffix=".wav") as file:
    ...     soundfile.write(file.name, numpy.zeros(1000), 44100)
    ...     header_samples(file.name), len(read_audio(file.name))
    (363, 363)
    """
    try:
        header = soundfile.info(path)
    except UNREADABLE:
        header = None
    if header is None or header.frames == UNKNOWN_LENGTH:
        # Decode to find out, or raise the error that explains why not.
        return len(read_audio(path))
    check_rate(path, header.samplerate)
    return resampled_count(header.frames, header.samplerate)


def batches_by_length(samples, seconds):
    """Group files into batches, the longest first.

    Arguments
    ---------
    samples : list of int, or dict
        Samples of each file at 16 kHz, by index.
    seconds : float
        Maximum padded audio per batch; a longer file is its own batch.

    Returns
    -------
    list of list of int
        Places in ``samples``; each occurs once.

    Example
    -------
    >>> batches_by_length([16000, 32000, 31000, 30000], seconds=4)
    [[1, 2], [3], [0]]
    """
    batches, longest = [], 0
    places = samples if isinstance(samples, dict) else range(len(samples))
    for place in sorted(places, key=lambda p: -samples[p]):
        alike = samples[place] >= LIKE_LENGTH * longest
        padded_after = longest * (len(batches[-1]) + 1) if batches else 0
        if batches and alike and padded_after <= seconds * SAMPLE_RATE:
            batches[-1].append(place)
        else:
            batches.append([place])
            longest = samples[place]
    return batches


def batches_in_order(samples, seconds):
    """Group files into batches of files that are near each other.

    Arguments
    ---------
    samples : dict
        Samples of each file at 16 kHz, by index, in the order of the files.
    seconds : float
        As for :func:`batches_by_length`.

    Returns
    -------
    list of list of int
        The batches of :func:`batches_by_length` for the first files, of
        four times ``seconds`` of audio, then those of the next.

    Example
    -------
    >>> batches_in_order({n: 16000 for n in range(6)}, seconds=1)
    [[0], [1], [2], [3], [4], [5]]
    >>> batches_in_order({0: 9000, 1: 16000, 2: 9000}, seconds=0.3)
    [[1], [0], [2]]
    """
    batches, near, total = [], {}, 0
    for place, count in samples.items():
        near[place] = count
        total += count
        if total >= NEAR * seconds * SAMPLE_RATE:
            batches += batches_by_length(near, seconds)
            near, total = {}, 0
    return batches + batches_by_length(near, seconds)


def in_order(answers):
    """Yield answers in the order of their indices, as soon as that is known.

    Arguments
    ---------
    answers : iterable of (int, object)
        Every index from 0 once, in any order.

    Yields
    ------
    object
        The answers.

    Example
    -------
    >>> list(in_order([(2, "c"), (0, "a"), (1, "b")]))
    ['a', 'b', 'c']
    """
    waiting, following = {}, 0
    for place, answer in answers:
        waiting[place] = answer
        while following in waiting:
            yield waiting.pop(following)
            following += 1


def windows(samples, longest):
    """Split an utterance into windows of equal length without overlap.

    Arguments
    ---------
    samples : int
        Samples of the utterance.
    longest : int
        Maximum samples per window.

    Returns
    -------
    list of slice
        Together the whole utterance; lengths differ by at most one sample.

    Example
    -------
    >>> windows(7, longest=3)
    [slice(0, 2, None), slice(2, 4, None), slice(4, 7, None)]
    """
    count = -(-samples // longest)
    ends = [samples * place // count for place in range(count + 1)]
    return [slice(*pair) for pair in zip(ends, ends[1:])]


class AudioFiles(Dataset):
    """Files by their index in a list, decoded on demand.

    The InputError of a file that cannot be read is returned: raised in a
    worker, it would arrive with the worker's traceback in its message.

    Arguments
    ---------
    paths : list of str or Path
        The files.
    """

    def __init__(self, paths):
        self.paths = paths

    def __len__(self):
        return len(self.paths)

    def __getitem__(self, place):
        try:
            signal = read_audio(self.paths[place])
        except InputError as error:
            return place, error
        return SimpleNamespace(place=place, signal=signal)


class Faults(dict):
    """The index of each bad file and what is wrong with it.

    Arguments
    ---------
    skips : bool
        Continue after a bad file; else the first one ends the work.

    Example
    -------
    >>> faults = Faults(skips=True)
    >>> with faults.of(3):
    ...     raise InputError("c.wav is empty: copy it again.")
    >>> faults
    {3: InputError('c.wav is empty: copy it again.')}
    """

    def __init__(self, skips):
        super().__init__()
        self.skips = skips

    @contextmanager
    def of(self, place):
        """Record the InputError of a file, or raise it."""
        try:
            yield
        except InputError as error:
            if not self.skips:
                raise
            self[place] = error

    def told(self, paths):
        """Remove all faults; yield index and record of each file."""
        for place in sorted(self):
            error = str(self.pop(place))
            yield place, {"file": str(paths[place]), "error": error}


def padded_and_faults(items):
    """Return the batch of good files, and the index and fault of the others.

    It is padded in the worker, so that a batch is passed to the main process
    as one block of memory and not as one per file.
    """
    good = [item for item in items if isinstance(item, SimpleNamespace)]
    bad = [item for item in items if not isinstance(item, SimpleNamespace)]
    return padded(good, "cpu") if good else None, bad


def padded_batches(paths, batches, num_workers, faults):
    """Decode and pad, in the order of the batches.

    Arguments
    ---------
    paths : list of str or Path
        The files.
    batches : list of list of int
        Places in ``paths``.
    num_workers : int
        Processes that decode ahead; 0: this process, when it needs a batch.
    faults : Faults
        Records files that cannot be decoded.

    Yields
    ------
    SimpleNamespace
        ``wavs`` (batch, samples) at 16 kHz, ``wav_lens`` (relative),
        ``samples`` (counts) and ``place`` (index) of each file, on the CPU.

    Raises
    ------
    InputError
        If a file cannot be decoded, and ``faults`` skips none.
    """
    loader = DataLoader(
        AudioFiles(paths),
        batch_sampler=batches,
        collate_fn=padded_and_faults,
        num_workers=min(num_workers, len(batches)),
    )
    for batch, bad in loader:
        for place, error in bad:
            with faults.of(place):
                raise error
        if batch is not None:
            yield batch
