"""A classifier as one graph of tensor operations, for other runtimes.

Lobes and heads branch on lengths: an unpadded batch takes a shorter path. A
graph has a single path, which must fit every batch. The parts of the encoder
are used unchanged; only those that depend on lengths are replaced by tensor
operations with the same result.
"""

import copy

import numpy as np
import soxr
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import parametrize

from ser_brain.dataio.audio import STEPS, resampled_count
from ser_brain.lobes.attention import additive_mask
from ser_brain.lobes.wav2vec2.family import normalize_clips
from ser_brain.lobes.whisper import Whisper
from ser_brain.lobes.whisper.log_mel import HOP, WINDOW, reflected
from ser_brain.nnet.layer_heads import LayerHead
from ser_brain.nnet.lengths import valid_frames
from ser_brain.nnet.pooling import LSTMPooling, mean_over_time

# Maximum number of samples that soxr's filter reaches before and after one.
REACH = 2000
# First samples of soxr's answer that its filter gives otherwise.
BEGUN = 8
# Fraction of the largest weight: soxr itself is not more precise.
LEAST = 1e-8


class ClassifierGraph(nn.Module):
    """Maps waveforms and their lengths to posteriors.

    Arguments
    ---------
    recognizer : EmotionRecognizer
        The recognizer to export; it is copied and not changed.

    Example
    -------
    >>> from ser_brain.assets import folder
    >>> from ser_brain.inference import EmotionRecognizer
    >>> from ser_brain.lobes.whisper import Whisper
    >>> from ser_brain.nnet.heads import UtteranceHead
    >>> encoder = Whisper(folder("whisper_tiny_en"))
    >>> recognizer = EmotionRecognizer(
    ...     encoder, UtteranceHead(encoder.dim, 2), ["a", "b"]
    ... )
    >>> wavs, samples = torch.randn(2, 16000), torch.tensor([16000, 8000])
    >>> graph = ClassifierGraph(recognizer)
    >>> expected = recognizer.posteriors(wavs, samples / 16000)
    >>> bool((graph(wavs, samples) - expected).abs().max() < 1e-4)
    True
    """

    def __init__(self, recognizer):
        super().__init__()
        encoder = copy.deepcopy(recognizer.encoder).cpu()
        self.head = copy.deepcopy(recognizer.head).cpu()
        self.head.pooling = TensorPooling(self.head.pooling)
        self.reads_layers = isinstance(self.head, LayerHead)
        self.players = nn.ModuleList(map(Player, recognizer.speeds))
        parts = WhisperParts if isinstance(encoder, Whisper) else FamilyParts
        self.front_end = parts(encoder)
        self.transformer = Transformer(encoder)
        _merge_weight_norms(self)
        self.requires_grad_(False).eval()

    def forward(self, wavs, lengths):
        """Compute the posteriors of a padded batch.

        Arguments
        ---------
        wavs : torch.Tensor
            Mono waveforms at 16 kHz in [-1, 1], shape (batch, samples).
        lengths : torch.Tensor
            Samples of each utterance, int64, shape (batch,).

        Returns
        -------
        torch.Tensor
            Shape (batch, classes).
        """
        wavs = wavs.masked_fill(~valid_frames(lengths, wavs.shape[1]), 0)
        # One batch of all speeds: each weight is used once, as the
        # quantisation of ONNX files needs it.
        wavs, samples = self.played(wavs, lengths)
        features, lengths = self.front_end(wavs, samples)
        states = self.transformer(features, lengths)
        frames = torch.stack(states) if self.reads_layers else states[-1]
        posteriors = self.head(frames, lengths).softmax(dim=-1)
        return posteriors.unflatten(0, (len(self.players), -1)).mean(0)

    def played(self, wavs, lengths):
        """Utterances at each speed, (speeds * batch, samples), and lengths."""
        if len(self.players) == 1:
            return self.players[0](wavs, lengths)
        slowest = min(self.players, key=lambda play: play.taken / play.given)
        longest = slowest.count(wavs.shape[1])
        found = [play(wavs, lengths) for play in self.players]
        padded = [F.pad(x, (0, longest - x.shape[1])) for x, _ in found]
        return torch.cat(padded), torch.cat([counts for _, counts in found])


class Transformer(nn.Module):
    """All layers of an encoder, with padding always masked.

    Like ``Encoder.hidden_states``, which omits masks that are not needed.
    """

    def __init__(self, encoder):
        super().__init__()
        self.encoder = encoder

    def forward(self, features, lengths):
        """Return each layer's input, then the output, all (batch, frames, dim).

        Arguments are those of ``Encoder.transformer``.
        """
        padding = ~valid_frames(lengths, features.shape[1])
        features = features.masked_fill(padding[..., None], 0)
        mask = additive_mask(padding, features.dtype)
        keep = [True] * len(self.encoder.layer_stack)
        return list(self.encoder.run_layers(features, padding, mask, keep))


