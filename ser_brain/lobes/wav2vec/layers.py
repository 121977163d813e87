"""The layers of wav2vec 1.0, all of which ignore padding.

Tensors are (batch, channels, frames). ``lengths`` counts each clip's valid
frames; None means that nothing is padded, and takes torch's plain path.
"""

import math

import torch
import torch.nn.functional as F
from torch import nn

from ser_brain.nnet.lengths import valid_frames
from ser_brain.nnet.norm import masked_group_norm

ACTIVATIONS = {"relu": nn.ReLU, "gelu": nn.GELU}


def conv_length(frames, kernel, stride):
    """Frames after an unpadded convolution, for an int or a tensor.

    Example
    -------
    >>> conv_length(16000, 10, 5), conv_length(9, 10, 5)
    (3199, 0)
    """
    frames = (frames - kernel) // stride + 1
    return frames * (frames > 0)


class NormedConv(nn.Module):
    """Convolution, dropout, group norm over the valid frames, activation.

    Arguments
    ---------
    n_in : int
        Input channels.
    layer : tuple of int
        (channels, kernel, stride).
    options : Wav2VecOptions
        For the activation and the affine group norm.
    bias : bool
        Whether the convolution has a bias.
    dropout : float
        Dropout between convolution and norm.
    """

    def __init__(self, n_in, layer, options, bias=False, dropout=0.0):
        super().__init__()
        dim, kernel, stride = layer
        self.kernel, self.stride = kernel, stride
        self.conv = nn.Conv1d(n_in, dim, kernel, stride, bias=bias)
        self.dropout = nn.Dropout(dropout)
        affine = not options.non_affine_group_norm
        self.norm = nn.GroupNorm(1, dim, affine=affine)
        self.activation = ACTIVATIONS[options.activation]()

    def forward(self, x, lengths):
        """Map x; `lengths` counts the valid output frames."""
        x = self.dropout(self.conv(x))
        norm = self.norm
        x = masked_group_norm(x, lengths, norm.weight, norm.bias, norm.eps)
        return self.activation(x)


class Extractor(nn.Module):
    """Waveform to z: 100 frames per second (Schneider et al., 2019, Sec. 2.1).

    Arguments
    ---------
    options : Wav2VecOptions
        The architecture.

    Example
    -------
    >>> from ser_brain.lobes.wav2vec.options import Wav2VecOptions
    >>> layers = [(8, 10, 5), (8, 8, 4)]
    >>> options = Wav2VecOptions(layers, False, True, aggregator="gru")
    >>> z, lengths = Extractor(options)(torch.randn(2, 400), None)
    >>> z.shape
    torch.Size([2, 8, 18])
    """

    def __init__(self, options):
        super().__init__()
        self.options = options
        self.layers = nn.ModuleList()
        n_in = 1
        for layer in options.conv_feature_layers:
            self.layers.append(NormedConv(n_in, layer, options))
            n_in = layer[0]

    def forward(self, wavs, samples):
        """Map (batch, samples) to z (batch, dim, frames) and its lengths."""
        x, lengths = wavs[:, None], samples
        for layer in self.layers:
            residual, old_lengths = x, lengths
            if lengths is not None:
                lengths = conv_length(lengths, layer.kernel, layer.stride)
            x = layer(x, lengths)
            same_width = residual.shape[1] == x.shape[1]
            if self.options.skip_connections_feat and same_width:
                thinned = thin(residual, old_lengths, x.shape[2], lengths)
                x = (x + thinned) * math.sqrt(self.options.residual_scale)
        if self.options.log_compression:
            x = torch.log(x.abs() + 1)
        return x, lengths


def thin(x, lengths, n_frames, new_lengths):
    """Take every n-th frame, so that x has as many as after a convolution.

    fairseq's n is the ratio of the two frame counts, which is not quite the
    stride in a short clip; here n is computed per clip.

    Example
    -------
    >>> x = torch.arange(15.0).view(1, 1, 15)
    >>> thin(x, None, 2, None)
    tensor([[[0., 7.]]])
    >>> thin(x, torch.tensor([12]), 2, torch.tensor([2]))
    tensor([[[0., 6.]]])
    """
    if lengths is None:
        return x[..., :: x.shape[2] // n_frames][..., :n_frames]
    step = lengths // new_lengths.clamp(min=1)
    frames = torch.arange(n_frames, device=x.device)
    index = (frames * step[:, None]).clamp(max=x.shape[2] - 1)
    return x.gather(2, index[:, None].expand(-1, x.shape[1], -1))


class ConvAggregator(nn.Module):
    """z to c with causal convolutions (Schneider et al., 2019, Sec. 2.1).

    Each layer is padded on its left with zeros or with the clip's first
    frame, so that the end of a clip, where a batch is padded, is never seen.

    Arguments
    ---------
    options : Wav2VecOptions
        The architecture.
    """

    def __init__(self, options):
        super().__init__()
        self.options = options
        self.layers = nn.ModuleList()
        self.shortcuts = nn.ModuleList()
        n_in = options.conv_feature_layers[-1][0]
        for layer in options.conv_aggregator_layers:
            bias = not options.no_conv_bias
            self.layers.append(
                NormedConv(n_in, layer, options, bias, options.dropout)
            )
            widens = options.skip_connections_agg and layer[0] != n_in
            self.shortcuts.append(
                nn.Conv1d(n_in, layer[0], 1, bias=False)
                if widens
                else nn.Identity()
            )
            n_in = layer[0]
        self.dim = n_in

    def frame_lengths(self, frames):
        """Number of frames of c for a number of frames of z."""
        for layer in self.layers:
            frames = (frames - 1) // layer.stride + 1
        return frames

    def forward(self, x, lengths):
        """Maps z (batch, feature_dim, frames) to c (batch, dim, frames)."""
        mode = "constant" if self.options.agg_zero_pad else "replicate"
        for layer, shortcut in zip(self.layers, self.shortcuts):
            if lengths is not None:
                lengths = (lengths - 1) // layer.stride + 1
            residual = x
            x = layer(F.pad(x, (layer.kernel - 1, 0), mode=mode), lengths)
            if self.options.skip_connections_agg:
                scale = math.sqrt(self.options.residual_scale)
                x = (x + shortcut(residual)) * scale
        return x


class GRUAggregator(nn.Module):
    """z to c with one GRU cell per frame.

    fairseq hands (batch, frames, dim) to a GRU that takes time first: it
    steps over the *batch*, and each frame is a sequence of its own. For one
    clip alone that is a single step from the zero state. This is computed here
    for every clip, so that a clip's output is that of fairseq for the clip
    alone, whatever it is batched with.

    Arguments
    ---------
    options : Wav2VecOptions
        The architecture.
    """

    def __init__(self, options):
        super().__init__()
        self.dim = options.gru_dim
        self.gru = nn.GRU(options.conv_feature_layers[-1][0], self.dim)

    def frame_lengths(self, frames):
        """Number of frames of c: the same as of z."""
        return frames

    def forward(self, x, lengths):
        """Maps z (batch, feature_dim, frames) to c (batch, dim, frames)."""
        n_batch, _, n_frames = x.shape
        frames = x.transpose(1, 2).flatten(0, 1)[None]
        hidden = self.gru(frames)[0]
        return hidden.view(n_batch, n_frames, self.dim).transpose(1, 2)


def zero_padding(x, lengths):
    """Set the frames of x (batch, frames, dim) beyond each clip to 0."""
    if lengths is None:
        return x
    valid = valid_frames(lengths, x.shape[1])
    return x.masked_fill(~valid[..., None], 0.0)
