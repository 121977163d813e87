"""Poolings in SpeechBrain's recipes, and SpeechBrain's lobes as poolings.

SpeechBrain gives relative lengths and pools to (batch, 1, dim); the poolings
of this toolkit take frames and pool to (batch, dim).
"""

from torch import nn

from ser_brain.nnet.pooling import Pooling


class AsSpeechBrain(nn.Module):
    """One of this toolkit's poolings, called as SpeechBrain's are.

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
        """Pools each utterance over its own frames.

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

    What the lobe does at the end of an utterance may depend on padding:
    ECAPA-TDNN's convolutions reach beyond it. A classifier with such a
    pooling is trained and tested, but not loaded again by
    ``EmotionRecognizer``, which builds nothing by name.

    Arguments
    ---------
    lobe : torch.nn.Module
        Takes frames (batch, frames, dim) and relative lengths (batch,), and
        gives (batch, size) or (batch, 1, size), as ``ECAPA_TDNN`` does.
    size : int
        Features of what it gives.

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
        """What the lobe gives for each utterance."""
        shares = valid.float().mean(dim=1)
        return self.lobe(x, shares).flatten(start_dim=1)

    def output_dim(self, dim):
        """The lobe's own size, whatever the frames'."""
        return self.size

    def arguments(self):
        """The size; a lobe is no argument that JSON could hold."""
        return {"size": self.size}
