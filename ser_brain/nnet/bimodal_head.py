"""Heads on what is heard and what is said, from two frozen encoders."""

import torch
from torch import nn
from torch.nn import functional as F

from ser_brain.nnet import pooling as poolings
from ser_brain.nnet.lengths import valid_frames


class Standard(nn.Module):
    """Subtracts a mean and divides by a deviation, both measured once.

    Arguments
    ---------
    dim : int
        Number of features.

    Example
    -------
    >>> standard = Standard(1)
    >>> standard.measure([torch.tensor([[1.0], [3.0]])])
    >>> standard(torch.tensor([3.0]))
    tensor([1.])
    """

    def __init__(self, dim):
        super().__init__()
        self.register_buffer("mean", torch.zeros(dim))
        self.register_buffer("scale", torch.ones(dim))

    @torch.no_grad()
    def measure(self, parts):
        """Takes the statistics of tensors of shape (n, dim)."""
        count = sum(map(len, parts))
        mean = sum(one.double().sum(0) for one in parts) / count
        square = sum(one.double().square().sum(0) for one in parts) / count
        self.mean.copy_(mean)
        deviation = (square - mean.square()).clamp(min=1e-10).sqrt()
        self.scale.copy_(deviation)

    def forward(self, x):
        """The same shape, in fp32."""
        return (x.float() - self.mean) / self.scale


class Classifier(nn.Module):
    """Pools one modality and classifies it, without the other.

    Arguments
    ---------
    dim, n_classes : int
        Size of a frame or token, number of emotions.
    pooling : Pooling
        Without parameters.
    """

    def __init__(self, dim, n_classes, pooling):
        super().__init__()
        self.pooling = pooling
        pooled = pooling.output_dim(dim)
        self.standard = Standard(pooled)
        self.linear = nn.Linear(pooled, n_classes)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    @torch.no_grad()
    def measure(self, parts):
        """Standardises by the training part's pooled vectors."""
        vectors = [self.pooling(one[None].float()) for one in parts]
        self.standard.measure(vectors)

    def forward(self, x, lengths):
        """Log-posteriors (batch, classes) of frames (batch, frames, dim)."""
        vectors = self.standard(self.pooling(x.float(), lengths))
        return F.log_softmax(self.linear(vectors), dim=-1)


class CrossAttention(nn.Module):
    """Frames look at words and words at frames; both are pooled.

    Arguments
    ---------
    dims : tuple of int
        Size of a frame and of a token.
    n_classes : int
        Number of emotions.
    hidden : int
        Size of what attends.
    heads : int
        Of each attention.
    dropout : float
        Of the attention weights, and before the classifier.
    """

    def __init__(self, dims, n_classes, hidden=128, heads=4, dropout=0.2):
        super().__init__()
        self.standards = nn.ModuleList(map(Standard, dims))
        self.inputs = nn.ModuleList(nn.Linear(dim, hidden) for dim in dims)
        self.attentions = nn.ModuleList(
            nn.MultiheadAttention(hidden, heads, dropout, batch_first=True)
            for _ in dims
        )
        self.norms = nn.ModuleList(nn.LayerNorm(hidden) for _ in dims)
        self.pooling = poolings.StatisticsPooling()
        self.dropout = nn.Dropout(dropout)
        pooled = 2 * self.pooling.output_dim(hidden)
        self.linear = nn.Linear(pooled, n_classes)

    def measure(self, audio, text):
        """Standardises frames and tokens by those of the training part."""
        for standard, parts in zip(self.standards, (audio, text)):
            standard.measure(parts)

    def forward(self, audio, frames, text, tokens):
        """Log-posteriors (batch, classes); lengths are (batch,)."""
        inputs, lengths = (audio, text), (frames, tokens)
        own = [
            project(standard(x))
            for x, standard, project in zip(inputs, self.standards, self.inputs)
        ]
        vectors = []
        for place, attention in enumerate(self.attentions):
            other = own[1 - place]
            valid = valid_frames(lengths[1 - place], other.shape[1])
            heard, _ = attention(
                own[place], other, other, key_padding_mask=~valid,
                need_weights=False,
            )  # fmt: skip
            states = self.norms[place](own[place] + heard)
            vectors.append(self.pooling(states, lengths[place]))
        logits = self.linear(self.dropout(torch.cat(vectors, dim=1)))
        return F.log_softmax(logits, dim=-1)


