"""The encoder of emotion states: wav2vec 1.0 with 50 frames per second."""

import torch
from torch import nn

from ser_brain.lobes.encoder import SAMPLE_RATE
from ser_brain.lobes.state_encoder import StateEncoder
from ser_brain.lobes.wav2vec.encoder import Wav2Vec
from ser_brain.lobes.wav2vec.layers import conv_length, zero_padding
from ser_brain.lobes.wav2vec.storage import load_folder, load_state, save_folder

FORMAT = "ser_brain-emotion-states-1"
KERNEL, STRIDE = 4, 2


class EmotionStateEncoder(StateEncoder):
    """wav2vec 1.0, a stride-2 convolution and ReLU (Chen and Rudnicky,
    Sec. 3.2).

    The last convolution halves wav2vec 1.0's 100 frames per second to the 50
    of wav2vec 2.0. The two frame counts still differ: a frame here covers 945
    samples, one of wav2vec 2.0 only 400 (both advance by 320), so that there
    are one or two frames *fewer* than in wav2vec 2.0, never more. Frame i
    corresponds to wav2vec 2.0's frame i; the frames missing at the end have no
    state.

    Arguments
    ---------
    wav2vec : Wav2Vec
        Its extractor stays frozen if it is frozen, as by default.
    span_mask : callable, optional
        Draws ``(time_mask, feature_mask)`` from ``(lengths, dim)`` for each
        training batch (``ser_brain.nnet.masking.SpanMask``).

    Example
    -------
    >>> wav2vec = Wav2Vec.from_options(
    ...     {
    ...         "conv_feature_layers": "[(8,10,5), (8,8,4)] + [(8,4,2)] * 3",
    ...         "conv_aggregator_layers": "[(16, 2, 1), (16, 3, 1)]",
    ...         "skip_connections_agg": True,
    ...         "log_compression": True,
    ...     }
    ... )
    >>> encoder = EmotionStateEncoder(wav2vec)
    >>> encoder(torch.randn(2, 16000), torch.tensor([1.0, 0.5])).shape
    torch.Size([2, 48, 16])
    >>> encoder.frame_lengths(16000)
    48
    """

    def __init__(self, wav2vec, span_mask=None):
        super().__init__(span_mask)
        self.wav2vec = wav2vec
        self.conv = nn.Conv1d(self.dim, self.dim, KERNEL, STRIDE)

    @property
    def dim(self):
        """Number of features per output frame."""
        return self.wav2vec.dim

    @property
    def frame_rate(self):
        """States per second."""
        hop, _ = self.wav2vec.hop_and_reach()
        return SAMPLE_RATE / (hop * STRIDE)

    @property
    def masked_dim(self):
        """Number of features per masked frame of z."""
        return self.wav2vec.feature_dim

    def masked_lengths(self, samples):
        """Number of frames of z for a number of samples."""
        return self.wav2vec.feature_lengths(samples)

    def frame_lengths(self, samples):
        """Number of frames of a clip: 50 per second, less the edges.

        Arguments
        ---------
        samples : int or torch.Tensor
            Samples at 16 kHz.

        Returns
        -------
        int or torch.Tensor
            One or two fewer than for wav2vec 2.0; 0 for a clip shorter than 59
            ms (with the published extractor).
        """
        return conv_length(self.wav2vec.frame_lengths(samples), KERNEL, STRIDE)

    def forward(
        self, wavs, wav_lens=None, time_mask=None, feature_mask=None, keep=None
    ):
        """Compute the emotion states of waveforms.

        Arguments
        ---------
        wavs : torch.Tensor
            Waveforms at 16 kHz in [-1, 1], (batch, samples).
        wav_lens : torch.Tensor, optional
            Relative lengths in (0, 1], (batch,); None: nothing is padded.
        time_mask : torch.Tensor, optional
            Bool, (batch, frames of z): frames of z that become 0. If neither
            mask is given, ``span_mask`` draws both in training.
        feature_mask : torch.Tensor, optional
            Bool, (batch, feature_dim): features of z that become 0.
        keep : None
            wav2vec 1.0 drops no layers.

        Returns
        -------
        torch.Tensor
            (batch, frames, dim); 0 beyond a clip's end.

        Raises
        ------
        ValueError
            If a clip is too short for one frame.
        """
        z, lengths = self.wav2vec.features_and_lengths(wavs, wav_lens)
        if time_mask is None and feature_mask is None:
            time_mask, feature_mask = self._draw_masks(z, lengths)
        z = self._mask(z, time_mask, feature_mask)
        c = self.wav2vec.aggregate(z, lengths)
        if lengths is not None:
            lengths = self.wav2vec.aggregator.frame_lengths(lengths)
        self._check_frames(c, lengths)
        states = torch.relu(self.conv(c.transpose(1, 2))).transpose(1, 2)
        if lengths is not None:
            lengths = conv_length(lengths, KERNEL, STRIDE)
        return zero_padding(states, lengths)

    def _draw_masks(self, z, lengths):
        if not self.training or self.span_mask is None:
            return None, None
        if lengths is None:
            lengths = torch.full((len(z),), z.shape[1])
        return self.span_mask(lengths.cpu(), z.shape[2])

    @staticmethod
    def _mask(z, time_mask, feature_mask):
        if time_mask is not None:
            z = z.masked_fill(time_mask.to(z.device)[..., None], 0.0)
        if feature_mask is not None:
            z = z.masked_fill(feature_mask.to(z.device)[:, None], 0.0)
        return z

    @staticmethod
    def _check_frames(c, lengths):
        shortest = c.shape[1] if lengths is None else int(lengths.min())
        if shortest < KERNEL:
            raise ValueError(
                f"a clip gives {shortest} frames of wav2vec 1.0, but one "
                f"emotion state needs {KERNEL} (59 ms at 16 kHz): leave "
                "shorter clips out."
            )

    def save_pretrained(self, folder, dtype=torch.float32):
        """Write config.json and model.safetensors for ``from_pretrained``.

        Arguments
        ---------
        folder : str or Path
            Created if missing.
        dtype : torch.dtype
            float32, or float16 at half the size.
        """
        options = self.wav2vec.options.to_dict()
        save_folder(folder, {"format": FORMAT, "options": options}, self, dtype)

    @classmethod
    def from_pretrained(cls, folder, span_mask=None, freeze_extractor=True):
        """Read a folder that ``save_pretrained`` wrote.

        Arguments
        ---------
        folder : str or Path
            The folder with config.json and model.safetensors.
        span_mask : callable, optional
            As for the class.
        freeze_extractor : bool
            As for ``Wav2Vec``.

        Returns
        -------
        EmotionStateEncoder

        Raises
        ------
        OSError
            If there is no such folder.
        ValueError
            If it holds anything else.
        """
        config, state = load_folder(folder, FORMAT)
        wav2vec = Wav2Vec.from_options(config.get("options"), freeze_extractor)
        encoder = cls(wav2vec, span_mask)
        load_state(encoder, state, folder)
        return encoder
