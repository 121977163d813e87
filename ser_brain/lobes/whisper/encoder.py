"""Whisper's encoder on clips of any length, without padding to 30 s.

Whisper was trained on clips padded to 30 s. Here it runs on the clip alone, so
that its cost follows the clip's length and attention never sees padding.
"""

from pathlib import Path

import torch
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from ser_brain.lobes.encoder import Encoder
from ser_brain.lobes.pretrained import load_model
from ser_brain.lobes.whisper.log_mel import HOP, WINDOW, LogMel
from ser_brain.nnet.lengths import sample_counts, valid_frames

# Prefix of the encoder's weights in a folder with a complete Whisper.
PREFIX = r"^(model\.)?encoder\."


def window_edges(frames, longest):
    """Frames at which the windows of a clip begin and end.

    There are as few windows as possible; their lengths differ by at most one
    frame.

    Arguments
    ---------
    frames : int
        Frames of the clip.
    longest : int
        Maximum number of frames per window.

    Returns
    -------
    list of int
        The first frame of each window, then the end of the last one.

    Example
    -------
    >>> window_edges(1500, 1500), window_edges(3001, 1500)
    ([0, 1500], [0, 1000, 2000, 3001])
    """
    count = max(1, -(-frames // longest))
    return [frames * number // count for number in range(count + 1)]


class Whisper(Encoder):
    """The encoder of Whisper, of any size (Radford et al. 2022).

    The front-end is the log-mel spectrogram and the two convolutions, the
    transformer is everything after them. A clip that has more frames than the
    model has positions (1500, 30 s) goes through the front-end as a whole and
    through the transformer in as few windows of equal length as possible.

    Arguments
    ---------
    source : str, Path or WhisperEncoder
        Folder in transformers' format or hub name (``openai/whisper-tiny``)
        of the encoder or of a complete Whisper, or transformers' encoder
        itself.
    freeze_front_end : bool
        Whether the two convolutions are frozen.
    span_mask : callable, optional
        Draws ``(time_mask, feature_mask)`` from ``(lengths, dim)`` for each
        training batch (``ser_brain.nnet.masking.SpanMask``). Whisper has no
        mask embedding: a masked frame becomes 0 before positions are added,
        masked features become 0, too.
    quick_dropout : bool
        Whether attention's dropout on a CPU is drawn from 16 random bits per
        element, which is faster (``ser_brain.nnet.dropout``); else torch's
        own, as for all other dropout here.

    Example
    -------
    >>> from ser_brain.assets import folder
    >>> encoder = Whisper(folder("whisper_tiny_en")).eval()
    >>> wavs = torch.randn(2, 16000)
    >>> encoder(wavs, torch.tensor([1.0, 0.5])).shape
    torch.Size([2, 50, 384])
    >>> encoder.frame_lengths(torch.tensor([16000, 8000]))
    tensor([50, 25])
    """

    name = "Whisper"
    front_end_options = ("model_type", "num_mel_bins")

    def __init__(
        self,
        source,
        freeze_front_end=True,
        span_mask=None,
        quick_dropout=True,
    ):
        if not isinstance(source, WhisperEncoder):
            source = load_model(
                WhisperEncoder,
                source,
                "whisper",
                needed="a Whisper checkpoint in transformers' format",
                key_mapping={PREFIX: ""},
            )
        super().__init__(source, freeze_front_end, span_mask, quick_dropout)
        self.log_mel = LogMel(self.config.num_mel_bins)
        if freeze_front_end:
            for part in self.cacheable_parts():
                part.requires_grad_(False)

    @property
    def cacheable_dim(self):
        """Number of features per frame of ``cacheable_features``."""
        return self.config.d_model

    @property
    def layer_stack(self):
        """The transformer's layers (``nn.ModuleList``)."""
        return self.model.layers

    @property
    def layer_drop(self):
        """Probability that a layer is left out in training."""
        return self.config.encoder_layerdrop

    @property
    def mask_embedding(self):
        """A masked frame becomes 0."""
        return self.model.layer_norm.weight.new_zeros(())

    def cacheable_parts(self):
        """The two convolutions."""
        return self.model.conv1, self.model.conv2

    def frame_lengths(self, samples):
        """Number of frames for a number of samples: 50 per second.

        Arguments
        ---------
        samples : int or torch.Tensor
            Samples at 16 kHz.

        Returns
        -------
        int or torch.Tensor
            Half of the spectrogram's frames, rounded up; 0 for a clip
            shorter than one of its windows (25 ms).
        """
        return (samples // HOP + 1) // 2 * (samples >= WINDOW)

    def cacheable_features(self, wavs, wav_lens):
        """Log-mel spectrogram and convolutions: what can be cached per clip.

        A frozen front-end returns the same every time. Arguments are those of
        ``front_end``.

        Returns
        -------
        tuple of torch.Tensor
            Features of shape (batch, frames, dim) and frame lengths (batch,).

        Raises
        ------
        ValueError
            If a clip is shorter than 400 samples (25 ms).
        """
        samples = sample_counts(wavs, wav_lens)
        wavs = wavs[:, : int(samples.max())]
        lengths = self.checked_frame_lengths(samples)
        with self.front_end_grad():
            x, mel_lengths = self.log_mel(wavs, samples)
            x = F.gelu(self.model.conv1(x))
            valid = valid_frames(mel_lengths, x.shape[2])[:, None]
            x = F.gelu(self.model.conv2(x.masked_fill(~valid, 0)))
            return x.transpose(1, 2), lengths

    def project(self, features):
        """Cacheable features in the model's precision, without projection."""
        return features.to(self.model.layer_norm.weight.dtype)

    def embed(self, features, padding=None):
        """Add the positions, counted from the start of the clip or window."""
        positions = self.model.embed_positions.weight[: features.shape[1]]
        return F.dropout(
            features + positions, self.config.dropout, self.training
        )

    def final_norm(self, states):
        """Layer norm after the last layer."""
        return self.model.layer_norm(states)

    def hidden_states(self, features, lengths, keep):
        """Yield the input of each layer that is kept, then the output.

        Arguments
        ---------
        features, lengths, keep
            As for ``transformer``; ``keep`` has one flag per layer.

        Yields
        ------
        torch.Tensor
            Shape (batch, frames, dim); the last one is the final output.
        """
        longest = self.config.max_source_positions
        frames = features.shape[1]
        if frames <= longest:
            yield from super().hidden_states(features, lengths, keep)
            return
        windows, counts = [], []
        for clip, length in zip(features, lengths.tolist()):
            edges = window_edges(length, longest)
            windows += [clip[a:b] for a, b in zip(edges, edges[1:])]
            counts.append(len(edges) - 1)
        sizes = [len(window) for window in windows]
        windows = pad_sequence(windows, batch_first=True)
        window_lengths = torch.tensor(sizes, device=lengths.device)
        for states in super().hidden_states(windows, window_lengths, keep):
            parts = [part[:size] for part, size in zip(states, sizes)]
            yield self._joined(parts, counts, frames)

    def save_pretrained(self, folder):
        """Write a folder that ``WhisperEncoder`` and this class read."""
        # The encoder alone, under its own names, even if it was taken from a
        # complete Whisper.
        self.model.save_pretrained(Path(folder), save_original_format=False)

    def _joined(self, parts, counts, frames):
        """Join windows into clips, shape (batch, frames, dim)."""
        clips = []
        for count in counts:
            clip = torch.cat(parts[:count])
            parts = parts[count:]
            clips.append(F.pad(clip, (0, 0, 0, frames - len(clip))))
        return torch.stack(clips)