class FamilyParts(nn.Module):
    """The front-end of wav2vec 2.0 and its relatives."""

    def __init__(self, encoder):
        super().__init__()
        self.encoder = encoder
        layers = encoder.model.feature_extractor.conv_layers
        self.layers = nn.ModuleList(layers)
        for layer in self.layers:
            if isinstance(getattr(layer, "layer_norm", None), nn.GroupNorm):
                layer.layer_norm = TensorGroupNorm(layer.layer_norm)

    def forward(self, wavs, samples):
        """Projected features and frame lengths, as ``Encoder.front_end``."""
        if self.encoder.normalizes_clips:
            wavs = normalize_clips(wavs, samples, self.encoder.normalize_eps)
        x, lengths = wavs[:, None], samples
        for layer in self.layers:
            kernel, stride = layer.conv.kernel_size[0], layer.conv.stride[0]
            lengths = (lengths - kernel) // stride + 1
            norm = getattr(layer, "layer_norm", None)
            if isinstance(norm, TensorGroupNorm):
                x = layer.activation(norm(layer.conv(x), lengths))
            else:
                x = layer(x)
        features = self.encoder.feature_norm(x.transpose(1, 2))
        return self.encoder.project(features), lengths


class TensorGroupNorm(nn.Module):
    """``masked_group_norm`` as on a GPU: all clips at once."""

    def __init__(self, norm):
        super().__init__()
        self.norm = norm

    def forward(self, x, lengths):
        """Normalise over each clip's frames, (batch, channels, frames)."""
        norm, frames = self.norm, x.shape[2]
        valid = valid_frames(lengths, frames)[:, None, None].to(x.dtype)
        grouped = x.unflatten(1, (norm.num_groups, -1))
        count = (lengths * grouped.shape[2]).to(x.dtype)[:, None, None, None]
        mean = (grouped * valid).sum((2, 3), keepdim=True) / count
        centred = (grouped - mean) * valid
        variance = centred.square().sum((2, 3), keepdim=True) / count
        normed = (centred / (variance + norm.eps).sqrt()).flatten(1, 2)
        return normed * norm.weight[:, None] + norm.bias[:, None]