class BimodalHead(nn.Module):
    """Audio and text to log-posteriors of one or several members.

    ``audio`` and ``text`` use one of the two alone; ``late`` has both as
    members, whose posteriors are averaged; ``cross_attention`` is one member
    that sees both at once.

    Arguments
    ---------
    dim, text_dim : int
        Size of a frame and of a token.
    n_classes : int
        Number of emotions.
    fusion : str
        One of the four.
    layers : sequence of int
        The audio encoder's layers whose mean is used: 0 is the input of the
        first, -1 the last.
    depth : int
        How many layers the audio encoder gives.
    hidden, heads, dropout
        Of ``CrossAttention``.

    Raises
    ------
    ValueError
        If there is no such fusion or layer, or none is named.

    Example
    -------
    >>> head = BimodalHead(dim=8, text_dim=6, n_classes=4, fusion="late")
    >>> audio, text = torch.randn(2, 9, 8), torch.randn(2, 5, 6)
    >>> lengths = torch.tensor([9, 4]), torch.tensor([2, 5])
    >>> members = head(audio, lengths[0], text, lengths[1])
    >>> members.shape, head.fuse(members).shape
    (torch.Size([2, 2, 4]), torch.Size([2, 4]))
    """

    n_layers = 1
    keeps_vectors = False

    def __init__(
        self,
        dim,
        text_dim,
        n_classes,
        fusion="cross_attention",
        layers=(-1,),
        depth=1,
        hidden=128,
        heads=4,
        dropout=0.2,
    ):
        super().__init__()
        if fusion not in FUSIONS:
            raise ValueError(
                f"fusion is {fusion!r}: give one of {', '.join(FUSIONS)}."
            )
        if not layers:
            raise ValueError("audio_layers is empty: name one layer at least.")
        for layer in layers:
            if not -depth <= layer < depth:
                raise ValueError(
                    f"audio_layers names layer {layer}, but the encoder gives "
                    f"{depth}, from 0 to {depth - 1}."
                )
        self.dim, self.text_dim = dim, text_dim
        self.n_classes, self.fusion = n_classes, fusion
        self.layers, self.depth = list(layers), depth
        self.attention = {"hidden": hidden, "heads": heads, "dropout": dropout}
        members = FUSIONS[fusion]
        if "audio" in members:
            pooling = poolings.StatisticsPooling()
            self.audio = Classifier(dim, n_classes, pooling)
        if "text" in members:
            pooling = poolings.AveragePooling()
            self.text = Classifier(text_dim, n_classes, pooling)
        if "both" in members:
            dims = (dim, text_dim)
            self.both = CrossAttention(dims, n_classes, **self.attention)

    @property
    def kept_form(self):
        """What of this head decides what is kept of the audio."""
        return {"mean of layers": self.layers}

    def keep(self, layers):
        """What is kept of one utterance's layers.

        Arguments
        ---------
        layers : torch.Tensor
            Shape (layers, frames, dim).

        Returns
        -------
        torch.Tensor
            Shape (frames, 1, dim).
        """
        return layers[self.layers].mean(0)[:, None]

    def measure(self, audio, text):
        """Standardises by the training part.

        Arguments
        ---------
        audio, text : list of torch.Tensor
            Frames (frames, dim) and tokens (tokens, text_dim) of each
            training utterance.
        """
        members = FUSIONS[self.fusion]
        if "audio" in members:
            self.audio.measure(audio)
        if "text" in members:
            self.text.measure(text)
        if "both" in members:
            self.both.measure(audio, text)

    def forward(self, audio, frames, text, tokens):
        """Log-posteriors of each member, shape (batch, members, classes).

        Arguments
        ---------
        audio, text : torch.Tensor
            Shapes (batch, frames, dim) and (batch, tokens, text_dim).
        frames, tokens : torch.Tensor
            How many of them are valid, shape (batch,).
        """
        answers = {
            "audio": lambda: self.audio(audio, frames),
            "text": lambda: self.text(text, tokens),
            "both": lambda: self.both(audio, frames, text, tokens),
        }
        members = [answers[name]() for name in FUSIONS[self.fusion]]
        return torch.stack(members, dim=1)

    def fuse(self, members):
        """Log of the members' mean posteriors, shape (batch, classes)."""
        return members.exp().mean(1).log()

    def config(self):
        """All that is needed to build this head again, for JSON."""
        return {
            "dim": self.dim,
            "text_dim": self.text_dim,
            "n_classes": self.n_classes,
            "fusion": self.fusion,
            "layers": self.layers,
            "depth": self.depth,
            **self.attention,
        }


# The members of each fusion.
FUSIONS = {
    "audio": ("audio",),
    "text": ("text",),
    "late": ("audio", "text"),
    "cross_attention": ("both",),
}
