"""wav2vec 2.0 whose output for a clip does not depend on its batch.

The model is transformers' own. What is added: the group norm of the first
layer, the positional convolution and the attention see a clip's own frames
only.
"""

from torch import nn
from transformers import Wav2Vec2ForPreTraining, Wav2Vec2Model

from ser_brain.lobes import pretrained
from ser_brain.lobes.encoder import Encoder
from ser_brain.nnet.lengths import sample_counts, valid_frames
from ser_brain.nnet.norm import masked_group_norm


def normalize_clips(wavs, samples, eps=1e-7):
    """Zero mean and unit variance over each clip's own samples.

    Models with layer norm in their CNN were trained so; padding stays zero.

    Example
    -------
    >>> import torch
    >>> wavs = torch.tensor([[1.0, 3.0, 0.0]])
    >>> normalize_clips(wavs, torch.tensor([2]))
    tensor([[-1.,  1.,  0.]])
    """
    valid = valid_frames(samples, wavs.shape[1])
    # Padding may hold anything, NaN too: drop it before any arithmetic.
    wavs = wavs.masked_fill(~valid, 0)
    mean = wavs.sum(1, keepdim=True) / samples[:, None]
    centred = (wavs - mean).masked_fill(~valid, 0)
    var = centred.square().sum(1, keepdim=True) / samples[:, None]
    return centred / (var + eps).sqrt()


def load_model(model_class, source):
    """Loads a transformers wav2vec 2.0 model in fp32, from a folder or hub.

    Arguments
    ---------
    model_class : type
        ``Wav2Vec2Model`` or ``Wav2Vec2ForPreTraining``.
    source : str or Path
        A local folder in transformers' format, or a hub name.

    Raises
    ------
    ValueError
        If the folder holds another kind of model, or weights that are
        damaged or lack a part of this one.
    OSError
        If the source is no folder and the hub does not give it.
    """
    needed = "a wav2vec 2.0 checkpoint in transformers' format"
    if model_class is Wav2Vec2ForPreTraining:
        needed = (
            f"{needed} with its quantizer, which contrastive pretraining "
            "(TAPT) needs, such as facebook/wav2vec2-base"
        )
    return pretrained.load_model(
        model_class,
        source,
        "wav2vec2",
        needed=needed,
        # Checkpoints that were fine-tuned without masks lack it: that is
        # fine.
        optional=("masked_spec_embed",),
    )


class Wav2Vec2(Encoder):
    """wav2vec 2.0 as an encoder of waveforms (Chen and Rudnicky).

    Arguments
    ---------
    source : str, Path or Wav2Vec2Model
        Folder in transformers' format, a hub name
        (``facebook/wav2vec2-base``), or transformers' model itself.
    freeze_front_end : bool
        Whether the CNN, the feature projection and the mask embedding stay
        as they are. The projection keeps its dropout in training, as in the
        released code.
    span_mask : callable, optional
        Draws ``(time_mask, feature_mask)`` from ``(lengths, dim)`` for each
        training batch (``ser_brain.nnet.masking.SpanMask``). Masked frames
        become the model's learned mask embedding, masked features 0.
    quick_dropout : bool
        Whether dropout on a CPU is drawn from 16 random bits an element,
        which is faster (``ser_brain.nnet.dropout``); else torch's own.

    Example
    -------
    >>> import torch
    >>> from ser_brain.assets import folder
    >>> encoder = Wav2Vec2(folder("nano_wav2vec2")).eval()
    >>> wavs = torch.randn(2, 16000)
    >>> encoder(wavs, torch.tensor([1.0, 0.5])).shape[:2]
    torch.Size([2, 49])
    >>> encoder.frame_lengths(torch.tensor([16000, 8000]))
    tensor([49, 24])
    """

    name = "wav2vec 2.0"
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
        if not isinstance(source, Wav2Vec2Model):
            source = load_model(Wav2Vec2Model, source)
        super().__init__(source, freeze_front_end, span_mask, quick_dropout)
        if freeze_front_end:
            self.model.feature_extractor.requires_grad_(False)
            self.model.feature_projection.requires_grad_(False)
            self.model.masked_spec_embed.requires_grad_(False)

    @property
    def cacheable_dim(self):
        """Features of a frame of ``cacheable_features``."""
        return self.config.conv_dim[-1]

    @property
    def layer_stack(self):
        """The transformer's layers (``nn.ModuleList``)."""
        return self.model.encoder.layers

    @property
    def layer_drop(self):
        """Probability that training leaves out a layer."""
        return self.config.layerdrop

    @property
    def mask_embedding(self):
        """The learned embedding that a masked frame becomes."""
        return self.model.masked_spec_embed

    def cacheable_parts(self):
        """The CNN and the layer norm after it."""
        projection = self.model.feature_projection
        return self.model.feature_extractor, projection.layer_norm

    def frame_lengths(self, samples):
        """Frames that so many samples give: 50 a second, less the edges.

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
        """CNN features, shape (batch, frames, conv_dim), and their lengths.

        Raises
        ------
        ValueError
            If a clip is shorter than one frame (400 samples).
        """
        samples = sample_counts(wavs, wav_lens)
        wavs = wavs[:, : int(samples.max())]
        lengths = self.checked_frame_lengths(samples)
        if self.config.feat_extract_norm == "layer":
            wavs = normalize_clips(wavs, samples)
        x = wavs[:, None]
        for layer in self.model.feature_extractor.conv_layers:
            if isinstance(getattr(layer, "layer_norm", None), nn.GroupNorm):
                x = self._group_norm_layer(layer, x, samples)
            else:
                x = layer(x)
        return x.transpose(1, 2), lengths

    def _group_norm_layer(self, layer, x, samples):
        """The first layer of base models, its statistics over valid frames."""
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
        """CNN and the layer norm after it: what can be kept of a clip.

        A frozen front-end gives the same every time. Arguments are those of
        ``front_end``.

        Returns
        -------
        tuple of torch.Tensor
            Features of shape (batch, frames, conv_dim), of unit scale, so
            that fp16 holds them, and frame lengths (batch,).
        """
        with self.front_end_grad():
            features, lengths = self.conv_features(wavs, wav_lens)
            return self.model.feature_projection.layer_norm(features), lengths

    def project(self, features):
        """Projection of ``cacheable_features``, dropout included."""
        projection = self.model.feature_projection
        with self.front_end_grad():
            features = features.to(projection.projection.weight.dtype)
            features = projection.projection(features)
        return projection.dropout(features)

    def embed(self, features):
        """Adds the positional convolution, then norm and dropout."""
        encoder = self.model.encoder
        x = features + encoder.pos_conv_embed(features)
        if not self.config.do_stable_layer_norm:
            x = encoder.layer_norm(x)
        return encoder.dropout(x)

    def final_norm(self, states):
        """Layer norm after the last layer, in models that have it there."""
        if self.config.do_stable_layer_norm:
            states = self.model.encoder.layer_norm(states)
        return states
