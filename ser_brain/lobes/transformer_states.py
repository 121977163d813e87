"""The encoder of emotion states on top of a transformer with 50 frames/s."""

from pathlib import Path

import torch
from torch import nn

from ser_brain.lobes.registry import load_encoder
from ser_brain.lobes.state_encoder import StateEncoder
from ser_brain.lobes.wav2vec.layers import zero_padding
from ser_brain.lobes.wav2vec.storage import load_folder, load_state, save_folder
from ser_brain.nnet.lengths import sample_counts

FORMAT = "ser_brain-transformer-states-1"
# Name of the folder with the encoder's own files.
ENCODER = "encoder"


class TransformerStateEncoder(StateEncoder):
    """A transformer encoder, a convolution with kernel size 1 and ReLU.

    It replaces wav2vec 1.0 in Chen and Rudnicky, Sec. 3.2. There is no stride,
    because these encoders already have 50 frames per second; the front-end
    stays frozen, as wav2vec 1.0's extractor does.

    Arguments
    ---------
    encoder : ser_brain.lobes.encoder.Encoder
        Its front-end stays frozen if it is frozen, as by default.
    span_mask : callable, optional
        Draws ``(time_mask, feature_mask)`` from ``(lengths, dim)`` for each
        training batch (``ser_brain.nnet.masking.SpanMask``).

    Example
    -------
    >>> from ser_brain.assets import folder
    >>> from ser_brain.lobes import load_encoder
    >>> lobe = load_encoder(folder("whisper_tiny_en"))
    >>> encoder = TransformerStateEncoder(lobe).eval()
    >>> encoder(torch.randn(2, 16000), torch.tensor([1.0, 0.5])).shape
    torch.Size([2, 50, 384])
    >>> encoder.frame_lengths(16000)
    50
    """

    def __init__(self, encoder, span_mask=None):
        super().__init__(span_mask)
        self.encoder = encoder
        self.encoder.span_mask = span_mask
        self.conv = nn.Conv1d(self.dim, self.dim, 1)

    @property
    def dim(self):
        """Number of features per output frame."""
        return self.encoder.dim

    @property
    def frame_rate(self):
        """States per second, the encoder's frame rate."""
        return self.encoder.frame_rate

    @property
    def masked_dim(self):
        """Number of features per masked frame of the front-end."""
        return self.encoder.dim

    def masked_lengths(self, samples):
        """Number of frames of the front-end for a number of samples."""
        return self.encoder.frame_lengths(samples)

    def frame_lengths(self, samples):
        """Number of frames per number of samples, the same as the encoder's.

        Arguments
        ---------
        samples : int or torch.Tensor
            Samples at 16 kHz.

        Returns
        -------
        int or torch.Tensor
            0 for a clip shorter than 25 ms.
        """
        return self.encoder.frame_lengths(samples)

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
            Bool, (batch, frames): frames of the front-end that become the
            encoder's mask embedding. If neither mask is given, ``span_mask``
            draws both in training.
        feature_mask : torch.Tensor, optional
            Bool, (batch, dim): features of the front-end that become 0.
        keep : list of bool, optional
            Layers to run; by default all, and in training those kept by layer
            drop.

        Returns
        -------
        torch.Tensor
            (batch, frames, dim); 0 beyond a clip's end.

        Raises
        ------
        ValueError
            If a clip is too short for one frame.
        """
        masks = (time_mask, feature_mask)
        if time_mask is None and feature_mask is None:
            masks = None
        x = self.encoder(wavs, wav_lens, masks=masks, keep=keep)
        states = torch.relu(self.conv(x.transpose(1, 2))).transpose(1, 2)
        if wav_lens is None:
            return states
        samples = sample_counts(wavs, wav_lens)
        return zero_padding(states, self.encoder.frame_lengths(samples))

    def keep_layers(self, generator=None):
        """Draw the layers that the encoder's layer drop keeps.

        Arguments
        ---------
        generator : torch.Generator, optional
            CPU generator.

        Returns
        -------
        list of bool
            One flag per layer.
        """
        return self.encoder.keep_layers(generator)

    def save_pretrained(self, folder):
        """Write a folder for ``from_pretrained``.

        Arguments
        ---------
        folder : str or Path
            Created if missing. ``encoder/`` in it is in transformers' format,
            model.safetensors beside it holds the convolution.
        """
        self.encoder.save_pretrained(Path(folder) / ENCODER)
        save_folder(folder, {"format": FORMAT}, self.conv)

    @classmethod
    def from_pretrained(cls, folder, span_mask=None):
        """Read a folder that ``save_pretrained`` wrote.

        Arguments
        ---------
        folder : str or Path
            The folder.
        span_mask : callable, optional
            As for the class.

        Returns
        -------
        TransformerStateEncoder

        Raises
        ------
        OSError
            If there is no such folder.
        ValueError
            If it holds anything else.
        """
        _, state = load_folder(folder, FORMAT)
        encoder = cls(load_encoder(Path(folder) / ENCODER), span_mask)
        load_state(encoder.conv, state, folder)
        return encoder
