"""Pooling of an utterance's frames into one vector, ignoring padding.

Every pooling implements `forward(x, lengths) -> (batch, output_dim)`. Padded
frames never affect the output: they are set to zero before anything is
computed, so that even NaN is harmless, and each pooling excludes them from its
statistics.
"""

import torch
from torch import nn

from ser_brain.nnet.lengths import valid_frames


def check_lengths(lengths, frames):
    """Refuse lengths that a padded batch cannot have.

    Arguments
    ---------
    lengths : torch.Tensor
        Frames in each utterance, integers of shape (batch,).
    frames : int
        Frames in the padded batch.

    Raises
    ------
    ValueError
        If a length is not an integer, below 1 or above `frames`.

    Example
    -------
    >>> check_lengths(torch.tensor([2, 3]), frames=3)
    """
    if lengths.is_floating_point():
        raise ValueError(
            f"lengths are {lengths.dtype}: give whole numbers of frames, "
            "not SpeechBrain's relative lengths."
        )
    shortest, longest = (int(bound) for bound in lengths.aminmax())
    if shortest < 1 or longest > frames:
        raise ValueError(
            f"lengths run from {shortest} to {longest}: each must lie "
            f"between 1 and the batch's {frames} frames."
        )


def mean_over_time(x, valid):
    """Compute the mean over valid frames, summed in at least float32.

    Arguments
    ---------
    x : torch.Tensor
        Frames, shape (batch, frames, dim), with zeros in the padding.
    valid : torch.Tensor
        Booleans, shape (batch, frames).

    Returns
    -------
    mean : torch.Tensor
        Shape (batch, dim), of x's own precision.

    Example
    -------
    >>> x = torch.tensor([[[2.0], [4.0], [0.0]]])
    >>> mean_over_time(x, torch.tensor([[True, True, False]]))
    tensor([[3.]])
    """
    # A half-precision sum over ten seconds of frames would lose digits.
    precise = torch.promote_types(x.dtype, torch.float32)
    counts = valid.sum(dim=1, keepdim=True)
    return (x.sum(dim=1, dtype=precise) / counts).to(x.dtype)


class Pooling(nn.Module):
    """Base class of poolings: it clears the padding, then calls `pool`.

    A new pooling defines `pool(x, valid)`, where x (batch, frames,
    dim) is zero wherever `valid` (batch, frames) is False, and
    `output_dim(dim)`.
    """

    def forward(self, x, lengths=None):
        """Pool each utterance over its own frames.

        Arguments
        ---------
        x : torch.Tensor
            Frames, shape (batch, frames, dim).
        lengths : torch.Tensor, optional
            Frames in each utterance, integers of shape (batch,). Without
            it every frame is valid.

        Returns
        -------
        pooled : torch.Tensor
            Shape (batch, `output_dim(dim)`).
        """
        if lengths is None:
            valid = x.new_ones(x.shape[:2], dtype=torch.bool)
        else:
            check_lengths(lengths, x.size(1))
            valid = valid_frames(lengths.to(x.device), x.size(1))
        return self.pool(x.masked_fill(~valid.unsqueeze(-1), 0.0), valid)

    def pool(self, x, valid):
        """Pool frames that are zero wherever they are not valid."""
        raise NotImplementedError

    def output_dim(self, dim):
        """Size of the pooled vector for frames of size `dim`."""
        raise NotImplementedError

    def arguments(self):
        """The constructor's arguments, JSON-compatible."""
        return {}


class AveragePooling(Pooling):
    """Mean over the valid frames, as in V-FT (Chen and Rudnicky).

    Example
    -------
    >>> x = torch.tensor([[[1.0], [3.0], [9.0]]])
    >>> AveragePooling()(x, torch.tensor([2]))
    tensor([[2.]])
    """

    def pool(self, x, valid):
        """Mean over the valid frames."""
        return mean_over_time(x, valid)

    def output_dim(self, dim):
        """The mean has the size of a frame."""
        return dim


