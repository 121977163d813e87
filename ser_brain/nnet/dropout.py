"""Dropout in bfloat16 on the CPU, from 16 random bits an element.

torch draws one Bernoulli number an element there, which takes a tenth of a
fine-tuning step; 16 bits of its generator's integers do as well.
"""

import math

import torch
from torch import nn

LEVELS = 2**16


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
        Bool, on the CPU.

    Example
    -------
    >>> keep_mask((2, 1000), 0.1).float().mean() > 0.8
    tensor(True)
    """
    count = math.prod(shape)
    words = torch.empty(-(-count // 4), dtype=torch.int64)
    words.random_(-(2**63), None)
    bits = words.view(torch.int16)[:count].view(shape)
    return bits >= round(probability * LEVELS) - LEVELS // 2


class _Keep(torch.autograd.Function):
    """Kept elements are scaled up, the others are 0."""

    @staticmethod
    def forward(ctx, features, kept, scale):
        ctx.save_for_backward(kept)
        ctx.scale = scale
        return torch.where(kept, features, 0).mul_(scale)

    @staticmethod
    def backward(ctx, grad):
        (kept,) = ctx.saved_tensors
        return torch.where(kept, grad, 0).mul_(ctx.scale), None, None


def dropout(features, probability):
    """Dropout of bfloat16 features on the CPU.

    Arguments
    ---------
    features : torch.Tensor
        Any shape, on the CPU.
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
    """Dropout, drawn quickly where torch is slow: bfloat16 on the CPU.

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
        slow = features.device.type == "cpu"
        slow &= features.dtype == torch.bfloat16
        if slow and self.training and 0 < self.p < 1:
            return dropout(features, self.p)
        return super().forward(features)
