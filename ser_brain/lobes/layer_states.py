"""The frames of one layer of an encoder, for clustering."""

import itertools

import torch
from torch import nn


def layer_at(depth, layers):
    """Return the layer at a fraction of an encoder's depth.

    Arguments
    ---------
    depth : float
        From 0, the input of the first layer, to 1, the output of the last.
    layers : int
        How many layers the encoder has.

    Returns
    -------
    int
        From 0 to ``layers``; the even one halfway between two.

    Example
    -------
    >>> layer_at(0.5, layers=12), layer_at(1, layers=12)
    (6, 12)
    """
    return round(depth * layers)


class LayerStates(nn.Module):
    """One layer's frames of a frozen encoder.

    Arguments
    ---------
    encoder : ser_brain.lobes.encoder.Encoder
        For example a fine-tuned or adapted one.
    layer : int
        0 for the first layer's input, n for the output of layer n.

    Raises
    ------
    ValueError
        If the encoder has no such layer.

    Example
    -------
    >>> from ser_brain.assets import folder
    >>> from ser_brain.lobes import load_encoder
    >>> states = LayerStates(load_encoder(folder("nano_wav2vec2")), layer=2)
    >>> states(torch.randn(1, 16000)).shape, states.frame_rate
    (torch.Size([1, 49, 384]), 50.0)
    """

    def __init__(self, encoder, layer):
        super().__init__()
        layers = len(encoder.layer_stack)
        if not 0 <= layer <= layers:
            raise ValueError(
                f"{encoder.name} has {layers} layers and no layer {layer}: "
                f"give one from 0, its input, to {layers}."
            )
        self.encoder = encoder.eval()
        self.layer = layer

    @property
    def dim(self):
        """Number of features per frame."""
        return self.encoder.dim

    @property
    def frame_rate(self):
        """Frames per second."""
        return self.encoder.frame_rate

    @torch.no_grad()
    def forward(self, wavs, wav_lens=None):
        """Compute the frames of the layer; later layers are not computed.

        Arguments
        ---------
        wavs : torch.Tensor
            Waveforms at 16 kHz in [-1, 1], (batch, samples).
        wav_lens : torch.Tensor, optional
            Relative lengths in (0, 1], (batch,); None: nothing is padded.

        Returns
        -------
        torch.Tensor
            (batch, frames, dim); values beyond a clip's end are undefined.
        """
        features, lengths = self.encoder.front_end(wavs, wav_lens)
        keep = [True] * len(self.encoder.layer_stack)
        states = self.encoder.hidden_states(features, lengths, keep)
        return next(itertools.islice(states, self.layer, None))
