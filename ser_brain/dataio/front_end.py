"""The frozen front-end's output, computed once per utterance.

The cache holds what an encoder calls its cacheable features, in fp16, at 50
frames per second (wav2vec 1.0: 100). For wav2vec 2.0 this is the CNN's output
after its layer norm: before the projection, whose output is 1.5 times as large
in the base model and fast to compute, and before any dropout or mask. For
Whisper it is the output of its two convolutions.

**Only what is the same in every epoch is cached: an utterance from its start,
up to ``max_seconds``.** The first layer of base models normalises over the
whole input, as Whisper's spectrogram does, so a crop of an utterance's
features differs from the features of the crop. Fine-tuning truncates
utterances: all of them are cached. Adaptation takes random crops: those of
longer utterances (8 % of IEMOCAP, none of SAVEE) are computed each time.
Training therefore gives the same result with and without a cache, except for
fp16's last digit. The same holds for wav2vec 1.0, whose extractor normalises
over time in every layer: its fine-tuning truncates, and is cached, but P1
draws a new crop of nearly every utterance in each epoch, and is not. Tests use
the uncached audio, as a user will.
"""

import torch

from ser_brain.errors import InputError

MODES = ("off", "memory", "disk")


def cache_mode(value):
    """Return the mode that a setting names: off, memory or disk.

    Arguments
    ---------
    value : str, bool or None
        YAML reads a bare ``off`` as False.

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
    """Key of an utterance that is played at a given speed.

    Example
    -------
    >>> at_speed("DC_a01", 1.0), at_speed("DC_a01", 0.9)
    ('DC_a01', 'DC_a01@0.9')
    """
    return name if speed == 1 else f"{name}@{speed:g}"


@torch.no_grad()
def encoded(encoder, signal, device):
    """Compute the cached features of one utterance.

    Arguments
    ---------
    encoder : ser_brain.lobes.encoder.Encoder
        The encoder on its device, with a frozen front-end.
    signal : torch.Tensor
        Waveform at 16 kHz, shape (samples,).
    device : str or torch.device
        The device of the computation, in fp32 whatever the training precision.

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
    """Cache features for the lifetime of the process.

    Arguments
    ---------
    gigabytes : float
        Maximum size; further utterances are computed each time.

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
        """Return features of an utterance, computed if they are not cached."""
        if name in self.kept:
            return self.kept[name]
        features = compute()
        size = features.numel() * features.element_size()
        if size <= self.bytes_left:
            self.bytes_left -= size
            self.kept[name] = features
        return features
