"""Convolutions over a log spectrogram of any length (Zhang et al., 2018).

Y. Zhang, J. Du, Z. Wang, J. Zhang and Y. Tu, "Attention based fully
convolutional network for speech emotion recognition", APSIPA 2018: AlexNet's
convolutions over the spectrogram of the whole utterance, and attention over
what they give at each place in time and frequency.
"""

import torch
from torch import nn

from ser_brain.lobes.frame_encoder import FrameEncoder
from ser_brain.lobes.wav2vec.storage import load_folder, load_state, save_folder
from ser_brain.nnet.lengths import sample_counts, valid_frames

FORMAT = "ser_brain-spectrogram-fcn-1"
SAMPLE_RATE = 16000
# Kernel, stride and padding of AlexNet's convolutions.
CONVOLUTIONS = ((11, 4, 2), (5, 1, 2), (3, 1, 1), (3, 1, 1), (3, 1, 1))
# The convolutions that a max pooling follows.
POOLED = (0, 1, 4)
POOL, POOL_STRIDE = 3, 2
# Of a bin's magnitude: what counts as silence.
FLOOR = 1e-5


def output_length(length, layer):
    """Places along one axis after a convolution, and its pooling if any."""
    kernel, stride, padding = CONVOLUTIONS[layer]
    length = (length + 2 * padding - kernel) // stride + 1
    if layer in POOLED:
        length = (length - POOL) // POOL_STRIDE + 1
    return length


def final_length(length):
    """Places along one axis after all layers.

    Example
    -------
    >>> final_length(63), final_length(400)
    (1, 11)
    """
    for layer in range(len(CONVOLUTIONS)):
        length = output_length(length, layer)
    return length


class LogSpectrogram(nn.Module):
    """Logarithm of a clip's own short-time spectrum, up to a frequency.

    Standardised by the clip's own mean and deviation, and padded with its
    mean to ``least`` frames.

    Arguments
    ---------
    window, hop : int
        In samples; a Hamming window.
    n_fft : int
        Points of the transform, of which the window fills the first.
    highest : float
        In Hz; bins from there on are left out.
    least : int
        Frames that a shorter clip is padded to.

    Example
    -------
    >>> wavs, samples = torch.randn(2, 16000), torch.tensor([16000, 8000])
    >>> x, lengths = LogSpectrogram()(wavs, samples)
    >>> x.shape, lengths
    (torch.Size([2, 97, 400]), tensor([97, 63]))
    """

    def __init__(
        self, window=640, hop=160, n_fft=1600, highest=4000.0, least=63
    ):
        super().__init__()
        if n_fft < window:
            raise ValueError(
                f"fcn_n_fft is {n_fft}: a window of {window} samples needs a "
                "transform of as many points at least."
            )
        self.size, self.hop, self.n_fft = window, hop, n_fft
        self.highest, self.least = highest, least
        self.bins = int(highest * n_fft / SAMPLE_RATE)
        window = torch.hamming_window(window)
        self.register_buffer("window", window, persistent=False)

    def frames(self, samples):
        """Whole windows in so many samples; 0 if there is none."""
        count = (samples - self.size) // self.hop + 1
        return count * (count > 0)

    def forward(self, wavs, samples):
        """Spectrograms of a padded batch, in fp32 under any autocast.

        Arguments
        ---------
        wavs : torch.Tensor
            Waveforms at 16 kHz, shape (batch, samples).
        samples : torch.Tensor
            Samples of each clip, shape (batch,).

        Returns
        -------
        tuple of torch.Tensor
            Shape (batch, frames, bins), zero beyond each clip, and frame
            lengths (batch,), at least ``least``.
        """
        with torch.autocast(wavs.device.type, enabled=False):
            windows = wavs.float().unfold(1, self.size, self.hop) * self.window
            spectrum = torch.fft.rfft(windows, self.n_fft)[..., : self.bins]
            x = spectrum.abs().clamp(min=FLOOR).log()
        own = self.frames(samples)
        valid = valid_frames(own, x.shape[1])[..., None]
        count = own[:, None, None] * self.bins
        mean = (x * valid).sum((1, 2), keepdim=True) / count
        x = (x - mean) * valid
        deviation = (x.square().sum((1, 2), keepdim=True) / count).sqrt()
        x = x / deviation.clamp(min=FLOOR)
        missing = max(0, self.least - x.shape[1])
        return nn.functional.pad(x, (0, 0, 0, missing)), own.clamp(self.least)


