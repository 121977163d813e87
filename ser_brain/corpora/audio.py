"""Check that every audio file can be used for training."""

import os
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import soundfile

from ser_brain.bars import passing_bar
from ser_brain.errors import InputError

# One frame of wav2vec 2.0 sees 400 samples at 16 kHz; less gives no frame.
SHORTEST = 0.025  # seconds
# Nobody records speech below this rate; a damaged header may state it, and a
# short file would then become hours of audio.
LOWEST_RATE = 1000  # Hz
BLOCK = 1 << 18  # samples read at once, so that long files fit in memory
# libsndfile shortens a cut file to what is there, and reports it only in its
# log, for WAV, AIFF, AU, W64 and RF64.
CUT_SHORT = re.compile(
    r"^ *(?:data|SSND|Data Size|riff|Riff size) *: (\d+) "
    r"\(should be (\d+)\)",
    re.MULTILINE,
)
# libsndfile's length of a stream whose header does not state it.
UNKNOWN_LENGTH = 2**63 - 1
# Of an Ogg stream, in bytes, and the flag of its last one (RFC 3533).
LONGEST_PAGE, LAST_PAGE = 65307, 4
# Programs that write into a pipe leave the size open, as the largest number.
SIZE_LEFT_OPEN = 0x7FFFF000


class BadAudio(Exception):
    """What is wrong with one file; the caller names the file."""


def check_audio_files(paths, workers=None, progress=True):
    """Decode every file once and return the durations.

    Arguments
    ---------
    paths : list of pathlib.Path
        The audio files.
    workers : int, optional
        Threads that read at the same time; by default one per processor, at
        most 16. soundfile decodes outside Python's lock.
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
        shorter than 25 ms, or has a rate below 1000 Hz, or holds a value that
        is not a finite number. All files are tried first; the first bad one is
        named.

    Example
    -------
    >>> check_audio_files([], progress=False)
    []
    """
    workers = workers or min(16, os.cpu_count() or 1)
    with ThreadPoolExecutor(workers) as pool:
        results = list(
            passing_bar(
                pool.map(_duration_or_fault, paths),
                total=len(paths),
                desc="Checking audio",
                unit="file",
                disable=None if progress else True,
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
    """Return the fault instead of raising it: all files are checked."""
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
        raise BadAudio(f"is not a readable audio file ({reason})") from error


def blocks(file, size=BLOCK):
    """Yield the samples of a file, whatever length its header states.

    soundfile's own ``read`` allocates as much memory as the header states.

    Arguments
    ---------
    file : soundfile.SoundFile
        Open for reading.
    size : int
        Samples per channel in a block.

    Yields
    ------
    numpy.ndarray
        Shape (samples, channels), float32.
    """
    while len(block := file.read(size, dtype="float32", always_2d=True)):
        yield block


def _check_header(file):
    """Check that the header describes sound."""
    if file.samplerate < LOWEST_RATE or file.channels <= 0:
        raise BadAudio(f"has {file.channels} channels at {file.samplerate} Hz")


def promised_frames(file):
    """Samples per channel according to the header of a file.

    Arguments
    ---------
    file : soundfile.SoundFile
        Open for reading.

    Returns
    -------
    int
        0 if the header does not state the length.

    Example
    -------
    >>> import io
    >>> stream = io.BytesIO()
    >>> soundfile.write(stream, np.zeros(800), 8000, format="WAV")
    >>> cut = io.BytesIO(stream.getvalue()[:444])
    >>> with soundfile.SoundFile(cut) as file:
    ...     file.frames, promised_frames(file)
    (200, 800)
    """
    cut = CUT_SHORT.search(file.extra_info)
    if cut is not None and 0 < int(cut[2]) < int(cut[1]) < SIZE_LEFT_OPEN:
        return round(file.frames * int(cut[1]) / int(cut[2]))
    return 0 if file.frames == UNKNOWN_LENGTH else file.frames


def cut_short(file, frames):
    """How a file is cut short, as part of a sentence; None if it is not.

    Arguments
    ---------
    file : soundfile.SoundFile
        Open for reading.
    frames : int
        Samples per channel that could be decoded.

    Returns
    -------
    str or None
        For example "is cut short: its header promises 2.00 s, it holds 0.67
        s".
    """
    promised, rate = promised_frames(file), file.samplerate
    # A header that is off by a few bytes is common and harmless.
    if frames >= 0.99 * promised:
        if file.format != "OGG" or ogg_ends(file.name):
            return None
        return f"is cut short: its last page is missing after {frames / rate:.2f} s"
    return (
        f"is cut short: its header promises {promised / rate:.2f} s, it holds "
        f"{frames / rate:.2f} s"
    )


def ogg_ends(path):
    """Whether the last page of an Ogg stream is marked as the last one.

    Ogg has no header that states how long a stream is.
    """
    with open(path, "rb") as stream:
        stream.seek(max(0, Path(path).stat().st_size - LONGEST_PAGE))
        tail = stream.read()
    _, page, header = tail.rpartition(b"OggS")
    # The byte after that of the version; the file may end before it.
    return bool(page and header[1:2] and header[1] & LAST_PAGE)


def _check_samples(file):
    """Count the samples per channel and check that all are finite."""
    frames = 0
    for block in blocks(file):
        if not np.isfinite(block).all():
            raise BadAudio("holds samples that are NaN or infinite")
        frames += len(block)
    fault = cut_short(file, frames)
    if fault is not None:
        raise BadAudio(fault)
    if frames < SHORTEST * file.samplerate:
        raise BadAudio(
            f"lasts {1000 * frames / file.samplerate:.1f} ms, less than the "
            "25 ms of one frame"
        )
    return frames
