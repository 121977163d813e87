"""Many audio files to padded batches of like length.

Lengths are taken from the files' headers, so that batches are known before
anything is decoded, and no more than a few of them lie in memory.
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

# The first CNN layer of a base model holds 6.5 MB a padded second in fp32,
# and a few times that while it is computed: 2 to 3 GB in all.
GPU_SECONDS = 120.0
# Of a batch's longest file: shorter ones begin the next batch. Padding costs
# what audio costs, and on a CPU a batch saves little else.
LIKE_LENGTH = 0.9
MOST_WORKERS = 8


def check_options(batch_seconds, num_workers, device):
    """What was asked for, or what suits the device.

    Arguments
    ---------
    batch_seconds : float or None
        Most padded audio in a batch. None: 15 s on a CPU, where smaller
        batches hold less padding, and 120 s elsewhere.
    num_workers : int or None
        Processes that decode. None: none on a CPU, whose cores have enough
        to do, and one a core, at most 8, elsewhere.
    device : torch.device
        Where it is computed.

    Returns
    -------
    batch_seconds : float
    num_workers : int

    Raises
    ------
    InputError
        If there are no seconds, or fewer than no workers.

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
    """Samples at 16 kHz that a file will have, by its header.

    Arguments
    ---------
    path : str or Path
        Anything soundfile opens.

    Returns
    -------
    int
        As many as ``read_audio`` gives, unless the header is wrong.

    Raises
    ------
    InputError
        If the file is missing or no audio.

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
        # Decoding tells, or raises the sentence that says why it cannot.
        return len(read_audio(path))
    check_rate(path, header.samplerate)
    return resampled_count(header.frames, header.samplerate)


def batches_by_length(samples, seconds):
    """Which files are computed together, the longest first.

    Arguments
    ---------
    samples : list of int, or dict
        Samples of each file at 16 kHz, by its place.
    seconds : float
        Most padded audio in a batch; a longer file is one of its own.

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


def windows(samples, longest):
    """Cuts an utterance into windows of equal length, which do not overlap.

    Arguments
    ---------
    samples : int
        Of the utterance.
    longest : int
        Most samples of a window.

    Returns
    -------
    list of slice
        Together the whole utterance; lengths differ by a sample at most.

    Example
    -------
    >>> windows(7, longest=3)
    [slice(0, 2, None), slice(2, 4, None), slice(4, 7, None)]
    """
    count = -(-samples // longest)
    ends = [samples * place // count for place in range(count + 1)]
    return [slice(*pair) for pair in zip(ends, ends[1:])]


class AudioFiles(Dataset):
    """Files by their place in a list, decoded when they are asked for.

    What cannot be read is returned as its InputError: raised in a worker, it
    would arrive with the worker's traceback in its sentence.

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
    """The place of each bad file and what is wrong with it.

    Arguments
    ---------
    skips : bool
        Go on after a bad file; else the first one ends the work.

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
        """Keeps the InputError of a file, or lets it pass."""
        try:
            yield
        except InputError as error:
            if not self.skips:
                raise
            self[place] = error


def padded_and_faults(items):
    """The padded batch, if a file is good, and the place and fault of others.

    Padded in the worker: a batch then crosses to the main process as one
    block of memory and not as one a file.
    """
    good = [item for item in items if isinstance(item, SimpleNamespace)]
    bad = [item for item in items if not isinstance(item, SimpleNamespace)]
    return padded(good, "cpu") if good else None, bad


def padded_batches(paths, batches, num_workers, faults):
    """Decodes and pads, in the order of the batches.

    Arguments
    ---------
    paths : list of str or Path
        The files.
    batches : list of list of int
        Places in ``paths``.
    num_workers : int
        Processes that decode ahead; 0: this one, when it needs a batch.
    faults : Faults
        Where a file that cannot be decoded goes to.

    Yields
    ------
    SimpleNamespace
        ``wavs`` (batch, samples) at 16 kHz, ``wav_lens`` (relative),
        ``samples`` (counts) and ``place`` of each file, on the CPU.

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