class SpectrogramFCN(FrameEncoder):
    """AlexNet's convolutions; a frame is a place in time and frequency.

    What lies beyond a clip is zero before every layer, as the padding of the
    convolutions is, and a pooling sees whole windows of the clip alone: the
    output does not depend on the batch.

    Arguments
    ---------
    channels : sequence of int
        Of the five convolutions; AlexNet's by default.
    highest : float
        In Hz: the part of the spectrum that is used.
    n_fft : int
        Points of the transform, 10 Hz apart by default.

    Example
    -------
    >>> encoder = SpectrogramFCN(channels=(4, 4, 4, 4, 8))
    >>> wavs, wav_lens = torch.randn(2, 32000), torch.tensor([1.0, 0.5])
    >>> encoder(wavs, wav_lens).shape
    torch.Size([2, 55, 8])
    >>> encoder.frame_lengths(torch.tensor([32000, 16000]))
    tensor([55, 22])
    """

    name = "the network on spectrograms"
    shortest = 640

    def __init__(
        self, channels=(64, 192, 384, 256, 256), highest=4000.0, n_fft=1600
    ):
        super().__init__()
        self.channels = tuple(channels)
        if len(self.channels) != len(CONVOLUTIONS):
            raise ValueError(
                f"fcn_channels is {list(channels)}: give the channels of "
                f"{len(CONVOLUTIONS)} convolutions."
            )
        self.spectrogram = LogSpectrogram(n_fft=n_fft, highest=highest)
        self.bins = final_length(self.spectrogram.bins)
        if self.bins < 1:
            raise ValueError(
                f"fcn_n_fft {n_fft} gives {self.spectrogram.bins} bins below "
                f"{highest:g} Hz, but the convolutions need 63: give a longer "
                "transform."
            )
        sizes = zip((1, *self.channels), self.channels, CONVOLUTIONS)
        self.convolutions = nn.ModuleList(
            nn.Conv2d(n_in, n_out, *layer) for n_in, n_out, layer in sizes
        )
        self.pool = nn.MaxPool2d(POOL, POOL_STRIDE)
        for convolution in self.convolutions:
            nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
            nn.init.zeros_(convolution.bias)

    @property
    def dim(self):
        """Channels of the last convolution."""
        return self.channels[-1]

    def frame_lengths(self, samples):
        """Places in time and frequency that so many samples give.

        Arguments
        ---------
        samples : int or torch.Tensor
            Samples at 16 kHz.

        Returns
        -------
        int or torch.Tensor
            0 for a clip shorter than 40 ms.
        """
        frames = self.spectrogram.frames(samples)
        least = self.spectrogram.least
        missing = (least - frames) * (frames < least)
        return (frames > 0) * final_length(frames + missing) * self.bins

    def forward(
        self, wavs, wav_lens=None, masks=None, keep=None, features=None
    ):
        """Places of waveforms, all frequencies of the first moment first.

        Arguments
        ---------
        wavs : torch.Tensor
            Waveforms at 16 kHz in [-1, 1], shape (batch, samples).
        wav_lens : torch.Tensor, optional
            Relative lengths in (0, 1], shape (batch,).
        masks, keep, features
            Not used: there are none.

        Returns
        -------
        torch.Tensor
            Shape (batch, places, dim); zero beyond a clip.
        """
        samples = sample_counts(wavs, wav_lens)
        self.checked_frame_lengths(samples)
        x, lengths = self.spectrogram(wavs, samples)
        x = x[:, None]
        for layer, convolution in enumerate(self.convolutions):
            x = convolution(x).relu()
            if layer in POOLED:
                x = self.pool(x)
            lengths = output_length(lengths, layer)
            valid = valid_frames(lengths, x.shape[2])
            x = x * valid[:, None, :, None]
        return x.permute(0, 2, 3, 1).flatten(1, 2)

    def save_pretrained(self, folder):
        """Writes config.json and model.safetensors for ``from_pretrained``."""
        config = {
            "format": FORMAT,
            "channels": list(self.channels),
            "highest": self.spectrogram.highest,
            "n_fft": self.spectrogram.n_fft,
        }
        save_folder(folder, config, self)

    @classmethod
    def from_pretrained(cls, folder):
        """Reads a folder that ``save_pretrained`` wrote.

        Arguments
        ---------
        folder : str or Path
            Where config.json and model.safetensors are.

        Returns
        -------
        SpectrogramFCN

        Raises
        ------
        OSError
            If there is no such folder.
        ValueError
            If it holds something else.
        """
        config, state = load_folder(folder, FORMAT)
        options = {key: config[key] for key in ("channels", "highest", "n_fft")}
        encoder = cls(**options)
        load_state(encoder, state, folder)
        return encoder