class StatisticsPooling(Pooling):
    """Mean and standard deviation over the valid frames, concatenated.

    The deviation is that of the population (divided by the number of frames),
    so it is defined for one frame: the square root of `eps`.

    Arguments
    ---------
    eps : float
        Floor of the variance. If the variance is below it, no gradient flows
        through the deviation, which keeps the gradient finite.

    Example
    -------
    >>> x = torch.tensor([[[1.0], [3.0], [9.0]]])
    >>> StatisticsPooling()(x, torch.tensor([2]))
    tensor([[2., 1.]])
    """

    def __init__(self, eps=1e-8):
        super().__init__()
        self.eps = eps

    def pool(self, x, valid):
        """Mean and deviation over the valid frames."""
        # Squares of half-precision activations overflow.
        wide = x.to(torch.promote_types(x.dtype, torch.float32))
        mean = mean_over_time(wide, valid)
        centred = (wide - mean.unsqueeze(1)) * valid.unsqueeze(-1)
        variance = mean_over_time(centred.square(), valid)
        deviation = variance.clamp(min=self.eps).sqrt()
        return torch.cat([mean, deviation], dim=-1).to(x.dtype)

    def output_dim(self, dim):
        """Two statistics of each channel."""
        return 2 * dim

    def arguments(self):
        """The floor of the variance."""
        return {"eps": self.eps}


class AttentivePooling(Pooling):
    """Weighted mean of the valid frames with learned weights.

    Each frame gets a score from Linear, tanh, Linear; a softmax over the
    utterance's own frames turns the scores into weights that sum to 1.

    Arguments
    ---------
    dim : int
        Size of a frame.
    attention_dim : int
        Size of the scoring network's hidden layer.
    scale : float
        The scores are multiplied by it: below 1, the weights are more even
        (Zhang et al., 2018).

    Example
    -------
    >>> pooling = AttentivePooling(dim=8, attention_dim=4)
    >>> pooling(torch.rand(2, 5, 8), torch.tensor([3, 5])).shape
    torch.Size([2, 8])
    """

    def __init__(self, dim, attention_dim=128, scale=1.0):
        super().__init__()
        self.dim = dim
        self.attention_dim = attention_dim
        self.scale = scale
        self.score = nn.Sequential(
            nn.Linear(dim, attention_dim),
            nn.Tanh(),
            nn.Linear(attention_dim, 1),
        )

    def pool(self, x, valid):
        """Weighted mean over the valid frames."""
        scores = self.scale * self.score(x).squeeze(-1)
        weights = scores.masked_fill(~valid, float("-inf")).softmax(dim=-1)
        return (weights.unsqueeze(-1) * x).sum(dim=1)

    def output_dim(self, dim):
        """A weighted mean has the size of a frame."""
        return _same_dim(self, dim, self.dim)

    def arguments(self):
        """The sizes of a frame and of the hidden layer, and the scale."""
        names = ("dim", "attention_dim", "scale")
        return {name: getattr(self, name) for name in names}


