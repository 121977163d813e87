"""Attention with dropout on the CPU.

torch has a fused kernel for every other case. With dropout on the CPU it draws
random numbers slowly and falls back to products in fp32, at less than half the
speed of bfloat16.
"""

import torch
from torch import nn
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from ser_brain.nnet.dropout import (
    QuickDropout,
    dropout as drop,
    is_quick,
)

NAME = "ser_brain"


def additive_mask(padding, dtype):
    """Mask that keeps attention from padded frames.

    Arguments
    ---------
    padding : torch.Tensor
        Bool, shape (batch, frames), True beyond a clip's end.
    dtype : torch.dtype
        A floating type.

    Returns
    -------
    torch.Tensor
        To be added to the scores, shape (batch, 1, frames, frames): the
        smallest number of the type at keys that are padding, else 0.

    Example
    -------
    >>> mask = additive_mask(torch.tensor([[False, True]]), torch.float32)
    >>> mask.shape, (mask < 0)[0, 0].tolist()
    (torch.Size([1, 1, 2, 2]), [[False, True], [False, True]])
    """
    mask = torch.zeros_like(padding, dtype=dtype)
    mask = mask.masked_fill(padding, torch.finfo(dtype).min)[:, None, None]
    return mask.expand(-1, 1, padding.shape[1], -1)


def attention(
    module,
    query,
    key,
    value,
    attention_mask,
    dropout=0.0,
    scaling=None,
    **kwargs,
):
    """Scaled dot-product attention with the signature that transformers calls.

    Arguments
    ---------
    module : nn.Module
        The attention layer that calls it.
    query, key, value : torch.Tensor
        Shape (batch, heads, frames, head_dim).
    attention_mask : torch.Tensor or None
        Added to the scores, shape (batch, 1, frames, frames).
    dropout : float
        Of the weights, 0 outside of training.
    scaling : float
        Factor of the scores.
    **kwargs
        Passed on to transformers' own function.

    Returns
    -------
    states : torch.Tensor
        Shape (batch, frames, heads, head_dim).
    weights : None
        Not given.
    """
    if not is_quick(query, dropout):
        return sdpa_attention_forward(
            module,
            query,
            key,
            value,
            attention_mask,
            dropout=dropout,
            scaling=scaling,
            **kwargs,
        )
    scores = (query * scaling) @ key.transpose(2, 3)
    if attention_mask is not None:
        scores = scores + attention_mask.to(scores.dtype)
    weights = drop(scores.softmax(-1, dtype=scores.dtype), dropout)
    return (weights @ value).transpose(1, 2), None


ALL_ATTENTION_FUNCTIONS.register(NAME, attention)


def quicken(model):
    """Give a transformers model this attention and the quick dropout.

    Arguments
    ---------
    model : transformers.PreTrainedModel
        Changed in place; its weights and their names stay the same. A model
        with an attention other than torch's own keeps it.
    """
    if model.config._attn_implementation != "sdpa":
        return
    model.config._attn_implementation = NAME
    for module in model.modules():
        for name, child in module.named_children():
            if type(child) is nn.Dropout:
                setattr(module, name, QuickDropout(child.p, child.inplace))
