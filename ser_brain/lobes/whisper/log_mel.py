"""Whisper's log-mel spectrogram, clip by clip within a padded batch."""

import torch
from torch import nn
from transformers.audio_utils import mel_filter_bank

from ser_brain.nnet.lengths import valid_frames

SAMPLE_RATE = 16000
WINDOW = 400
HOP = 160


def reflected(wavs, samples, width):
    """Pad clips on either side by reflection.

    Arguments
    ---------
    wavs : torch.Tensor
        Padded waveforms, shape (batch, samples). Samples beyond a clip's end
        are not used.
    samples : torch.Tensor
        Samples of each clip, more than ``width``, shape (batch,).
    width : int
        Samples to add on either side.

    Returns
    -------
    torch.Tensor
        Shape (batch, width + samples + width); the mirror image follows
        directly after each clip.

    Example
    -------
    >>> wavs = torch.tensor([[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 0.0]])
    >>> reflected(wavs, torch.tensor([4, 3]), 2)
    tensor([[3., 2., 1., 2., 3., 4., 3., 2.],
            [7., 6., 5., 6., 7., 6., 5., 5.]])
    """
    places = torch.arange(-width, wavs.shape[1] + width, device=wavs.device)
    places = places.abs()
    last = samples[:, None] - 1
    mirrored = (2 * last - places).clamp(min=0)
    return wavs.gather(1, torch.where(places > last, mirrored, places))


class LogMel(nn.Module):
    """Log-mel features as transformers' ``WhisperFeatureExtractor``.

    Frames of 25 ms, 100 per second. Unlike there, the reflection at the edges
    and the maximum that defines the floor are those of the clip, however long
    the batch is.

    Arguments
    ---------
    n_mels : int
        Mel bins.

    Example
    -------
    >>> wavs = torch.randn(2, 16000)
    >>> features, lengths = LogMel(80)(wavs, torch.tensor([16000, 8000]))
    >>> features.shape, lengths
    (torch.Size([2, 80, 100]), tensor([100,  50]))
    """

    def __init__(self, n_mels):
        super().__init__()
        filters = mel_filter_bank(
            num_frequency_bins=1 + WINDOW // 2,
            num_mel_filters=n_mels,
            min_frequency=0.0,
            max_frequency=SAMPLE_RATE / 2,
            sampling_rate=SAMPLE_RATE,
            norm="slaney",
            mel_scale="slaney",
        )
        filters = torch.from_numpy(filters.T).float().contiguous()
        self.register_buffer("filters", filters, persistent=False)
        window = torch.hann_window(WINDOW)
        self.register_buffer("window", window, persistent=False)

    def forward(self, wavs, samples):
        """Compute features of a padded batch, in fp32 even under autocast.

        Arguments
        ---------
        wavs : torch.Tensor
            Waveforms at 16 kHz, shape (batch, samples).
        samples : torch.Tensor
            Samples of each clip, at least 400, shape (batch,).

        Returns
        -------
        tuple of torch.Tensor
            Features, zero beyond each clip, of shape (batch, n_mels,
            frames), and frame lengths (batch,).
        """
        lengths = samples // HOP
        with torch.autocast(wavs.device.type, enabled=False):
            spectrum = torch.stft(
                reflected(wavs.float(), samples, WINDOW // 2),
                WINDOW,
                HOP,
                window=self.window,
                center=False,
                return_complex=True,
            )
            power = spectrum[..., :-1].abs().square()
            mel = (self.filters @ power).clamp(min=1e-10).log10()
            padding = ~valid_frames(lengths, mel.shape[2])[:, None]
            loudest = mel.masked_fill(padding, -torch.inf)
            loudest = loudest.amax((1, 2), keepdim=True)
            mel = (mel.maximum(loudest - 8.0) + 4.0) / 4.0
            return mel.masked_fill(padding, 0), lengths
