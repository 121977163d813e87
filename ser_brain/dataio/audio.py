"""Audio files to mono waveforms at 16 kHz."""

import soundfile
import torch
from torchaudio.functional import resample

from ser_brain.errors import InputError

SAMPLE_RATE = 16000
# A speed is played by resampling to so many samples.
STEPS = 100
# What soundfile raises: a stream of unknown length is a ValueError to it, a
# file without a header a TypeError.
UNREADABLE = (soundfile.LibsndfileError, OSError, RuntimeError)
UNREADABLE += (ValueError, TypeError)


def sample_count(seconds):
    """Samples at 16 kHz of so many seconds, rounded down.

    Example
    -------
    >>> sample_count(0.5)
    8000
    """
    return int(seconds * SAMPLE_RATE)


def played(signal, speed):
    """A waveform played at another speed, its pitch with it.

    Arguments
    ---------
    signal : torch.Tensor
        Shape (samples,).
    speed : float
        1.1 is a tenth faster and higher; a multiple of 0.01.

    Returns
    -------
    torch.Tensor
        Shape (samples / speed,).

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
    if speed == 1:
        return signal
    return resample(signal, round(STEPS * speed), STEPS)


def read_audio(path, sample_rate=SAMPLE_RATE):
    """Reads a file of any rate and channel count.

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
        channels, resampled by torchaudio.

    Raises
    ------
    InputError
        If the file is missing, empty or no audio.

    Example
    -------
    >>> import numpy, tempfile
    >>> with tempfile.NamedTemporaryFile(suffix=".wav") as file:
    ...     soundfile.write(file.name, numpy.zeros((44100, 2)), 44100)
    ...     read_audio(file.name).shape
    torch.Size([16000])
    """
    try:
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except UNREADABLE as error:
        raise InputError(
            f"{path} cannot be read as audio ({error}): give a file that "
            "soundfile opens, such as wav or flac."
        ) from error
    if len(samples) == 0:
        raise InputError(f"{path} holds no samples: record or copy it again.")
    wav = torch.from_numpy(samples).mean(1)
    return wav if rate == sample_rate else resample(wav, rate, sample_rate)
