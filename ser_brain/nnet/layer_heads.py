"""Heads over all layers of a frozen encoder, with learned weights.

Two ways to use the layers together:

- ``FrameFusionHead``: one weighted sum of the layers' frames, pooled, then
  one linear layer, all trained jointly (Pepino et al., 2021);
- ``PosteriorFusionHead``: pooling and a linear layer per layer, and a weighted
  sum of their posteriors. Its weights are learned on utterances unseen by the
  linear layers (``ser_brain.brains.FrozenBrain``), so that a layer that
  distinguishes the training speakers, and not their emotions, gets no weight.

Both return log-posteriors, which are also logits.
"""

import torch
from torch import nn
from torch.nn import functional as F

from ser_brain.nnet import pooling as poolings


class LayerHead(nn.Module):
    """Base class of both heads: sizes, scales, layer weights, one linear map.

    Arguments
    ---------
    dim : int
        Size of a frame.
    n_layers : int
        Number of layers of the encoder, including the first layer's input.
    n_classes : int
        Number of emotions.
    pooling : Pooling, optional
        From frames to a vector; mean and deviation by default.
    """

    # Name of the class in a checkpoint's description.
    fusion = None

    def __init__(self, dim, n_layers, n_classes, pooling=None):
        super().__init__()
        self.dim, self.n_layers, self.n_classes = dim, n_layers, n_classes
        if pooling is None:
            pooling = poolings.StatisticsPooling()
        self.pooling = pooling
        self.layer_logits = nn.Parameter(torch.zeros(n_layers))

    @property
    def layer_weights(self):
        """Weight of each layer, shape (layers,), of sum 1."""
        return self.layer_logits.softmax(0)

    @property
    def keeps_vectors(self):
        """Whether ``pool`` has no weights: its output can be cached."""
        raise TypeError(f"{type(self).__name__} does not say what it keeps")

    @property
    def kept_form(self):
        """What of this head decides what is kept, as JSON can hold it."""
        described = poolings.described(self.pooling)
        return described if self.keeps_vectors else "frames"

    def pool(self, layers, lengths=None):
        """Pool each layer over the utterance's own frames.

        Arguments
        ---------
        layers : torch.Tensor
            Shape (layers, batch, frames, dim).
        lengths : torch.Tensor, optional
            Frames of each utterance, shape (batch,).

        Returns
        -------
        torch.Tensor
            Shape (batch, layers, pooled).
        """
        pooled = [self.pooling(layer, lengths) for layer in layers]
        return torch.stack(pooled, dim=1)

    def from_kept(self, features, lengths):
        """Compute log-posteriors from cached features (see ``keep``)."""
        raise TypeError(f"{type(self).__name__} does not read what is kept")

    def keep(self, layers):
        """Return what is cached of one utterance's layers for training.

        Arguments
        ---------
        layers : torch.Tensor
            Shape (layers, frames, dim).

        Returns
        -------
        torch.Tensor
            Pooled vectors of shape (layers, pooled) if ``pool`` has no
            weights; else the frames, shape (frames, layers, dim).
        """
        if self.keeps_vectors:
            return self.pool(layers[:, None])[0]
        return layers.transpose(0, 1)

    def config(self):
        """Return what ``layer_head`` needs to build this head again."""
        return {
            "fusion": self.fusion,
            "dim": self.dim,
            "n_layers": self.n_layers,
            "n_classes": self.n_classes,
            "pooling": poolings.described(self.pooling),
        }


