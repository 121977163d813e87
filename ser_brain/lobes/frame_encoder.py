"""The common interface of all encoders of waveforms.

A head needs the frames of a clip and their number, a recipe the folder in
which the encoder is kept. Masks, layer drop and a cached front-end are the
business of ``lobes.encoder.Encoder``.
"""

import hashlib
import json
from abc import ABC, abstractmethod

import torch
from torch import nn


def fingerprint(options, parts):
    """Hash of modules and of the options that change what they compute.

    Arguments
    ---------
    options : dict
        Values that JSON can hold.
    parts : iterable of nn.Module
        Their weights count as fp32, wherever they are.

    Returns
    -------
    str
        64 hexadecimal digits.

    Example
    -------
    >>> layer = nn.Linear(1, 1)
    >>> fingerprint({}, [layer]) == fingerprint({"eps": 1}, [layer])
    False
    """
    digest = hashlib.sha256(json.dumps(options, sort_keys=True).encode())
    for part in parts:
        for name, weight in sorted(part.state_dict().items()):
            digest.update(name.encode())
            digest.update(weight.detach().float().cpu().numpy().tobytes())
    return digest.hexdigest()


class FrameEncoder(nn.Module, ABC):
    """Base class of all encoders from waveforms to frames.

    A clip's frames do not depend on what it is batched with.

    Attributes
    ----------
    name : str
        What error messages call this kind of encoder.
    frame_rate : float or None
        Output frames per second; None if a frame is not a span of time.
    shortest : int
        Samples at 16 kHz of the shortest clip that can be encoded.
    span_mask : callable or None
        Draws the masks of a training batch, if there are any.
    """

    name = "the encoder"
    frame_rate = None
    shortest = 400
    span_mask = None

    @property
    @abstractmethod
    def dim(self):
        """Number of features per output frame."""

    @property
    def n_layers(self):
        """Number of layers that ``layers`` returns."""
        return 1

    @abstractmethod
    def frame_lengths(self, samples):
        """Frames that so many samples give.

        Arguments
        ---------
        samples : int or torch.Tensor
            Samples at 16 kHz.

        Returns
        -------
        int or torch.Tensor
            Frames, 0 for a clip that is too short to be encoded.
        """

    def checked_frame_lengths(self, samples):
        """Frames of each clip of a batch, shape (batch,).

        Arguments
        ---------
        samples : torch.Tensor
            Shape (batch,).

        Raises
        ------
        ValueError
            If a clip is shorter than ``shortest``.
        """
        lengths = self.frame_lengths(samples)
        if int(lengths.min()) < 1:
            raise ValueError(
                f"a clip has {int(samples.min())} samples, but {self.name} "
                f"needs {self.shortest} ({self.shortest / 16:.0f} ms at 16 "
                "kHz): leave shorter clips out."
            )
        return lengths

    def keep_layers(self, generator=None):
        """Draw the layers that layer drop keeps; None: all.

        Arguments
        ---------
        generator : torch.Generator, optional
            CPU generator.
        """
        return None

    @abstractmethod
    def forward(
        self, wavs, wav_lens=None, masks=None, keep=None, features=None
    ):
        """Encode waveforms.

        Arguments
        ---------
        wavs : torch.Tensor
            Waveforms at 16 kHz in [-1, 1], shape (batch, samples).
        wav_lens : torch.Tensor, optional
            Relative lengths in (0, 1], shape (batch,).
        masks, keep, features
            As for ``lobes.encoder.Encoder``; an encoder without them takes
            None, or a pair of None, alone.

        Returns
        -------
        torch.Tensor
            Shape (batch, frames, dim).
        """

    def layers(self, wavs, wav_lens=None):
        """Compute every layer that a head may use.

        Arguments
        ---------
        wavs, wav_lens
            As for ``forward``.

        Returns
        -------
        torch.Tensor
            Shape (n_layers, batch, frames, dim).
        """
        return torch.stack([self(wavs, wav_lens)])

    @abstractmethod
    def save_pretrained(self, folder):
        """Write a folder that ``load_frame_encoder`` reads."""