class LSTMPooling(Pooling):
    """Mean over time of a bidirectional LSTM that ignores padding.

    It pools the emotion states in the first step of P-TAPT (Chen and
    Rudnicky), there with 256 units in each direction.

    Arguments
    ---------
    dim : int
        Size of a frame.
    hidden : int
        Units in each direction; the output has twice as many.

    Example
    -------
    >>> pooling = LSTMPooling(dim=8, hidden=4)
    >>> pooling(torch.rand(2, 5, 8), torch.tensor([3, 5])).shape
    torch.Size([2, 8])
    """

    def __init__(self, dim, hidden=256):
        super().__init__()
        self.dim = dim
        self.hidden = hidden
        self.lstm = nn.LSTM(dim, hidden, batch_first=True, bidirectional=True)

    def pool(self, x, valid):
        """Mean over the LSTM's outputs at the valid frames."""
        return mean_over_time(self.states(x, valid), valid)

    def states(self, x, valid):
        """Outputs (batch, frames, 2 * hidden), zero beyond an utterance."""
        lengths = valid.sum(dim=1)
        if x.is_cuda:
            return self._packed(x, lengths.cpu())
        # On a CPU a packed sequence takes ten times as long.
        frames = torch.arange(x.size(1), device=x.device)
        # The backward direction starts at the utterance's own last frame.
        mirrored = lengths[:, None] - 1 - frames
        places = torch.where(valid, mirrored, frames)[..., None]
        forward = self._one_way(x, "")
        backward = x.gather(1, places.expand_as(x))
        backward = self._one_way(backward, "_reverse")
        backward = backward.gather(1, places.expand_as(backward))
        states = torch.cat([forward, backward], dim=-1)
        return states.masked_fill(~valid[..., None], 0.0)

    def _one_way(self, x, direction):
        """One direction's outputs, shape (batch, frames, hidden)."""
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        weights = [getattr(self.lstm, f"{n}_l0{direction}") for n in names]
        start = x.new_zeros(1, len(x), self.hidden)
        options = (True, 1, 0.0, self.training, False, True)
        return torch.lstm(x, (start, start), weights, *options)[0]

    def _packed(self, x, lengths):
        """Both directions at once."""
        packed = nn.utils.rnn.pack_padded_sequence(
            x, lengths, batch_first=True, enforce_sorted=False
        )
        states, _ = nn.utils.rnn.pad_packed_sequence(
            self.lstm(packed)[0], batch_first=True, total_length=x.size(1)
        )
        return states

    def output_dim(self, dim):
        """Both directions, concatenated."""
        _same_dim(self, dim, self.dim)
        return 2 * self.hidden

    def arguments(self):
        """The sizes of a frame and of the LSTM."""
        return {"dim": self.dim, "hidden": self.hidden}


class AttentiveLSTMPooling(LSTMPooling):
    """Weighted mean of a bidirectional LSTM's outputs, the weights learned.

    Arguments
    ---------
    dim, hidden : int
        As for ``LSTMPooling``.
    attention_dim : int
        As for ``AttentivePooling``.

    Example
    -------
    >>> pooling = AttentiveLSTMPooling(dim=8, hidden=4)
    >>> pooling(torch.rand(2, 5, 8), torch.tensor([3, 5])).shape
    torch.Size([2, 8])
    """

    def __init__(self, dim, hidden=256, attention_dim=128):
        super().__init__(dim, hidden)
        self.attention = AttentivePooling(2 * hidden, attention_dim)

    def pool(self, x, valid):
        """Weighted mean over the LSTM's outputs at the valid frames."""
        return self.attention.pool(self.states(x, valid), valid)

    def arguments(self):
        """The sizes of a frame, of the LSTM and of the scoring network."""
        size = self.attention.attention_dim
        return {**super().arguments(), "attention_dim": size}


def _same_dim(pooling, given, built_for):
    """`given`, if the pooling was built for frames of that size."""
    if given != built_for:
        raise ValueError(
            f"{type(pooling).__name__} was built for frames of size "
            f"{built_for}, but the frames have {given}: give it dim={given}."
        )
    return given


# A saved head names its pooling; only these names are ever built from a file.
POOLINGS = {
    kind.__name__: kind
    for kind in (
        AveragePooling,
        StatisticsPooling,
        AttentivePooling,
        LSTMPooling,
        AttentiveLSTMPooling,
    )
}


def described(pooling):
    """Return a pooling's name and arguments, JSON-compatible.

    Example
    -------
    >>> described(AveragePooling())
    {'name': 'AveragePooling', 'arguments': {}}
    """
    name = type(pooling).__name__
    return {"name": name, "arguments": pooling.arguments()}


def build(description):
    """Build one of this toolkit's poolings from the result of `described`.

    Arguments
    ---------
    description : dict
        `name` and `arguments`, perhaps read from a file.

    Raises
    ------
    ValueError
        If there is no such pooling, or it takes other arguments.

    Example
    -------
    >>> build({"name": "StatisticsPooling", "arguments": {"eps": 1e-6}}).eps
    1e-06
    """
    kind = POOLINGS.get(description["name"])
    if kind is None:
        raise ValueError(
            f"the head's pooling is {description['name']!r}: it must be one "
            f"of {', '.join(POOLINGS)}."
        )
    try:
        return kind(**description["arguments"])
    except TypeError as error:
        raise ValueError(
            f"{description['name']} cannot be built from "
            f"{description['arguments']}: {error}."
        ) from error
