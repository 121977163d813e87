"""Span masks over frames and features, drawn within each clip.

The spans are drawn as in wav2vec 2.0 (Baevski et al., 2020, Sec. 3.1 and
Appendix A), with two guarantees that short clips need: at least one frame is
masked, and at least one is left to predict it from.
"""

import math

import torch


def span_count(length, prob, span, min_spans, rounding):
    """Number of spans masked in one clip.

    ``floor(prob * length / span + rounding)``, at least ``min_spans``, but
    never so many that the spans, laid end to end, could cover the clip.

    Arguments
    ---------
    length : int
        Frames in the clip.
    prob : float
        Share of the clip's frames in spans, before overlaps, in [0, 1].
    span : int
        Frames in a span.
    min_spans : int
        Least number of spans.
    rounding : float
        A draw from [0, 1): rounds the expected count up or down at random.

    Returns
    -------
    tuple of int
        The number of spans, and their length, which is ``length - 1`` for a
        clip that is not longer than a span.

    Example
    -------
    >>> span_count(500, prob=0.08, span=15, min_spans=2, rounding=0.0)
    (2, 15)
    >>> span_count(10, prob=0.08, span=15, min_spans=2, rounding=0.0)
    (1, 9)
    >>> span_count(1, prob=0.08, span=15, min_spans=2, rounding=0.0)
    (0, 0)
    """
    span = min(span, length - 1)
    if span < 1 or (prob == 0 and min_spans == 0):
        return 0, max(span, 0)
    wanted = max(math.floor(prob * length / span + rounding), min_spans)
    return min(wanted, (length - 1) // span), span


def span_mask(lengths, prob, span, min_spans=0, generator=None):
    """Draws spans of masked frames inside each clip.

    Starts are drawn without replacement, so spans may overlap but never
    coincide. The draws depend on the generator and on ``lengths`` alone.

    Arguments
    ---------
    lengths : torch.Tensor or list of int
        Valid frames of each clip, shape (batch,).
    prob : float
        Share of frames in spans before overlaps, in [0, 1].
    span : int
        Frames in a span, at least 1.
    min_spans : int
        Minimum number of spans in a clip that has room for them.
    generator : torch.Generator, optional
        CPU generator; torch's default one if not given.

    Returns
    -------
    torch.Tensor
        Bool, shape (batch, max(lengths)), on the CPU, True where masked.
        False beyond each clip's end; a clip of two or more frames has at
        least one masked frame (if ``min_spans`` or the draw asks for any) and
        never all.

    Raises
    ------
    ValueError
        If ``prob`` is not in [0, 1] or ``span`` is below 1.

    Example
    -------
    >>> generator = torch.Generator().manual_seed(0)
    >>> mask = span_mask([100, 8], 0.5, 10, min_spans=1, generator=generator)
    >>> mask.shape, bool(mask[1, 8:].any())
    (torch.Size([2, 100]), False)
    >>> 0 < int(mask[1].sum()) < 8
    True
    """
    if not 0 <= prob <= 1:
        raise ValueError(f"prob must be in [0, 1], but it is {prob}.")
    if span < 1:
        raise ValueError(f"span must be at least 1, but it is {span}.")
    lengths = [int(length) for length in lengths]
    mask = torch.zeros(len(lengths), max(lengths, default=0), dtype=torch.bool)
    rounding = torch.rand(len(lengths), generator=generator).tolist()
    for row, length in enumerate(lengths):
        count, width = span_count(length, prob, span, min_spans, rounding[row])
        if count == 0:
            continue
        starts = torch.randperm(length - width + 1, generator=generator)
        frames = starts[:count, None] + torch.arange(width)
        mask[row, frames.flatten()] = True
    return mask


class SpanMask:
    """SpecAugment as wav2vec 2.0 uses it: spans of frames and of features.

    Arguments
    ---------
    time_prob, time_span, min_time_spans : float, int, int
        How masked frames are drawn (see ``span_mask``). The defaults are
        those of fine-tuning (Chen and Rudnicky, released code).
    feature_prob, feature_span, min_feature_spans : float, int, int
        How masked features are drawn; ``feature_prob=0`` masks none.

    Example
    -------
    >>> masks = SpanMask()
    >>> time_mask, feature_mask = masks(torch.tensor([100, 50]), dim=768)
    >>> time_mask.shape, feature_mask.shape
    (torch.Size([2, 100]), torch.Size([2, 768]))
    """

    def __init__(
        self,
        time_prob=0.08,
        time_span=15,
        min_time_spans=2,
        feature_prob=0.05,
        feature_span=64,
        min_feature_spans=1,
    ):
        self.time = (time_prob, time_span, min_time_spans)
        self.feature = (feature_prob, feature_span, min_feature_spans)

    def __call__(self, lengths, dim, generator=None):
        """Draws both masks.

        Arguments
        ---------
        lengths : torch.Tensor
            Valid frames of each clip, shape (batch,).
        dim : int
            Features of a frame.
        generator : torch.Generator, optional
            CPU generator.

        Returns
        -------
        tuple
            Bool masks of shape (batch, frames) and (batch, dim), True where
            masked; the second is None when features are not masked.
        """
        time_mask = span_mask(lengths, *self.time, generator=generator)
        if self.feature[0] == 0:
            return time_mask, None
        dims = [dim] * len(lengths)
        return time_mask, span_mask(dims, *self.feature, generator=generator)
