"""Common base of wav2vec 2.0 and related encoders.

All of them are transformers' own models: a CNN over the waveform, a
projection, a positional convolution and transformer layers. In addition, the
group norm of the first layer, the positional convolution and the attention are
restricted to a clip's own frames.
"""

import math

from torch import nn

from ser_brain.lobes.encoder import Encoder
from ser_brain.lobes.pretrained import load_model
from ser_brain.nnet.lengths import sample_counts, valid_frames
from ser_brain.nnet.norm import masked_group_norm


def normalize_clips(wavs, samples, eps=1e-7):
    """Normalise each clip to zero mean and unit variance.

    Models with layer norm in their CNN were trained this way; padding stays
    zero.

    Example
    -------
    >>> import torch
    >>> wavs = torch.tensor([[1.0, 3.0, 0.0]])
    >>> normalize_clips(wavs, torch.tensor([2]))
    tensor([[-1.,  1.,  0.]])
    """
    valid = valid_frames(samples, wavs.shape[1])
    # Padding may hold anything, even NaN: drop it before any arithmetic.
    wavs = wavs.masked_fill(~valid, 0)
    mean = wavs.sum(1, keepdim=True) / samples[:, None]
    centred = (wavs - mean).masked_fill(~valid, 0)
    var = centred.square().sum(1, keepdim=True) / samples[:, None]
    return centred / (var + eps).sqrt()


