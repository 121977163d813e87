"""Dropout on the CPU, from 16 random bits an element.

torch draws one Bernoulli number an element there, which takes an eighth of a
fine-tuning step; 16 bits of its generator's integers do as well.
"""

import math

import torch
from torch import nn

LEVELS = 2**16
# Integers as wide as the features.
INTEGERS = {torch.bfloat16: torch.int16, torch.float32: torch.int32}


def keep_mask(shape, probability):
    """Which elements dropout leaves, from torch's own generator.

    Arguments
    ---------
    shape : tuple of int
        Of the mask.
    probability : float
        That an element is dropped; rounded to a multiple of 2**-16.

    Returns
    -------
    torch.Tensor
        int8, on the CPU: 1 for those left, 0 for those dropped.

    Example
    -------
    >>> keep_mask((2, 1000), 0.1).float().mean() > 0.8
    tensor(True)
    """
    count = math.prod(shape)
    words = torch.empty(-(-count // 4), dtype=torch.int64)
    words.random_(-(2**63), None)
    bits = words.view(torch.int16)[:count].view(shape)
    threshold = round(probability * LEVELS) - LEVELS // 2
    # A comparison that gives bool takes seven times as long.
    return torch.ge(bits, threshold, out=torch.empty(shape, dtype=torch.int8))


def scaled_where(kept, features, scale):
    """Kept features, scaled; 0 elsewhere, whatever was there.

    Their bits times 0 or 1: in bfloat16 a tenth of the time of
    ``torch.where``.
    """
    bits = features.view(INTEGERS[features.dtype]) * kept
    return bits.view(features.dtype).mul_(scale)


def is_quick(features, probability):
    """Whether `dropout` serves these features, and drops any."""
    known = features.device.type == "cpu" and features.dtype in INTEGERS
    return known and 0 < probability < 1


class _Keep(torch.autograd.Function):
    """Kept elements are scaled up, the others are 0."""

    @staticmethod
    def forward(ctx, features, kept, scale):
        """Kept elements times the scale."""
        ctx.save_for_backward(kept)
        ctx.scale = scale
        return scaled_where(kept, features, scale)

    @staticmethod
    def backward(ctx, grad):
        """The gradient of the kept elements times the scale."""
        (kept,) = ctx.saved_tensors
        return scaled_where(kept, grad, ctx.scale), None, None


def dropout(features, probability):
    """Dropout of features on the CPU.

    Arguments
    ---------
    features : torch.Tensor
        float32 or bfloat16, any shape, on the CPU.
    probability : float
        That an element is dropped, below 1.

    Returns
    -------
    torch.Tensor
        The same shape; what is kept is divided by ``1 - probability``.

    Example
    -------
    >>> dropout(torch.ones(1000), 0.5).unique()
    tensor([0., 2.])
    """
    kept = keep_mask(features.shape, probability)
    return _Keep.apply(features, kept, 1 / (1 - probability))


class QuickDropout(nn.Dropout):
    """Dropout, drawn quickly on the CPU in float32 and bfloat16.

    Everywhere else it is ``torch.nn.Dropout`` to the last bit.

    Example
    -------
    >>> layer = QuickDropout(0.5)
    >>> layer(torch.ones(1000, dtype=torch.bfloat16)).unique().tolist()
    [0.0, 2.0]
    >>> layer.eval()(torch.ones(2)).tolist()
    [1.0, 1.0]
    """

    def forward(self, features):
        """Features of any shape."""
        if self.training and is_quick(features, self.p):
            return dropout(features, self.p)
        return super().forward(features)
