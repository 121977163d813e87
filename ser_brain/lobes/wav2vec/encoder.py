"""wav2vec 1.0 as fairseq builds it, independent of how clips are batched."""

import contextlib
import re
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import nn

from ser_brain.lobes.fairseq_checkpoint import read_fairseq_checkpoint
from ser_brain.lobes.wav2vec.layers import (
    ConvAggregator,
    Extractor,
    GRUAggregator,
    conv_length,
    zero_padding,
)
from ser_brain.lobes.wav2vec.options import Wav2VecOptions
from ser_brain.lobes.wav2vec.storage import load_folder, load_state, save_folder

FORMAT = "ser_brain-wav2vec-1"
SAMPLE_RATE = 16000

# fairseq's parameter names, by position in its Sequentials, to ours.
RENAMED = (
    (r"^feature_(extractor|aggregator)\.", r"\1."),
    (r"^(\w+)\.conv_layers\.", r"\1.layers."),
    (r"^(extractor\.layers\.\d+)\.0\.", r"\1.conv."),
    (r"^(extractor\.layers\.\d+)\.2\.", r"\1.norm."),
    (r"^(aggregator\.layers\.\d+)\.1\.", r"\1.conv."),
    (r"^(aggregator\.layers\.\d+)\.3\.", r"\1.norm."),
    (r"^aggregator\.residual_proj\.", "aggregator.shortcuts."),
    (r"^aggregator\.1\.", "aggregator.gru."),
)
# Parts of the pretraining objective: neither z nor c goes through them.
UNUSED = ("wav2vec_predictions.", "project_features.")