class PosteriorFusionHead(LayerHead):
    """Weighted sum of the posteriors of all layers.

    Arguments
    ---------
    dim, n_layers, n_classes, pooling
        As for ``LayerHead``.

    Example
    -------
    >>> head = PosteriorFusionHead(dim=8, n_layers=3, n_classes=4)
    >>> layers = torch.randn(3, 2, 5, 8)
    >>> logits = head(layers, torch.tensor([5, 3]))
    >>> logits.shape, bool((logits.exp().sum(1) - 1).abs().max() < 1e-5)
    (torch.Size([2, 4]), True)
    """

    fusion = "posteriors"

    def __init__(self, dim, n_layers, n_classes, pooling=None):
        super().__init__(dim, n_layers, n_classes, pooling)
        pooled = self.pooling.output_dim(dim)
        self.weight = nn.Parameter(torch.zeros(n_layers, pooled, n_classes))
        self.bias = nn.Parameter(torch.zeros(n_layers, n_classes))
        self.register_buffer("mean", torch.zeros(n_layers, pooled))
        self.register_buffer("scale", torch.ones(n_layers, pooled))

    @property
    def keeps_vectors(self):
        """Whether the pooling has no parameters."""
        return not any(True for _ in self.pooling.parameters())

    @torch.no_grad()
    def measure(self, kept):
        """Standardises by the training part's mean and deviation.

        Arguments
        ---------
        kept : list of torch.Tensor
            What ``keep`` gives for each training utterance.
        """
        vectors = torch.stack([self.vectors(one[None])[0] for one in kept])
        self.mean.copy_(vectors.mean(0))
        deviation = vectors.std(0, correction=0)
        self.scale.copy_(deviation.clamp(min=1e-5))

    def vectors(self, kept, lengths=None):
        """Pooled vectors (batch, layers, pooled) of cached features."""
        kept = kept.float()
        if self.keeps_vectors:
            return kept
        return self.pool(kept.permute(2, 0, 1, 3), lengths)

    def by_layer(self, vectors):
        """Compute the log-posteriors of each layer.

        Arguments
        ---------
        vectors : torch.Tensor
            Shape (batch, layers, pooled).

        Returns
        -------
        torch.Tensor
            Shape (batch, layers, classes).
        """
        vectors = (vectors - self.mean) / self.scale
        logits = torch.einsum("blp,lpc->blc", vectors, self.weight) + self.bias
        return F.log_softmax(logits, dim=-1)

    def fuse(self, log_posteriors):
        """Log of the weighted sum over layers, shape (batch, classes)."""
        weights = F.log_softmax(self.layer_logits, dim=0)
        return (log_posteriors + weights[:, None]).logsumexp(1)

    def forward(self, layers, lengths=None):
        """Log-posteriors of each utterance, shape (batch, classes).

        Arguments
        ---------
        layers : torch.Tensor
            Shape (layers, batch, frames, dim).
        lengths : torch.Tensor, optional
            Frames of each utterance, shape (batch,).
        """
        return self.fuse(self.by_layer(self.pool(layers, lengths)))

    def from_kept(self, features, lengths):
        """Compute log-posteriors from cached features (see ``keep``)."""
        return self.fuse(self.by_layer(self.vectors(features, lengths)))


class FrameFusionHead(LayerHead):
    """Weighted sum of the layers' frames, pooling, linear (Pepino et al.).

    Layers differ in scale by orders of magnitude: each is standardised by
    the statistics of the training part first.

    Arguments
    ---------
    dim, n_layers, n_classes, pooling
        As for ``LayerHead``.

    Example
    -------
    >>> head = FrameFusionHead(dim=8, n_layers=3, n_classes=4)
    >>> head(torch.randn(3, 2, 5, 8), torch.tensor([5, 3])).shape
    torch.Size([2, 4])
    """

    fusion = "frames"
    keeps_vectors = False

    def __init__(self, dim, n_layers, n_classes, pooling=None):
        super().__init__(dim, n_layers, n_classes, pooling)
        pooled = self.pooling.output_dim(dim)
        self.classifier = nn.Linear(pooled, n_classes)
        nn.init.zeros_(self.classifier.weight)
        nn.init.zeros_(self.classifier.bias)
        self.register_buffer("frame_mean", torch.zeros(n_layers, 1, 1, dim))
        self.register_buffer("frame_scale", torch.ones(n_layers, 1, 1, dim))
        self.register_buffer("mean", torch.zeros(pooled))
        self.register_buffer("scale", torch.ones(pooled))

    @torch.no_grad()
    def measure(self, kept):
        """Standardises frames and pooled vectors by the training part.

        The vectors of a pooling that learns stay as they are.

        Arguments
        ---------
        kept : list of torch.Tensor
            What ``keep`` gives for each training utterance.
        """
        count = sum(map(len, kept))
        mean = sum(one.double().sum(0) for one in kept) / count
        square = sum(one.double().square().sum(0) for one in kept) / count
        deviation = (square - mean.square()).clamp(min=1e-10).sqrt()
        self.frame_mean.copy_(mean[:, None, None])
        self.frame_scale.copy_(deviation[:, None, None])
        if any(True for _ in self.pooling.parameters()):
            # What a pooling gives that has learned nothing yet says nothing.
            return
        layers = [one.transpose(0, 1)[:, None] for one in kept]
        vectors = torch.cat([self.vectors(one) for one in layers])
        self.mean.copy_(vectors.mean(0))
        self.scale.copy_(vectors.std(0, correction=0).clamp(min=1e-5))

    def vectors(self, layers, lengths=None):
        """Pooled weighted sum of the frames, shape (batch, pooled)."""
        layers = (layers.float() - self.frame_mean) / self.frame_scale
        frames = torch.einsum("l,lbfd->bfd", self.layer_weights, layers)
        return self.pooling(frames, lengths)

    def forward(self, layers, lengths=None):
        """Log-posteriors of each utterance, shape (batch, classes).

        Arguments
        ---------
        layers : torch.Tensor
            Shape (layers, batch, frames, dim).
        lengths : torch.Tensor, optional
            Frames of each utterance, shape (batch,).
        """
        vectors = (self.vectors(layers, lengths) - self.mean) / self.scale
        return F.log_softmax(self.classifier(vectors), dim=-1)

    def from_kept(self, features, lengths):
        """Log-posteriors from frames (batch, frames, layers, dim)."""
        return self(features.permute(2, 0, 1, 3), lengths)


