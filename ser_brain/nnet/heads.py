"""Classifiers on top of an encoder: of utterances, frames and clusters."""

import torch
from torch import nn

from ser_brain.nnet import pooling as poolings


def tanh_classifier(dim, hidden, n_classes):
    """Linear, tanh, Linear: the small classifier of P-TAPT's three heads.

    Arguments
    ---------
    dim : int
        Size of the input.
    hidden : int
        Size of the hidden layer.
    n_classes : int
        Size of the output.

    Returns
    -------
    classifier : torch.nn.Sequential
        Maps (..., dim) to logits (..., n_classes).

    Example
    -------
    >>> tanh_classifier(dim=8, hidden=4, n_classes=3)(torch.rand(2, 8)).shape
    torch.Size([2, 3])
    """
    return nn.Sequential(
        nn.Linear(dim, hidden), nn.Tanh(), nn.Linear(hidden, n_classes)
    )


class UtteranceHead(nn.Module):
    """One prediction per utterance: pooling, ReLU, classifier.

    By default it is the head of V-FT (Chen and Rudnicky): mean over
    the valid frames, ReLU, one linear layer. With LSTMPooling and
    `hidden=128` it is the utterance head of P-TAPT's first step, emotion
    state estimation.

    Arguments
    ---------
    dim : int
        Size of a frame.
    n_classes : int
        Number of emotions.
    pooling : ser_brain.nnet.pooling.Pooling, optional
        From frames to a vector; AveragePooling by default.
    hidden : int, optional
        Size of a hidden layer with tanh in the classifier; without it the
        classifier is one linear layer.
    relu_frames : bool
        Apply ReLU to every frame before pooling, too, as in the authors'
        released code but not in the paper's text.
    drop_last_frame : bool
        Leave out the last valid frame, again as only in the released code. An
        utterance of one frame keeps it.

    relu_pooled : bool
        ReLU on the pooled vector, as in the paper.
    standardize : bool
        Whether pooled vectors are standardised with fixed statistics, which
        ``start_from`` sets.

    Example
    -------
    >>> head = UtteranceHead(dim=8, n_classes=4)
    >>> head(torch.rand(2, 5, 8), torch.tensor([3, 5])).shape
    torch.Size([2, 4])
    """

    def __init__(
        self,
        dim,
        n_classes,
        pooling=None,
        hidden=None,
        relu_frames=False,
        drop_last_frame=False,
        relu_pooled=True,
        standardize=False,
    ):
        super().__init__()
        self.dim = dim
        self.n_classes = n_classes
        self.hidden = hidden
        self.relu_frames = relu_frames
        self.drop_last_frame = drop_last_frame
        self.relu_pooled = relu_pooled
        self.standardize = standardize
        self.pooling = poolings.AveragePooling() if pooling is None else pooling
        pooled = self.pooling.output_dim(dim)
        if standardize:
            self.register_buffer("mean", torch.zeros(pooled))
            self.register_buffer("scale", torch.ones(pooled))
        if hidden is None:
            self.classifier = nn.Linear(pooled, n_classes)
        else:
            self.classifier = tanh_classifier(pooled, hidden, n_classes)

    def forward(self, x, lengths=None):
        """Compute the logits of each utterance.

        Arguments
        ---------
        x : torch.Tensor
            Frames, shape (batch, frames, dim).
        lengths : torch.Tensor, optional
            Frames in each utterance, integers of shape (batch,). Without
            it every frame is valid.

        Returns
        -------
        logits : torch.Tensor
            Shape (batch, n_classes).
        """
        if self.relu_frames:
            x = x.relu()
        if self.drop_last_frame:
            lengths = _without_last_frame(x, lengths)
        pooled = self.pooling(x, lengths)
        if self.standardize:
            pooled = (pooled - self.mean) / self.scale
        return self.classifier(pooled.relu() if self.relu_pooled else pooled)

    @torch.no_grad()
    def start_from(self, mean, scale, weight, bias):
        """Set the weights from a given linear classifier.

        Arguments
        ---------
        mean, scale : array
            Statistics of the pooled vectors that it was fitted to, shape
            (pooled,).
        weight, bias : array
            Weights for standardised vectors, shapes (n_classes, pooled) and
            (n_classes,).

        Raises
        ------
        ValueError
            If this head is not a linear classifier of standardised vectors.
        """
        if self.hidden or self.relu_pooled or not self.standardize:
            raise ValueError(
                "a head starts from a linear classifier only without a "
                "hidden layer, with relu_pooled off and standardize on."
            )
        found = (mean, scale, weight, bias)
        places = (self.mean, self.scale)
        places += (self.classifier.weight, self.classifier.bias)
        for place, value in zip(places, found, strict=True):
            place.copy_(torch.as_tensor(value))

    def config(self):
        """Return everything that `from_config` needs to build this head again.

        Returns
        -------
        config : dict
            Numbers, strings, booleans and one inner dict, all JSON-compatible.
            It does not contain the weights.

        Example
        -------
        >>> UtteranceHead(dim=8, n_classes=4).config()["pooling"]
        {'name': 'AveragePooling', 'arguments': {}}
        """
        return {
            "dim": self.dim,
            "n_classes": self.n_classes,
            "pooling": poolings.described(self.pooling),
            "hidden": self.hidden,
            "relu_frames": self.relu_frames,
            "drop_last_frame": self.drop_last_frame,
            "relu_pooled": self.relu_pooled,
            "standardize": self.standardize,
        }

    @classmethod
    def from_config(cls, config):
        """Build a head with random weights from the result of `config`.

        Arguments
        ---------
        config : dict
            As `config` returns it, perhaps read from a file: the pooling is
            looked up among this toolkit's own, never imported by name.

        Returns
        -------
        head : UtteranceHead
            Its weights are random; load its state next.

        Raises
        ------
        ValueError
            If keys are missing or unknown, or the pooling is not one of this
            toolkit's.

        Example
        -------
        >>> head = UtteranceHead(dim=8, n_classes=4, hidden=6)
        >>> UtteranceHead.from_config(head.config()).hidden
        6
        """
        # Older heads lack these two.
        config = {"relu_pooled": True, "standardize": False, **config}
        expected = set(cls(dim=1, n_classes=1).config())
        if set(config) != expected:
            raise ValueError(
                f"a head's configuration has the keys {sorted(config)}: "
                f"they must be {sorted(expected)}."
            )
        return cls(**{**config, "pooling": poolings.build(config["pooling"])})