class Wav2Vec(nn.Module):
    """wav2vec 1.0: waveform -> z (extractor) -> c (causal aggregator).

    A clip's output does not depend on its batch: the group norms, which
    average over time in every layer, see the clip's own frames only
    (Schneider et al., 2019; Chen and Rudnicky, Sec. 3.2).

    Arguments
    ---------
    source : str, Path or dict
        A fairseq checkpoint (``wav2vec_large.pt``), a folder that
        ``save_pretrained`` wrote, or options by fairseq's names for a model
        with random weights.
    freeze_extractor : bool
        Whether the extractor is frozen: no gradient, always in eval mode.

    Raises
    ------
    OSError
        If there is no such file or folder.
    ValueError
        If it holds anything other than a complete wav2vec 1.0.

    Example
    -------
    >>> model = Wav2Vec.from_options(
    ...     {
    ...         "conv_feature_layers": "[(8,10,5), (8,8,4)] + [(8,4,2)] * 3",
    ...         "conv_aggregator_layers": "[(16, 2, 1), (16, 3, 1)]",
    ...         "skip_connections_agg": True,
    ...         "log_compression": True,
    ...     }
    ... )
    >>> wavs = torch.randn(2, 16000)
    >>> model(wavs, torch.tensor([1.0, 0.5])).shape
    torch.Size([2, 98, 16])
    >>> model.frame_lengths(torch.tensor([16000, 8000]))
    tensor([98, 48])
    """

    def __init__(self, source, freeze_extractor=True):
        super().__init__()
        options, state = _read(source)
        self.options = Wav2VecOptions.read(options)
        self.freeze_extractor = freeze_extractor
        self.extractor = Extractor(self.options)
        is_cnn = self.options.aggregator == "cnn"
        self.aggregator = (ConvAggregator if is_cnn else GRUAggregator)(
            self.options
        )
        self.dropout_features = nn.Dropout(self.options.dropout_features)
        self.dropout_agg = nn.Dropout(self.options.dropout_agg)
        if state is not None:
            load_state(self, state, source)
        if freeze_extractor:
            self.extractor.requires_grad_(False)
            self.extractor.eval()

    @classmethod
    def from_options(cls, options, freeze_extractor=True):
        """Build a model with random weights (torch's own initialisation).

        Arguments
        ---------
        options : dict
            Options by fairseq's names (see ``Wav2VecOptions``).
        freeze_extractor : bool
            As for the class.

        Returns
        -------
        Wav2Vec
        """
        return cls(dict(options), freeze_extractor)

    @property
    def dim(self):
        """Number of features per frame of c."""
        return self.aggregator.dim

    @property
    def feature_dim(self):
        """Number of features per frame of z."""
        return self.options.conv_feature_layers[-1][0]

    def feature_lengths(self, samples):
        """Number of frames of z: one per 10 ms, less the edges.

        Arguments
        ---------
        samples : int or torch.Tensor
            Samples at 16 kHz.

        Returns
        -------
        int or torch.Tensor
            0 for a clip shorter than the receptive field.
        """
        for _, kernel, stride in self.options.conv_feature_layers:
            samples = conv_length(samples, kernel, stride)
        return samples

    def frame_lengths(self, samples):
        """Number of frames of c, that of z in every published model.

        Arguments
        ---------
        samples : int or torch.Tensor
            Samples at 16 kHz.

        Returns
        -------
        int or torch.Tensor
            0 for a clip shorter than the receptive field.
        """
        return self.aggregator.frame_lengths(self.feature_lengths(samples))

    def hop_and_reach(self):
        """Samples from frame to frame, and receptive field in samples."""
        hop, reach = 1, 1
        for _, kernel, stride in self.options.conv_feature_layers:
            reach += (kernel - 1) * hop
            hop *= stride
        return hop, reach

    def train(self, mode=True):
        """Set training mode; a frozen extractor stays in eval mode."""
        super().train(mode)
        if self.freeze_extractor:
            self.extractor.eval()
        return self

    def features(self, wavs, wav_lens=None):
        """z, the extractor's output.

        Arguments
        ---------
        wavs : torch.Tensor
            Waveforms at 16 kHz in [-1, 1], (batch, samples).
        wav_lens : torch.Tensor, optional
            Relative lengths in (0, 1], (batch,); None: nothing is padded.

        Returns
        -------
        torch.Tensor
            (batch, frames, feature_dim), as long as the longest clip; 0
            beyond a clip's end.

        Raises
        ------
        ValueError
            If a clip is too short for one frame.
        """
        return self.features_and_lengths(wavs, wav_lens)[0]

    def features_and_lengths(self, wavs, wav_lens=None):
        """z as ``features`` returns it, and its lengths (None: no padding)."""
        wavs, samples = self._trim(wavs, wav_lens)
        frozen = torch.no_grad() if self.freeze_extractor else None
        with frozen or contextlib.nullcontext():
            z, lengths = self.extractor(wavs, samples)
            return zero_padding(z.transpose(1, 2), lengths), lengths

    def _trim(self, wavs, wav_lens):
        """Cut what no clip uses; lengths are None if nothing is padded."""
        samples = None
        if wav_lens is not None:
            samples = (wav_lens.to(wavs.device) * wavs.shape[1]).round().long()
            wavs = wavs[:, : int(samples.max())]
            if bool((samples == wavs.shape[1]).all()):
                samples = None
        shortest = wavs.shape[1] if samples is None else int(samples.min())
        reach = self.hop_and_reach()[1]
        if shortest < reach:
            raise ValueError(
                f"a clip has {shortest} samples, but wav2vec 1.0 needs "
                f"{reach} ({1000 * reach / SAMPLE_RATE:.0f} ms at 16 kHz): "
                "leave shorter clips out."
            )
        return wavs, samples

    def aggregate(self, z, lengths=None):
        """c, the aggregator's output.

        Arguments
        ---------
        z : torch.Tensor
            (batch, frames, feature_dim).
        lengths : torch.Tensor, optional
            Valid frames of each clip, (batch,); None: all.

        Returns
        -------
        torch.Tensor
            (batch, frames, dim); 0 beyond a clip's end.
        """
        z = self.dropout_features(z).transpose(1, 2)
        c = self.aggregator(z, lengths).transpose(1, 2)
        if lengths is not None:
            lengths = self.aggregator.frame_lengths(lengths)
        return zero_padding(self.dropout_agg(c), lengths)

    def forward(self, wavs, wav_lens=None):
        """c of waveforms.

        Arguments
        ---------
        wavs : torch.Tensor
            Waveforms at 16 kHz in [-1, 1], (batch, samples).
        wav_lens : torch.Tensor, optional
            Relative lengths in (0, 1], (batch,); None: nothing is padded.

        Returns
        -------
        torch.Tensor
            (batch, frames, dim), as long as the longest clip; 0 beyond a
            clip's end.

        Raises
        ------
        ValueError
            If a clip is too short for one frame.
        """
        return self.aggregate(*self.features_and_lengths(wavs, wav_lens))

    def save_pretrained(self, folder, dtype=torch.float32):
        """Write config.json and model.safetensors, which the class reads.

        Arguments
        ---------
        folder : str or Path
            Created if missing.
        dtype : torch.dtype
            float32, or float16 at half the size.
        """
        config = {"format": FORMAT, "options": self.options.to_dict()}
        save_folder(folder, config, self, dtype)


def _read(source):
    """Options and weights (None: random) of any of the three sources."""
    if isinstance(source, Mapping):
        return source, None
    if Path(source).is_dir():
        config, state = load_folder(source, FORMAT)
        return config.get("options"), state
    options, weights = read_fairseq_checkpoint(source)
    return options, _our_names(weights)


def _our_names(weights):
    """fairseq's weights in fp32 under our names, unused ones left out."""
    state = {}
    for name, value in weights.items():
        if name.startswith(UNUSED):
            continue
        for pattern, ours in RENAMED:
            name = re.sub(pattern, ours, name)
        state[name] = value.float()
    return state
