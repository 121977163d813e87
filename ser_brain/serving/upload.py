"""Untrusted audio: decoded within limits, or refused."""

from dataclasses import dataclass
from io import BytesIO

import soundfile

from ser_brain.dataio.audio import (
    SAMPLE_RATE,
    UNREADABLE,
    check_rate,
    decoded,
    resampled,
)
from ser_brain.errors import InputError
from ser_brain.inference.checks import check_length, check_values

TOO_LARGE, NO_AUDIO, UNUSABLE = 413, 415, 422


class Refusal(InputError):
    """An upload that is not classified, and why.

    Arguments
    ---------
    status : int
        The HTTP status.
    sentence : str
        What is wrong and how to correct it.
    headers : dict, optional
        Headers of the HTTP response.

    Example
    -------
    >>> raise Refusal(415, "The body is not an audio file: send a wav.")
    Traceback (most recent call last):
    ...
    ser_brain.serving.upload.Refusal: The body is not an audio file: send a wav.
    """

    def __init__(self, status, sentence, headers=None):
        super().__init__(sentence)
        self.status = status
        self.headers = headers


@dataclass(frozen=True)
class Limits:
    """The largest upload that is classified.

    Arguments
    ---------
    seconds : float
        Maximum duration of the audio. megabytes : float
        Maximum size of the file, in units of 1 000 000 bytes.
    """

    seconds: float = 60.0
    megabytes: float = 20.0

    def __post_init__(self):
        for name, value in vars(self).items():
            if not 0 < value < float("inf"):
                raise InputError(
                    f"max_{name} is {value}: give a number above 0."
                )

    @property
    def bytes(self):
        """Of the file."""
        return int(self.megabytes * 1e6)

    def too_large(self):
        """The refusal of a larger file."""
        return Refusal(
            TOO_LARGE,
            f"The file is larger than {self.megabytes:g} MB: send a shorter "
            "or a compressed recording.",
        )

    def too_long(self):
        """The refusal of a longer file."""
        return Refusal(
            UNUSABLE,
            f"The file is longer than {self.seconds:g} s: send a part of it.",
        )


def decode(content, limits, shortest):
    """Decode a waveform as ``classify_file`` does, within the limits.

    Arguments
    ---------
    content : bytes
        The file: anything soundfile opens by its content.
    limits : Limits
        Limits of an upload. The header is not trusted: decoding stops at the
        limit.
    shortest : int
        Minimum number of samples at 16 kHz that the model needs.

    Returns
    -------
    torch.Tensor
        Mono waveform at 16 kHz, float32, shape (samples,).

    Raises
    ------
    Refusal
        413 if the file is too large, 415 if it is not audio, 422 if it is too
        long, too short, or holds values that are not finite.

    Example
    -------
    >>> import numpy
    >>> file = BytesIO()
    >>> soundfile.write(file, numpy.zeros(8000), 8000, format="wav")
    >>> decode(file.getvalue(), Limits(), shortest=400).shape
    torch.Size([16000])
    >>> decode(file.getvalue(), Limits(seconds=0.5), shortest=400)
    Traceback (most recent call last):
    ...
    ser_brain.serving.upload.Refusal: The file is longer than 0.5 s: ...
    """
    if len(content) > limits.bytes:
        raise limits.too_large()
    try:
        signal, rate = _mono(content, limits)
    except UNREADABLE as error:
        # soundfile's own message names an object in memory.
        reason = getattr(error, "error_string", str(error)).rstrip(".")
        raise Refusal(
            NO_AUDIO,
            f"The file cannot be read as audio ({reason}): send one that "
            "soundfile opens, such as wav or flac.",
        ) from error
    try:
        check_rate("The file", rate)
        wav = resampled(signal, rate, SAMPLE_RATE)
        check_length("The file", len(wav), shortest)
        check_values("The file", wav)
    except InputError as error:
        raise Refusal(UNUSABLE, str(error)) from error
    return wav


def _mono(content, limits):
    """Return the mean over channels, shape (samples,), and the sample rate."""
    with soundfile.SoundFile(BytesIO(content)) as file:
        rate = file.samplerate
        longest = limits.seconds * rate
        signal = decoded(file, longest)
    if len(signal) > longest:
        raise limits.too_long()
    return signal, rate
