"""Adapters between this toolkit's poolings and SpeechBrain's.

SpeechBrain gives relative lengths and pools to (batch, 1, dim); the poolings
of this toolkit take frames and pool to (batch, dim).
"""

from torch import nn

from ser_brain.nnet.pooling import Pooling


class AsSpeechBrain(nn.Module):
    """One of this toolkit's poolings with SpeechBrain's interface.

    Arguments
    ---------
    pooling : Pooling
        The pooling.

    Example
    -------
    >>> import torch
    >>> from ser_brain.nnet.pooling import AveragePooling
    >>> pooling = AsSpeechBrain(AveragePooling())
    >>> pooling(torch.rand(2, 10, 8), torch.tensor([1.0, 0.5])).shape
    torch.Size([2, 1, 8])
    """

    def __init__(self, pooling):
        super().__init__()
        self.pooling = pooling

    def forward(self, x, lengths=None):
        """Pool each utterance over its own frames.

        Arguments
        ---------
        x : torch.Tensor
            Frames, shape (batch, frames, dim).
        lengths : torch.Tensor, optional
            Relative lengths in (0, 1], shape (batch,). Without them every
            frame is valid.

        Returns
        -------
        torch.Tensor
            Shape (batch, 1, ``output_dim(dim)`` of the pooling).
        """
        if lengths is not None:
            lengths = (lengths * x.size(1)).round().long().clamp(min=1)
        return self.pooling(x, lengths).unsqueeze(1)


class FromSpeechBrain(Pooling):
    """A lobe of SpeechBrain as the pooling of a recipe.

    The lobe's output may depend on padding at the end of an utterance:
    ECAPA-TDNN's convolutions reach beyond it. A classifier with such a
    pooling is trained and tested, but not loaded again by
    ``EmotionRecognizer``, which builds nothing by name.

    Arguments
    ---------
    lobe : torch.nn.Module
        Maps frames (batch, frames, dim) and relative lengths (batch,) to
        (batch, size) or (batch, 1, size), as ``ECAPA_TDNN`` does.
    size : int
        Number of features of its output.

    Example
    -------
    >>> import torch
    >>> from speechbrain.nnet.pooling import StatisticsPooling
    >>> pooling = FromSpeechBrain(StatisticsPooling(), size=16)
    >>> pooling(torch.rand(2, 10, 8), torch.tensor([10, 5])).shape
    torch.Size([2, 16])
    """

    def __init__(self, lobe, size):
        super().__init__()
        self.lobe = lobe
        self.size = size

    def pool(self, x, valid):
        """Return the lobe's output for each utterance."""
        shares = valid.float().mean(dim=1)
        return self.lobe(x, shares).flatten(start_dim=1)

    def output_dim(self, dim):
        """The lobe's own size, whatever that of the frames."""
        return self.size

    def arguments(self):
        """The size only: a lobe is not JSON-compatible."""
        return {"size": self.size}