class WhisperParts(nn.Module):
    """The front-end of Whisper: log-mel spectrogram, two convolutions.

    The Fourier transform is a convolution, which every runtime supports.
    """

    def __init__(self, encoder):
        super().__init__()
        self.encoder = encoder
        window = encoder.log_mel.window
        times = torch.arange(WINDOW, dtype=torch.float64)
        angles = 2 * torch.pi / WINDOW * times * times[: WINDOW // 2 + 1, None]
        waves = torch.cat([angles.cos(), -angles.sin()]) * window.double()
        self.register_buffer("waves", waves.float()[:, None])

    def log_mel(self, wavs, samples):
        """Like ``LogMel``."""
        wavs = reflected(wavs, samples, WINDOW // 2)
        parts = F.conv1d(wavs[:, None], self.waves, stride=HOP)[..., :-1]
        real, imaginary = parts.split(WINDOW // 2 + 1, dim=1)
        power = real.square() + imaginary.square()
        mel = self.encoder.log_mel.filters @ power
        mel = mel.clamp(min=1e-10).log() / np.log(10.0)
        lengths = samples // HOP
        padding = ~valid_frames(lengths, mel.shape[2])[:, None]
        loudest = mel.masked_fill(padding, -100.0).amax((1, 2), keepdim=True)
        mel = (mel.maximum(loudest - 8.0) + 4.0) / 4.0
        return mel.masked_fill(padding, 0), lengths

    def forward(self, wavs, samples):
        """Projected features and frame lengths, as ``Encoder.front_end``."""
        x, lengths = self.log_mel(wavs, samples)
        x = F.gelu(self.encoder.model.conv1(x))
        padding = ~valid_frames(lengths, x.shape[2])[:, None]
        x = F.gelu(self.encoder.model.conv2(x.masked_fill(padding, 0)))
        return self.encoder.project(x.transpose(1, 2)), (lengths + 1) // 2


class TensorPooling(nn.Module):
    """A pooling that relies on lengths, with an LSTM without packing."""

    def __init__(self, pooling):
        super().__init__()
        self.pooling = pooling
        self.lstms = None
        if isinstance(pooling, LSTMPooling):
            self.lstms = nn.ModuleList(_directions(pooling.lstm))

    def forward(self, x, lengths):
        """Like ``Pooling``, with lengths."""
        valid = valid_frames(lengths, x.shape[1])
        x = x.masked_fill(~valid[..., None], 0.0)
        if self.lstms is None:
            return self.pooling.pool(x, valid)
        forwards, backwards = self.lstms
        states = [
            forwards(x)[0],
            _turned(backwards(_turned(x, lengths))[0], lengths),
        ]
        states = torch.cat(states, dim=2).masked_fill(~valid[..., None], 0.0)
        return mean_over_time(states, valid)


def _turned(x, lengths):
    """Reverse each utterance's frames, and keep its padding at the end."""
    frames = torch.arange(x.shape[1], device=x.device)
    places = (lengths[:, None] - 1 - frames).clamp(min=0)
    return x.gather(1, places[..., None].expand(-1, -1, x.shape[2]))


def _directions(lstm):
    """Split a bidirectional LSTM into two LSTMs."""
    for suffix in ("", "_reverse"):
        one = nn.LSTM(lstm.input_size, lstm.hidden_size, batch_first=True)
        state = {
            name: getattr(lstm, name + suffix) for name in one.state_dict()
        }
        one.load_state_dict(state)
        yield one


class Player(nn.Module):
    """Play utterances at a speed like soxr, by a convolution.

    soxr's filter is linear and periodic: its responses to single samples are
    the weights. Its first few samples have other ones, as if the filter had
    not quite begun.

    Arguments
    ---------
    speed : float
        A multiple of 0.01.
    """

    def __init__(self, speed):
        super().__init__()
        common = np.gcd(round(STEPS * speed), STEPS)
        self.taken = int(round(STEPS * speed) // common)
        self.given = int(STEPS // common)
        if self.taken != self.given:
            weights, self.before = _soxr_filter(self.taken, self.given)
            self.register_buffer("weights", weights[:, None])
            self.register_buffer("start", self._start())

    def _start(self):
        """What the first samples add to the convolution, (samples, begun)."""
        single = torch.eye(REACH // 2, REACH)
        counts = torch.full((len(single),), REACH)
        found = self._convolved(single, counts)[:, :BEGUN]
        expected = [
            soxr.resample(one, self.taken, self.given, quality="HQ")[:BEGUN]
            for one in single.numpy()
        ]
        added = torch.from_numpy(np.stack(expected)) - found
        return added[: int(added.abs().amax(1).gt(LEAST).nonzero().max()) + 1]

    def count(self, samples):
        """Samples that so many samples become."""
        return resampled_count(samples, self.taken, self.given)

    def forward(self, wavs, lengths):
        """Return waveforms (batch, samples), zero-padded, and their lengths."""
        if self.taken == self.given:
            return wavs, lengths
        counts = self.count(lengths)
        x = self._convolved(wavs, counts)
        first = F.pad(wavs, (0, len(self.start)))[:, : len(self.start)]
        # No matrix product, which the 8-bit file would approximate.
        begun = x[:, :BEGUN] + (first[..., None] * self.start).sum(1)
        return torch.cat([begun, x[:, BEGUN:]], 1), counts

    def _convolved(self, wavs, counts):
        """The convolution, zero-padded after so many samples."""
        after = self.weights.shape[2] + self.taken
        x = F.pad(wavs[:, None], (self.before, after))
        x = F.conv1d(x, self.weights, stride=self.taken)
        x = x.transpose(1, 2).flatten(1)[:, : self.count(wavs.shape[1])]
        return x.masked_fill(~valid_frames(counts, x.shape[1]), 0)


def _soxr_filter(taken, given):
    """Measure soxr's weights where ``taken`` samples become ``given``.

    Returns
    -------
    weights : torch.Tensor
        Shape (given, taps).
    before : int
        Taps before the first of the ``taken`` samples.
    """
    periods = REACH // taken
    middle = periods * taken
    weights = np.zeros((given, 2 * middle + taken))
    for place in range(taken):
        impulse = np.zeros(2 * middle + taken)
        impulse[middle + place] = 1
        answer = soxr.resample(impulse, taken, given, quality="HQ")
        answer = answer[: given * (2 * periods + 1)].reshape(-1, given)
        weights[:, place::taken] = answer[::-1].T
    heard = np.flatnonzero(np.abs(weights).max(0) > LEAST * weights.max())
    first, last = heard[0], heard[-1]
    weights = torch.from_numpy(weights[:, first : last + 1]).float()
    return weights, int(middle - first)


def _merge_weight_norms(module):
    """Compute weights parametrised by direction and length once.

    The layers are replaced: to remove a parametrization changes the class,
    which a copy shares with its original.
    """
    for parent in list(module.modules()):
        for name, child in list(parent.named_children()):
            if parametrize.is_parametrized(child):
                setattr(parent, name, _plain(child))


def _plain(conv):
    """A plain convolution with the weights of a parametrized one."""
    plain = nn.Conv1d(
        conv.in_channels,
        conv.out_channels,
        conv.kernel_size,
        conv.stride,
        conv.padding,
        conv.dilation,
        conv.groups,
    )
    plain.load_state_dict({"weight": conv.weight, "bias": conv.bias})
    return plain
