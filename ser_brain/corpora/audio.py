"""Is every audio file fit to be trained on?"""

import os
import re
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import soundfile
from tqdm import tqdm

from ser_brain.errors import InputError

# One frame of wav2vec 2.0 sees 400 samples at 16 kHz; less gives no frame.
SHORTEST = 0.025  # seconds
# Nobody records speech below this rate; a damaged header may promise it, and
# a short file would then become hours of audio.
LOWEST_RATE = 1000  # Hz
BLOCK = 1 << 18  # samples read at once, so that long files fit in memory
# libsndfile shortens a cut file to what is there, and tells only in its log:
# of WAV, AIFF, AU, W64 and RF64.
CUT_SHORT = re.compile(
    r"^ *(?:data|SSND|Data Size|riff|Riff size) *: (\d+) \(should be (\d+)\)",
    re.MULTILINE,
)
# Programs that write into a pipe leave the size open, as the largest number.
SIZE_LEFT_OPEN = 0x7FFFF000


class BadAudio(Exception):
    """Tells what is wrong with one file; the caller names the file."""


def check_audio_files(paths, workers=None, progress=True):
    """Decode every file once and tell how long it is.

    Arguments
    ---------
    paths : list of pathlib.Path
        The audio files.
    workers : int, optional
        Threads that read at the same time; one a processor, at most 16, by
        default. soundfile decodes outside Python's lock.
    progress : bool
        Show a progress bar.

    Returns
    -------
    list of float
        The durations in seconds, each at its file's own sampling rate.

    Raises
    ------
    InputError
        If any file does not open, has no channel or rate, is cut short,
        shorter than 25 ms, or has a rate below 1000 Hz, or
        holds a value that is no finite number. All
        files are tried first; the first bad one is named.

    Example
    -------
    >>> check_audio_files([], progress=False)
    []
    """
    workers = workers or min(16, os.cpu_count() or 1)
    with ThreadPoolExecutor(workers) as pool:
        results = list(
            tqdm(
                pool.map(_duration_or_fault, paths),
                total=len(paths),
                desc="Checking audio",
                unit="file",
                disable=not progress,
            )
        )
    bad = [
        (path, result)
        for path, result in zip(paths, results, strict=True)
        if isinstance(result, BadAudio)
    ]
    if bad:
        path, fault = bad[0]
        more = f" ({len(bad) - 1} more files are bad)" if bad[1:] else ""
        raise InputError(f"{path} {fault}: copy it again or take it out{more}.")
    return results


def _duration_or_fault(path):
    """Return the fault instead of raising it: the other files go on."""
    try:
        return _duration(path)
    except BadAudio as fault:
        return fault


def _duration(path):
    """Read the whole file and return its duration in seconds."""
    if not path.is_file():
        raise BadAudio("does not exist")
    if path.stat().st_size == 0:
        raise BadAudio("is empty (0 bytes)")
    try:
        with soundfile.SoundFile(path) as file:
            _check_header(file)
            return _check_samples(file) / file.samplerate
    except soundfile.LibsndfileError as error:
        reason = error.error_string.rstrip(".")
        raise BadAudio(f"is no readable audio file ({reason})") from error


def _check_header(file):
    """The header promises sound, and no more than the file holds."""
    if file.samplerate < LOWEST_RATE or file.channels <= 0:
        raise BadAudio(f"has {file.channels} channels at {file.samplerate} Hz")
    cut = bytes_cut_off(file)
    if cut is not None:
        raise BadAudio(f"is cut short ({cut[0]} of {cut[1]} bytes)")


def bytes_cut_off(file):
    """Bytes that a cut file has, and those that its header promises.

    Arguments
    ---------
    file : soundfile.SoundFile
        An open file.

    Returns
    -------
    tuple of int or None
        None for a whole file.
    """
    cut = CUT_SHORT.search(file.extra_info)
    if cut is None:
        return None
    promised, there = int(cut[1]), int(cut[2])
    # A header that is a few bytes off is common and harmless.
    whole = promised >= SIZE_LEFT_OPEN or there >= 0.99 * promised
    return None if whole else (there, promised)


def _check_samples(file):
    """Count the samples of a channel and see that all are numbers."""
    frames = 0
    for block in file.blocks(BLOCK, dtype="float32"):
        if not np.isfinite(block).all():
            raise BadAudio("holds samples that are NaN or infinite")
        frames += len(block)
    if frames < SHORTEST * file.samplerate:
        raise BadAudio(
            f"lasts {1000 * frames / file.samplerate:.1f} ms, less than the "
            "25 ms of one frame"
        )
    return frames
