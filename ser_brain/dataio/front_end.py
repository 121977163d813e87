"""The frozen front-end's output, computed once for each utterance.

What is kept is what an encoder calls its cacheable features, in fp16, at 50
frames a second. Of wav2vec 2.0 it is the CNN's output after its layer norm:
before the projection, whose output is half as large again in the base model
and quickly computed, and before any dropout or mask. Of Whisper it is the
output of its two convolutions.

**Only what is the same in every epoch is kept: an utterance from its start,
up to ``max_seconds``.** The first layer of base models normalises over all of
the time that it is given, as Whisper's spectrogram does, so that a crop of an
utterance's features is not the features of the crop. Fine-tuning cuts utterances to their start: all of
them are kept. Adaptation takes random crops: those of longer utterances (8 %
of IEMOCAP, none of SAVEE) are computed each time. Training therefore computes
the same with and without a cache, but for fp16's last digit. wav2vec 1.0
normalises over time in every layer and P1 crops nearly every utterance anew,
so that nothing of it can be kept; tests take the audio as it is, as a user
will.
"""

import torch

from ser_brain.errors import InputError

MODES = ("off", "memory", "disk")


def cache_mode(value):
    """The mode that a setting names: off, memory or disk.

    Arguments
    ---------
    value : str, bool or None
        Yaml reads a bare ``off`` as False.

    Raises
    ------
    InputError
        If there is no such mode.

    Example
    -------
    >>> cache_mode(False), cache_mode("disk")
    ('off', 'disk')
    """
    mode = value or "off"
    if mode not in MODES:
        raise InputError(
            f"--front_end_cache is {value!r}: give one of {', '.join(MODES)}."
        )
    return mode


def at_speed(name, speed):
    """The name under which an utterance is kept that is played at a speed.

    Example
    -------
    >>> at_speed("DC_a01", 1.0), at_speed("DC_a01", 0.9)
    ('DC_a01', 'DC_a01@0.9')
    """
    return name if speed == 1 else f"{name}@{speed:g}"


@torch.no_grad()
def encoded(encoder, signal, device):
    """What is kept of one utterance.

    Arguments
    ---------
    encoder : ser_brain.lobes.encoder.Encoder
        On the device, its front-end frozen.
    signal : torch.Tensor
        Waveform at 16 kHz, shape (samples,).
    device : str or torch.device
        Where it is computed, in fp32 whatever the precision of training.

    Returns
    -------
    torch.Tensor
        fp16 on the CPU, shape (frames, cacheable_dim).

    Raises
    ------
    InputError
        If the features are not finite in fp16.

    Example
    -------
    >>> from ser_brain.assets import folder
    >>> from ser_brain.lobes.wav2vec2 import Wav2Vec2
    >>> encoder = Wav2Vec2(folder("nano_wav2vec2"))
    >>> encoded(encoder, torch.randn(16000), "cpu").dtype
    torch.float16
    """
    features, _ = encoder.cacheable_features(signal[None].to(device), None)
    features = features[0].half().cpu()
    if not bool(features.isfinite().all()):
        raise InputError(
            "the front-end's output is not finite in fp16: give "
            "--front_end_cache off, or another model."
        )
    return features


class MemoryCache:
    """Keeps features for as long as the process lives.

    Arguments
    ---------
    gigabytes : float
        What is kept at most; further utterances are computed each time.

    Example
    -------
    >>> cache = MemoryCache(gigabytes=1)
    >>> cache("a", lambda: torch.ones(2, 3)).shape
    torch.Size([2, 3])
    >>> cache("a", lambda: 1 / 0).shape
    torch.Size([2, 3])
    """

    def __init__(self, gigabytes):
        self.bytes_left = int(gigabytes * 1e9)
        self.kept = {}

    def __call__(self, name, compute):
        """Features of an utterance, computed if they are not kept."""
        if name in self.kept:
            return self.kept[name]
        features = compute()
        size = features.numel() * features.element_size()
        if size <= self.bytes_left:
            self.bytes_left -= size
            self.kept[name] = features
        return features
