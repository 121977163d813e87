"""A head with predictions per frame and per segment of frames."""

import torch
from torch import nn

from ser_brain.nnet.heads import FrameHead
from ser_brain.nnet.lengths import valid_frames


class SegmentHead(nn.Module):
    """Logits of every frame; those of a stretch are their mean.

    The objective holds single frames and segments of the utterance to its
    label, so that the classifier looks for what is local (Xia et al., 2021).
    The utterance's logits are the mean over all of its frames.

    Arguments
    ---------
    dim : int
        Size of a frame.
    n_classes : int
        Number of emotions.
    hidden : int
        Size of the classifier's hidden layer.
    segment : int
        Frames of a segment; the last one of an utterance may be shorter.

    Example
    -------
    >>> head = SegmentHead(dim=8, n_classes=4, segment=3)
    >>> x, lengths = torch.randn(2, 7, 8), torch.tensor([7, 3])
    >>> head(x, lengths).shape, head.frames(x).shape
    (torch.Size([2, 4]), torch.Size([2, 7, 4]))
    >>> logits, valid = head.segments(head.frames(x), lengths)
    >>> logits.shape, valid.sum(1)
    (torch.Size([2, 3, 4]), tensor([3, 1]))
    """

    def __init__(self, dim, n_classes, hidden=128, segment=100):
        super().__init__()
        if segment < 1:
            raise ValueError(
                f"a segment has {segment} frames: give at least 1."
            )
        self.dim, self.n_classes = dim, n_classes
        self.hidden, self.segment = hidden, segment
        self.frames = FrameHead(dim, n_classes, hidden)

    def segment_counts(self, lengths):
        """Segments of utterances of so many frames, an int or a tensor."""
        return (lengths + self.segment - 1) // self.segment

    def segments(self, logits, lengths):
        """Mean logits of each segment.

        Arguments
        ---------
        logits : torch.Tensor
            What ``frames`` gives, shape (batch, frames, classes).
        lengths : torch.Tensor
            Frames of each utterance, shape (batch,).

        Returns
        -------
        logits : torch.Tensor
            Shape (batch, segments, classes).
        valid : torch.Tensor
            Bool, shape (batch, segments): which belong to an utterance.
        """
        frames = logits.shape[1]
        valid = valid_frames(lengths, frames)[..., None]
        places = torch.arange(frames, device=logits.device) // self.segment
        count = self.segment_counts(frames)
        shape = (len(logits), count, logits.shape[2])
        summed = logits.new_zeros(shape)
        summed = summed.index_add(1, places, logits.masked_fill(~valid, 0))
        sizes = logits.new_zeros(len(logits), count, 1)
        sizes = sizes.index_add(1, places, valid.to(logits.dtype))
        return summed / sizes.clamp(min=1), sizes[..., 0] > 0

    def forward(self, x, lengths=None, whole=True):
        """Logits of each utterance, or of each frame.

        Arguments
        ---------
        x : torch.Tensor
            Frames, shape (batch, frames, dim).
        lengths : torch.Tensor, optional
            Frames in each utterance, shape (batch,); without it all are
            valid.
        whole : bool
            Whether the frames' logits are averaged.

        Returns
        -------
        torch.Tensor
            Shape (batch, n_classes), or (batch, frames, n_classes).
        """
        logits = self.frames(x)
        if not whole:
            return logits
        if lengths is None:
            return logits.mean(1)
        valid = valid_frames(lengths, x.shape[1])[..., None]
        summed = logits.masked_fill(~valid, 0).sum(1)
        return summed / lengths.to(logits)[:, None]

    def config(self):
        """All that is needed to build this head again, for JSON."""
        return {
            "dim": self.dim,
            "n_classes": self.n_classes,
            "hidden": self.hidden,
            "segment": self.segment,
        }
