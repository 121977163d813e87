"""Audio files to mono waveforms at 16 kHz."""

import logging
import math
from pathlib import Path

import soundfile
import soxr
import torch

from ser_brain.corpora.audio import BLOCK, LOWEST_RATE, blocks, cut_short
from ser_brain.errors import InputError

SAMPLE_RATE = 16000
# The resampler, which is part of the key of all cached results.
RESAMPLER = "soxr HQ"
# A speed change is resampling to this rate.
STEPS = 100
# Errors of soundfile: ValueError for a stream of unknown length, TypeError for
# a file without a header.
UNREADABLE = (soundfile.LibsndfileError, OSError, RuntimeError)
UNREADABLE += (ValueError, TypeError)
SMALL_BLOCK = 1024  # samples; blocks in which the part before a fault is read

logger = logging.getLogger(__name__)


def sample_count(seconds):
    """Number of samples at 16 kHz for a duration, rounded down.

    Example
    -------
    >>> sample_count(0.5)
    8000
    """
    return int(seconds * SAMPLE_RATE)


def resampled(signal, rate, new_rate):
    """Resample a waveform to another rate.

    It uses soxr, whose memory does not depend on the two rates. torchaudio's
    kernel grows with rate / gcd(rate, new_rate): one second at 47 981 Hz would
    take 10 GB.

    Arguments
    ---------
    signal : torch.Tensor
        Shape (samples,), float32, on any device.
    rate, new_rate : int
        In Hz.

    Returns
    -------
    torch.Tensor
        Shape (samples * new_rate / rate,), rounded, as
        :func:`resampled_count` says; on the same device.

    Example
    -------
    >>> len(resampled(torch.zeros(47981), 47981, 16000))
    16000
    """
    if rate == new_rate:
        return signal
    samples = signal.detach().cpu().numpy()
    samples = soxr.resample(samples, rate, new_rate, quality="HQ")
    return torch.from_numpy(samples).to(signal.device)


def resampled_count(samples, rate, new_rate=SAMPLE_RATE):
    """Number of samples of a waveform at another rate.

    Example
    -------
    >>> resampled_count(1000, 44100), len(resampled(torch.zeros(3), 2, 1))
    (363, 2)
    """
    return (2 * samples * new_rate + rate) // (2 * rate)


def played(signal, speed):
    """Play a waveform at another speed, which also changes its pitch.

    Arguments
    ---------
    signal : torch.Tensor
        Shape (samples,).
    speed : float
        1.1 is a tenth faster and higher; a multiple of 0.01.

    Returns
    -------
    torch.Tensor
        Shape (samples / speed,), rounded.

    Raises
    ------
    InputError
        If the speed is not between 0.5 and 2.

    Example
    -------
    >>> len(played(torch.zeros(1100), 1.1))
    1000
    """
    if not 0.5 <= speed <= 2:
        raise InputError(f"a speed is {speed}: give factors from 0.5 to 2.")
    return resampled(signal, round(STEPS * speed), STEPS)


def check_rate(path, rate):
    """Refuse a sample rate too low for speech.

    Raises
    ------
    InputError
        If it is below 1000 Hz.

    Example
    -------
    >>> check_rate("a.wav", 8000)
    >>> check_rate("a.wav", 1)
    Traceback (most recent call last):
    ...
    ser_brain.errors.InputError: a.wav has a sampling rate of 1 Hz: ...
    """
    if rate < LOWEST_RATE:
        raise InputError(
            f"{path} has a sampling rate of {rate} Hz: give a recording of at "
            f"least {LOWEST_RATE} Hz, or correct the file's header."
        )


def read_audio(path, sample_rate=SAMPLE_RATE):
    """Read a file of any sample rate and number of channels.

    A truncated file is read as far as possible, with a warning that names both
    lengths.

    Arguments
    ---------
    path : str or Path
        Anything soundfile opens (wav, flac, ogg, mp3, ...).
    sample_rate : int
        Rate of the result in Hz.

    Returns
    -------
    torch.Tensor
        Mono waveform in [-1, 1], float32, shape (samples,): the mean over
        channels, resampled by soxr.

    Raises
    ------
    InputError
        If the file is missing, empty or not audio, or its rate is below 1000
        Hz.

    Example
    -------
    >>> import numpy, tempfile
    >>> with tempfile.NamedTemporaryFile(suffix=".wav") as file:
    ...     soundfile.write(file.name, numpy.zeros((44100, 2)), 44100)
    ...     read_audio(file.name).shape
    torch.Size([16000])
    """
    if not Path(path).exists():
        raise InputError(
            f"{path} cannot be read: there is no such file; check its path."
        )
    try:
        with soundfile.SoundFile(path) as file:
            rate = file.samplerate
            signal = decoded(file)
            fault = cut_short(file, len(signal))
    except UNREADABLE as error:
        raise InputError(
            f"{path} cannot be read as audio ({error}): give a file that "
            "soundfile opens, such as wav or flac."
        ) from error
    if len(signal) == 0:
        raise InputError(f"{path} holds no samples: record or copy it again.")
    check_rate(path, rate)
    if fault is not None:
        logger.warning(f"{path} {fault}; copy it again to have all of it.")
    return resampled(signal, rate, sample_rate)


def decoded(file, longest=math.inf):
    """Decode as much as possible, and return the mean over channels.

    Arguments
    ---------
    file : soundfile.SoundFile
        Open for reading, at its beginning.
    longest : float
        Samples per channel; of a longer file at most one more block is read.

    Returns
    -------
    torch.Tensor
        Shape (samples,), float32, at the file's own rate.

    Raises
    ------
    soundfile.LibsndfileError
        If nothing can be decoded.
    """
    try:
        return _mono(file, max(1, BLOCK // file.channels), longest)
    except soundfile.LibsndfileError:
        # A cut FLAC ends in an error, and the block with the error is lost.
        # libsndfile cannot always go back in one: it is opened again.
        source = file.name
        if hasattr(source, "seek"):
            source.seek(0)
        with soundfile.SoundFile(source) as again:
            return _mono(again, SMALL_BLOCK, longest, skips=True)


def _mono(file, size, longest, skips=False):
    """The mean over channels, read in blocks; perhaps up to a fault."""
    parts, count = [torch.zeros(0)], 0
    try:
        for block in blocks(file, size):
            parts.append(torch.from_numpy(block).mean(1))
            count += len(block)
            if count > longest:
                break
    except soundfile.LibsndfileError:
        if not skips or len(parts) == 1:
            raise
    return torch.cat(parts)