class CrossFitting(nn.Module):
    """A ``PosteriorFusionHead`` with witnesses, for its training.

    Each group of utterances has a witness, a head that is trained only on the
    other groups. The layer weights are learned on the witnesses' posteriors
    for the group that each has not seen.

    Arguments
    ---------
    head : LayerHead
        The head that is trained. A ``FrameFusionHead`` has no witnesses.
    groups : int
        Number of groups.

    Example
    -------
    >>> head = PosteriorFusionHead(dim=8, n_layers=3, n_classes=4)
    >>> training = CrossFitting(head, groups=2)
    >>> kept = torch.randn(5, 3, 16)
    >>> own, witnessed, fused = training(
    ...     kept, None, torch.tensor([0, 1, 1, 0, 0])
    ... )
    >>> own.shape, len(witnessed), fused.shape
    (torch.Size([5, 3, 4]), 2, torch.Size([5, 4]))
    """

    def __init__(self, head, groups):
        super().__init__()
        self.head = head
        crosses = isinstance(head, PosteriorFusionHead)
        self.witnesses = nn.ModuleList(
            layer_head(**head.config()) for _ in range(groups * crosses)
        )

    def measure(self, kept):
        """Standardise as ``LayerHead.measure``, also for the witnesses."""
        self.head.measure(kept)
        for witness in self.witnesses:
            witness.mean.copy_(self.head.mean)
            witness.scale.copy_(self.head.scale)

    def forward(self, features, lengths, groups):
        """Log-posteriors of a batch, of the head and of its witnesses.

        Arguments
        ---------
        features : torch.Tensor
            Cached features, padded along their first dimension.
        lengths : torch.Tensor
            Frames of each utterance, shape (batch,).
        groups : torch.Tensor
            The group of each utterance, shape (batch,).

        Returns
        -------
        tuple
            The head's log-posteriors by layer (batch, layers, classes), a
            list of the same of each witness, and (batch, classes): the
            witnesses' of the groups that they have not seen, fused. Without
            witnesses None, [] and the head's own.
        """
        if not self.witnesses:
            return None, [], self.head.from_kept(features, lengths)
        own = self.head.by_layer(self.head.vectors(features, lengths))
        witnessed = [
            witness.by_layer(witness.vectors(features, lengths))
            for witness in self.witnesses
        ]
        unseen = own.detach().clone()
        for group, heard in enumerate(witnessed):
            unseen[groups == group] = heard.detach()[groups == group]
        return own, witnessed, self.head.fuse(unseen)


FUSIONS = {head.fusion: head for head in (PosteriorFusionHead, FrameFusionHead)}


def layer_head(fusion, dim, n_layers, n_classes, pooling=None):
    """Build a head over all layers, by the name of its fusion.

    Arguments
    ---------
    fusion : str
        ``posteriors`` or ``frames``.
    dim, n_layers, n_classes, pooling
        As for ``LayerHead``. The pooling may be the description that
        ``config`` returns.

    Raises
    ------
    ValueError
        If there is no such fusion or pooling.

    Example
    -------
    >>> head = layer_head("frames", dim=8, n_layers=3, n_classes=4)
    >>> layer_head(**head.config()).config() == head.config()
    True
    """
    if fusion not in FUSIONS:
        raise ValueError(
            f"layer_fusion is {fusion!r}: give one of {', '.join(FUSIONS)}."
        )
    if isinstance(pooling, dict):
        pooling = poolings.build(pooling)
    return FUSIONS[fusion](dim, n_layers, n_classes, pooling)
