"""Group normalisation that ignores padding.

In wav2vec 1.0 and 2.0 group norm averages over *time*, so every padded frame
would change every valid one: a clip's features would depend on the lengths of
the other clips in its batch. Here the statistics come from the clip's own
frames only.
"""

import torch
import torch.nn.functional as F

from ser_brain.nnet.lengths import valid_frames


def masked_group_norm(
    x, lengths=None, weight=None, bias=None, eps=1e-5, num_groups=1
):
    """Group norm over a clip's channels and its *valid* frames.

    It is computed in fp32 whatever the input's dtype, as in fairseq's
    Fp32GroupNorm, with the biased variance of torch's GroupNorm.

    Arguments
    ---------
    x : torch.Tensor
        (batch, channels, frames).
    lengths : torch.Tensor, optional
        Valid frames of each clip, (batch,), integer; None: all of them, and
        the result is exactly torch's.
    weight, bias : torch.Tensor, optional
        (channels,) each; None: not affine.
    eps : float
        Added to the variance.
    num_groups : int
        1 pools all channels (wav2vec 1.0); `channels` normalises each over
        time alone (first layer of wav2vec 2.0 base).

    Returns
    -------
    torch.Tensor
        As x in shape and dtype; 0 in padded frames.

    Example
    -------
    >>> alone = torch.randn(1, 4, 5)
    >>> padded = torch.nn.functional.pad(alone, (0, 7), value=9.0)
    >>> normed = masked_group_norm(padded, torch.tensor([5]))
    >>> torch.allclose(normed[..., :5], masked_group_norm(alone), atol=1e-5)
    True
    """
    weight = None if weight is None else weight.float()
    bias = None if bias is None else bias.float()
    if lengths is None:
        return F.group_norm(x.float(), num_groups, weight, bias, eps).type_as(x)

    if x.device.type == "cpu":
        affine = (num_groups, weight, bias, eps)
        return _clip_by_clip(x, lengths, affine)
    return _all_at_once(x, lengths.to(x.device), num_groups, weight, bias, eps)


def _clip_by_clip(x, lengths, affine):
    """One kernel per clip: the fewest passes over memory, the CPU's limit."""
    clips = []
    for clip, frames in zip(x, lengths.tolist()):
        own = clip[None, :, :frames].float()
        normed = F.group_norm(own, *affine).type_as(x)
        clips.append(F.pad(normed[0], (0, x.shape[2] - frames)))
    return torch.stack(clips)


def _all_at_once(x, lengths, num_groups, weight, bias, eps):
    """A few kernels for all clips: the fewest launches, a GPU's limit."""
    n_batch, n_channels, n_frames = x.shape
    padding = ~valid_frames(lengths, n_frames)[:, None, None]
    # Padding may hold anything, NaN too: drop it before any arithmetic.
    grouped = x.float().reshape(n_batch, num_groups, -1, n_frames)
    grouped = grouped.masked_fill(padding, 0.0)
    count = (lengths.clamp(min=1) * grouped.shape[2]).view(-1, 1, 1, 1)
    mean = grouped.sum((2, 3), keepdim=True) / count
    centred = (grouped - mean).masked_fill(padding, 0.0)
    variance = centred.square().sum((2, 3), keepdim=True) / count
    normed = (centred * torch.rsqrt(variance + eps)).view_as(x)
    if weight is not None:
        normed = normed * weight[:, None]
    if bias is not None:
        normed = (normed + bias[:, None]).masked_fill(padding[:, 0], 0.0)
    return normed.type_as(x)
