"""Diversity of wav2vec 2.0's codebook, in a batch and in its parts."""

import torch


def perplexity(usage):
    """Perplexity of the mean codebook use, summed over groups.

    Arguments
    ---------
    usage : torch.Tensor
        Shape (..., groups, entries); each row sums to 1.

    Example
    -------
    >>> perplexity(torch.full((2, 4), 0.25))
    tensor(8.)
    """
    entropy = -torch.xlogy(usage, usage).sum(-1)
    return entropy.exp().sum(-1)


def diversity_shares(usage):
    """Compute how the diversity of a batch is shared among its clips.

    The gradient of a clip needs only the mean over the whole batch from the
    other clips: with s, the slope of the perplexity at that mean, a frame's
    share is a constant minus the product of s and the frame's own usage.

    Arguments
    ---------
    usage : torch.Tensor
        Mean use of the codebook in a batch, shape (groups, entries).

    Returns
    -------
    tuple of torch.Tensor
        The slopes, as a share of all entries, shape (groups, entries), and
        the constant.

    Example
    -------
    >>> frames = torch.tensor([[[0.5, 0.5]], [[0.25, 0.75]]])
    >>> mean = frames.mean(0)
    >>> slopes, rest = diversity_shares(mean)
    >>> alone = [
    ...     shared_diversity(frame[None], [1], slopes[None], rest[None])
    ...     for frame in frames
    ... ]
    >>> torch.allclose(sum(alone), 2 * (2 - perplexity(mean)) / 2)
    True
    """
    entries = usage.numel()
    with torch.enable_grad():
        usage = usage.detach().requires_grad_()
        used = perplexity(usage)
        (slopes,) = torch.autograd.grad(used, usage)
    usage, used = usage.detach(), used.detach()
    rest = (entries - used + (slopes * usage).sum()) / entries
    return slopes / entries, rest


def shared_diversity(usage, counts, slopes, rest):
    """Diversity of some clips as a part of their batch.

    Arguments
    ---------
    usage : torch.Tensor
        Codebook use of the masked frames, shape (masked, groups, entries).
    counts : list of int
        Masked frames of each clip.
    slopes, rest : torch.Tensor
        As ``diversity_shares`` returns them, one row per clip.

    Returns
    -------
    torch.Tensor
        Summed over the masked frames, a scalar.
    """
    counts = torch.tensor(counts, device=usage.device)
    frames = slopes.repeat_interleave(counts, dim=0)
    return (rest * counts).sum() - (frames * usage).sum()
