"""The interface of encoders of emotion states, for P1 of P-TAPT."""

from abc import ABC, abstractmethod

from torch import nn


class StateEncoder(nn.Module, ABC):
    """Base class of the encoders whose frames become pseudo-labels.

    A clip's states do not depend on what it is batched with.

    Arguments
    ---------
    span_mask : callable, optional
        Draws ``(time_mask, feature_mask)`` from ``(lengths, dim)`` for each
        training batch (``ser_brain.nnet.masking.SpanMask``).
    """

    def __init__(self, span_mask=None):
        super().__init__()
        self.span_mask = span_mask

    @property
    @abstractmethod
    def dim(self):
        """Number of features per state."""

    @property
    @abstractmethod
    def frame_rate(self):
        """States per second."""

    @property
    @abstractmethod
    def masked_dim(self):
        """Number of features per frame of the masked input."""

    @abstractmethod
    def masked_lengths(self, samples):
        """Number of frames that can be masked, for a number of samples."""

    @abstractmethod
    def frame_lengths(self, samples):
        """Number of states for a number of samples, about 50 per second.

        Arguments
        ---------
        samples : int or torch.Tensor
            Samples at 16 kHz.

        Returns
        -------
        int or torch.Tensor
            States, 0 for a clip that is too short.
        """

    @abstractmethod
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
            Bool, (batch, masked frames). If neither mask is given,
            ``span_mask`` draws both in training.
        feature_mask : torch.Tensor, optional
            Bool, (batch, masked_dim).
        keep : list of bool, optional
            What ``keep_layers`` drew.

        Returns
        -------
        torch.Tensor
            (batch, frames, dim); 0 beyond a clip's end.

        Raises
        ------
        ValueError
            If a clip is too short for one state.
        """

    @abstractmethod
    def save_pretrained(self, folder):
        """Write a folder for ``from_pretrained``."""

    @classmethod
    @abstractmethod
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
        StateEncoder

        Raises
        ------
        OSError
            If there is no such folder.
        ValueError
            If it holds anything else.
        """

    def draw_masks(self, samples, generator=None):
        """Draw the masks of one clip.

        Arguments
        ---------
        samples : int
            Samples of the clip at 16 kHz.
        generator : torch.Generator, optional
            CPU generator.

        Returns
        -------
        tuple
            Bool masks of shape (masked frames,) and (masked_dim,), either of
            which may be None.
        """
        if self.span_mask is None:
            return None, None
        time_mask, feature_mask = self.span_mask(
            [self.masked_lengths(samples)], self.masked_dim, generator
        )
        return time_mask[0], None if feature_mask is None else feature_mask[0]

    def keep_layers(self, generator=None):
        """Draw the layers that layer drop keeps.

        Arguments
        ---------
        generator : torch.Generator, optional
            CPU generator. Ranks of a data-parallel run, and the parts of one
            update, must draw the same layers: give each the same generator.

        Returns
        -------
        list of bool or None
            One flag per layer; None if no layer is ever dropped.
        """
        return None
