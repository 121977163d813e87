"""When a recording or its answer gets a warning, and what the warning says.

The rules are conventions: none was chosen by the score on a corpus.
"""

import logging
import math

from ser_brain.dataio.audio import SAMPLE_RATE

# Fraction of full scale: 80 dB below it there is only noise or nothing.
SILENCE = 1e-4
# Level of speech in dBFS; telephony's nominal level is -26 dBFS.
QUIET = -50.0
FRAME = SAMPLE_RATE // 10
ACTIVE = 20.0  # dB below the loudest frame
# The label of an unsure answer has a posterior below the first, or leads the
# next class by less than the second.
UNSURE, LEAD = 0.5, 0.1
ABOUT_SOUND = {
    "silent": "{file} is silent, or its channels cancel each other out: its "
    "label means nothing.",
    "quiet": f"{{file}} is too quiet (its speech is below {QUIET:g} dBFS): "
    "record it closer to the microphone, or with more gain.",
}

logger = logging.getLogger(__name__)


def speech_level(wav):
    """Measure the level of speech: the RMS of a waveform's active frames.

    Frames last 100 ms and do not overlap; those within 20 dB of the loudest
    are active, so that pauses do not lower the level.

    Arguments
    ---------
    wav : torch.Tensor
        Waveform at 16 kHz in [-1, 1], shape (samples,), of at least a sample.

    Returns
    -------
    float
        In dBFS: 0 is an RMS of 1, and a sine of full amplitude has -3.

    Example
    -------
    >>> import torch
    >>> tone = 0.1 * torch.arange(16000).mul(0.5).sin()
    >>> round(speech_level(tone)), round(speech_level(tone.repeat(2) / 10))
    (-23, -43)
    >>> round(speech_level(torch.cat([tone, torch.zeros(64000)])))
    -23
    """
    size = min(len(wav), FRAME)
    frames = wav[: len(wav) // size * size].double().view(-1, size)
    powers = frames.square().mean(dim=1)
    loudest = powers.max()
    if loudest == 0:
        return -math.inf
    active = powers >= loudest * 10 ** (-ACTIVE / 10)
    return 10 * math.log10(powers[active].mean())


def sound_warnings(wav):
    """The warnings of a waveform.

    Arguments
    ---------
    wav : torch.Tensor
        As for :func:`speech_level`.

    Returns
    -------
    list of str
        ``silent`` if no sample exceeds 0.0001, else ``quiet`` if the speech is
        below -50 dBFS, else nothing.

    Example
    -------
    >>> import torch
    >>> noise = torch.randn(16000, generator=torch.Generator().manual_seed(0))
    >>> [sound_warnings(noise * gain) for gain in (0, 0.001, 0.1)]
    [['silent'], ['quiet'], []]
    """
    if float(wav.abs().max()) < SILENCE:
        return ["silent"]
    return ["quiet"] if speech_level(wav) < QUIET else []


def answer_warnings(posteriors):
    """The warnings of an answer.

    Arguments
    ---------
    posteriors : sequence of float
        Probability of each class.

    Returns
    -------
    list of str
        ``unsure`` if the largest posterior is below 0.5, or less than 0.1
        above the next one; else nothing.

    Example
    -------
    >>> answer_warnings([0.6, 0.3, 0.1]), answer_warnings([0.4, 0.3, 0.3])
    ([], ['unsure'])
    >>> answer_warnings([0.52, 0.48]), answer_warnings([1.0])
    (['unsure'], [])
    """
    best, *others = sorted(posteriors, reverse=True)
    lead = best - max(others, default=0.0)
    return ["unsure"] if best < UNSURE or lead < LEAD else []


def sentences(record):
    """What the warnings of a record say.

    Arguments
    ---------
    record : dict
        Of ``classify_files``.

    Returns
    -------
    list of str

    Example
    -------
    >>> shares = {"calm": 0.4, "sad": 0.25, "angry": 0.35}
    >>> record = {"file": "a.wav", "posteriors": shares, "warnings": ["unsure"]}
    >>> sentences(record)
    ['a.wav has no clear label: calm has 40.0 %, angry 35.0 %.']
    """
    return [
        _unsure(record)
        if each == "unsure"
        else ABOUT_SOUND[each].format(file=record["file"])
        for each in record.get("warnings", ())
    ]


def _unsure(record):
    """The sentence of an unsure answer, which names the two nearest classes."""
    shares = record["posteriors"]
    near = sorted(shares, key=shares.get, reverse=True)[:2]
    (first, one), (second, two) = ((name, 100 * shares[name]) for name in near)
    return (
        f"{record['file']} has no clear label: {first} has {one:.1f} %, "
        f"{second} {two:.1f} %."
    )


def log_sound(path, warnings):
    """Log those of the warnings that are about the recording.

    Arguments
    ---------
    path : str or pathlib.Path
        The file.
    warnings : list of str
        As :func:`sound_warnings` returns them; others are ignored.
    """
    for each in warnings:
        if each in ABOUT_SOUND:
            logger.warning(ABOUT_SOUND[each].format(file=path))