class FrameHead(nn.Module):
    """One prediction per frame: Linear, tanh, Linear.

    The frame head of P-TAPT's first step, emotion state estimation (Chen and
    Rudnicky).

    Arguments
    ---------
    dim : int
        Size of a frame.
    n_classes : int
        Number of emotions.
    hidden : int
        Size of the hidden layer.

    Example
    -------
    >>> FrameHead(dim=8, n_classes=4)(torch.rand(2, 5, 8)).shape
    torch.Size([2, 5, 4])
    """

    def __init__(self, dim, n_classes, hidden=128):
        super().__init__()
        self.classifier = tanh_classifier(dim, hidden, n_classes)

    def forward(self, x):
        """Logits (batch, frames, n_classes) of x (batch, frames, dim)."""
        return self.classifier(x)


class ClusterHeads(nn.Module):
    """One classifier per k of the k-means ensemble.

    It predicts the pseudo-labels in P-TAPT's adaptation (Chen and Rudnicky).
    It takes frames of any leading shape. Pass only the masked frames, (masked,
    dim): for all frames, the logits of 4096 clusters would be the largest
    tensor of the step.

    Arguments
    ---------
    dim : int
        Size of a frame.
    n_clusters : sequence of int
        The k of each k-means.
    hidden : int
        Size of each classifier's hidden layer.
    relu_frames : bool
        Apply ReLU to every frame first, as only in the released code.

    Example
    -------
    >>> heads = ClusterHeads(dim=8, n_clusters=(3, 7))
    >>> [tuple(logits.shape) for logits in heads(torch.rand(2, 5, 8))]
    [(2, 5, 3), (2, 5, 7)]
    """

    def __init__(
        self, dim, n_clusters=(64, 512, 4096), hidden=256, relu_frames=False
    ):
        super().__init__()
        self.relu_frames = relu_frames
        self.n_clusters = tuple(n_clusters)
        self.classifiers = nn.ModuleList(
            tanh_classifier(dim, hidden, k) for k in self.n_clusters
        )

    def forward(self, x):
        """Return a list of logits, one per k, with the leading shape of x."""
        if self.relu_frames:
            x = x.relu()
        return [classifier(x) for classifier in self.classifiers]


def _without_last_frame(x, lengths):
    """Reduce each length by one, but not to zero."""
    if lengths is None:
        lengths = torch.full((x.size(0),), x.size(1), device=x.device)
    return (lengths - 1).clamp(min=1)