class Wav2Vec2Family(Encoder):
    """Base class of wav2vec 2.0 and encoders with the same architecture.

    A subclass names transformers' model and overrides what differs.

    Arguments
    ---------
    source : str, Path or transformers.PreTrainedModel
        Folder in transformers' format, a hub name, or transformers' model
        itself.
    freeze_front_end : bool
        Whether the CNN, the feature projection and the mask embedding are
        frozen. The projection keeps its dropout in training, as in the
        released code.
    span_mask : callable, optional
        Draws ``(time_mask, feature_mask)`` from ``(lengths, dim)`` for each
        training batch (``ser_brain.nnet.masking.SpanMask``). Masked frames
        become the model's learned mask embedding, masked features 0.
    quick_dropout : bool
        Whether dropout on a CPU is drawn from 16 random bits per element,
        which is faster (``ser_brain.nnet.dropout``); else torch's own.

    Attributes
    ----------
    model_class : type
        transformers' class of the model.
    normalizes_clips : bool
        Whether the model was trained on clips of zero mean and unit variance.
    normalize_eps : float
        Added to a clip's variance, as in the model's training.
    stable_layer_norm : bool
        Whether layer norm comes before attention and feed-forward, and once
        more after the last layer.
    """

    model_class = None
    normalize_eps = 1e-7
    front_end_options = (
        "conv_bias",
        "conv_dim",
        "conv_kernel",
        "conv_stride",
        "feat_extract_activation",
        "feat_extract_norm",
        "layer_norm_eps",
    )

    def __init__(
        self,
        source,
        freeze_front_end=True,
        span_mask=None,
        quick_dropout=True,
    ):
        if not isinstance(source, self.model_class):
            source = self.load(source)
        super().__init__(source, freeze_front_end, span_mask, quick_dropout)
        if freeze_front_end:
            for name, weight in self.model.named_parameters():
                if not name.startswith("encoder."):
                    weight.requires_grad_(False)

    @classmethod
    def load(cls, source):
        """Load transformers' model in fp32, from a folder or the hub.

        Arguments
        ---------
        source : str or Path
            A local folder in transformers' format, or a hub name.

        Raises
        ------
        ValueError
            If the folder holds another kind of model, or weights that are
            damaged or lack a part of this one.
        OSError
            If the source is not a folder and cannot be had from the hub.
        """
        return load_model(
            cls.model_class,
            source,
            cls.model_class.config_class.model_type,
            needed=f"a {cls.name} checkpoint in transformers' format",
            # Checkpoints that were fine-tuned without masks lack it, which is
            # valid.
            optional=("masked_spec_embed",),
        )

    @property
    def hop(self):
        """Samples at 16 kHz from one output frame to the next."""
        return math.prod(self.config.conv_stride)

    @property
    def normalizes_clips(self):
        """Whether clips have zero mean and unit variance in training."""
        return self.config.feat_extract_norm == "layer"

    @property
    def stable_layer_norm(self):
        """Whether layer norm comes first in a layer, and after the last."""
        return self.config.do_stable_layer_norm

    @property
    def cacheable_dim(self):
        """Number of features per frame of ``cacheable_features``."""
        return self.config.conv_dim[-1]

    @property
    def layer_stack(self):
        """The transformer's layers (``nn.ModuleList``)."""
        return self.model.encoder.layers

    @property
    def layer_drop(self):
        """Probability that a layer is left out in training."""
        return self.config.layerdrop

    @property
    def mask_embedding(self):
        """The learned embedding that a masked frame becomes.

        Raises
        ------
        ValueError
            If the model has none, because its config.json disables masks.
        """
        if not hasattr(self.model, "masked_spec_embed"):
            raise ValueError(
                f"this {self.name} has no mask embedding, because "
                "mask_time_prob and mask_feature_prob are 0 in its "
                "config.json: set mask_time_prob to 0.05 there, or train "
                "without time masks."
            )
        return self.model.masked_spec_embed

    @property
    def feature_norm(self):
        """Layer norm between the CNN and the projection."""
        return self.model.feature_projection.layer_norm

    def cacheable_parts(self):
        """The CNN and the layer norm after it."""
        return self.model.feature_extractor, self.feature_norm

    def frame_lengths(self, samples):
        """Number of frames of a clip: 50 per second, less the edges.

        Arguments
        ---------
        samples : int or torch.Tensor
            Samples at 16 kHz.

        Returns
        -------
        int or torch.Tensor
            Frames, 0 for a clip shorter than the receptive field (25 ms).
        """
        for kernel, stride in zip(
            self.config.conv_kernel, self.config.conv_stride
        ):
            samples = (samples - kernel) // stride + 1
            samples = samples * (samples > 0)
        return samples

    def conv_features(self, wavs, wav_lens):
        """Compute CNN features (batch, frames, conv_dim) and their lengths.

        Raises
        ------
        ValueError
            If a clip is shorter than one frame (400 samples).
        """
        samples = sample_counts(wavs, wav_lens)
        wavs = wavs[:, : int(samples.max())]
        lengths = self.checked_frame_lengths(samples)
        if self.normalizes_clips:
            wavs = normalize_clips(wavs, samples, self.normalize_eps)
        x = wavs[:, None]
        for layer in self.model.feature_extractor.conv_layers:
            if isinstance(getattr(layer, "layer_norm", None), nn.GroupNorm):
                x = self._group_norm_layer(layer, x, samples)
            else:
                x = layer(x)
        return x.transpose(1, 2), lengths

    def _group_norm_layer(self, layer, x, samples):
        """First layer of base models, with statistics over valid frames."""
        norm = layer.layer_norm
        kernel, stride = layer.conv.kernel_size[0], layer.conv.stride[0]
        lengths = (samples - kernel) // stride + 1
        x = masked_group_norm(
            layer.conv(x),
            None if bool((lengths == lengths.max()).all()) else lengths,
            norm.weight,
            norm.bias,
            norm.eps,
            norm.num_groups,
        )
        return layer.activation(x)

    def cacheable_features(self, wavs, wav_lens):
        """CNN and the layer norm after it: what can be cached per clip.

        A frozen front-end returns the same every time. Arguments are those of
        ``front_end``.

        Returns
        -------
        tuple of torch.Tensor
            Features of shape (batch, frames, conv_dim), of unit scale, so
            that fp16 holds them, and frame lengths (batch,).
        """
        with self.front_end_grad():
            features, lengths = self.conv_features(wavs, wav_lens)
            return self.feature_norm(features), lengths

    def project(self, features):
        """Projection of ``cacheable_features``, including dropout."""
        projection = self.model.feature_projection
        with self.front_end_grad():
            features = features.to(projection.projection.weight.dtype)
            features = projection.projection(features)
        return projection.dropout(features)

    def positions(self, features, padding=None):
        """The positional convolution over each clip's own frames.

        Arguments are those of ``embed``; shape (batch, frames, dim).
        """
        return self.model.encoder.pos_conv_embed(features)

    def embed(self, features, padding=None):
        """Add the positional convolution, then apply norm and dropout."""
        encoder = self.model.encoder
        x = features + self.positions(features, padding)
        if not self.stable_layer_norm:
            x = encoder.layer_norm(x)
        return encoder.dropout(x)

    def final_norm(self, states):
        """Layer norm after the last layer, in models that have it there."""
        if self.stable_layer_norm:
            states = self.model.encoder.layer_norm(states)
        return states


def silence(channels, padding):
    """Set padded frames to zero, between two convolutions over time.

    Arguments
    ---------
    channels : torch.Tensor
        Shape (batch, dim, frames).
    padding : torch.Tensor or None
        Bool, shape (batch, frames), True beyond a clip's end.

    Returns
    -------
    torch.Tensor
        The same shape.

    Example
    -------
    >>> import torch
    >>> padding = torch.tensor([[False, True]])
    >>> silence(torch.ones(1, 1, 2), padding)
    tensor([[[1., 0.]]])
    """
    if padding is None:
        return channels
    return channels.masked_fill(padding[:, None], 0)
