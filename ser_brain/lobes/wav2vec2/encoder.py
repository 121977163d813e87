"""wav2vec 2.0 whose output for a clip does not depend on its batch.

The model is transformers' own. What is added: the group norm of the first
layer, the positional convolution and the attention see a clip's own frames
only; the frozen front-end and the trainable transformer are two halves that
can be called apart; masks and dropped layers can be drawn once for an update
that is computed in several parts.
"""

from pathlib import Path

import torch
from safetensors import SafetensorError
from torch import nn
from transformers import Wav2Vec2Config, Wav2Vec2Model

from ser_brain.lobes.wav2vec2.attention import quicken
from ser_brain.nnet.lengths import sample_counts, valid_frames
from ser_brain.nnet.norm import masked_group_norm


def normalize_clips(wavs, samples, eps=1e-7):
    """Zero mean and unit variance over each clip's own samples.

    Models with layer norm in their CNN were trained so; padding stays zero.

    Example
    -------
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
    source = str(source)
    try:
        config = Wav2Vec2Config.get_config_dict(source)[0]
    except OSError as error:
        raise OSError(
            f"'{source}' is neither a local folder with a config.json nor a "
            "hub model that can be reached: give the path of a folder that "
            "holds a wav2vec 2.0 model (config.json, model.safetensors)."
        ) from error
    kind = config.get("model_type") or config.get("format")
    if kind != "wav2vec2":
        raise ValueError(
            f"{source} holds a model of type '{kind}', not 'wav2vec2': give "
            "a wav2vec 2.0 checkpoint in transformers' format."
        )
    try:
        model, found = model_class.from_pretrained(
            source, dtype=torch.float32, output_loading_info=True
        )
    except (SafetensorError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:300]
        raise ValueError(
            f"the weights of {source} are damaged or do not fit its "
            f"config.json ({reason}): copy it again."
        ) from error
    # transformers fills what is missing with random numbers. Checkpoints
    # fine-tuned without masks lack the mask embedding alone: that is fine.
    missing = [
        key for key in found["missing_keys"] if "masked_spec_embed" not in key
    ]
    if missing:
        parts = sorted({key.split(".")[0] for key in missing})
        raise ValueError(
            f"{source} lacks weights of {model_class.__name__} "
            f"({', '.join(parts)}): give a checkpoint of the whole model."
        )
    return model


class Wav2Vec2(nn.Module):
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
    >>> from ser_brain.assets import folder
    >>> encoder = Wav2Vec2(folder("nano_wav2vec2")).eval()
    >>> wavs = torch.randn(2, 16000)
    >>> encoder(wavs, torch.tensor([1.0, 0.5])).shape[:2]
    torch.Size([2, 49])
    >>> encoder.frame_lengths(torch.tensor([16000, 8000]))
    tensor([49, 24])
    """

    def __init__(
        self,
        source,
        freeze_front_end=True,
        span_mask=None,
        quick_dropout=True,
    ):
        super().__init__()
        if not isinstance(source, Wav2Vec2Model):
            source = load_model(Wav2Vec2Model, source)
        self.model = source
        if quick_dropout:
            quicken(self.model)
        self.freeze_front_end = freeze_front_end
        self.span_mask = span_mask
        if freeze_front_end:
            self.model.feature_extractor.requires_grad_(False)
            self.model.feature_projection.requires_grad_(False)
            self.model.masked_spec_embed.requires_grad_(False)

    @property
    def config(self):
        """The model's transformers configuration."""
        return self.model.config

    @property
    def dim(self):
        """Features of an output frame."""
        return self.config.hidden_size

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
        lengths = self.frame_lengths(samples)
        if int(lengths.min()) < 1:
            raise ValueError(
                f"a clip has {int(samples.min())} samples, but wav2vec 2.0 "
                "needs 400 (25 ms at 16 kHz): leave shorter clips out."
            )
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

    def _front_end_grad(self):
        """No gradients through a frozen front-end."""
        learns = torch.is_grad_enabled() and not self.freeze_front_end
        return torch.set_grad_enabled(learns)

    def normed_features(self, wavs, wav_lens):
        """CNN and the layer norm after it: what can be kept of a clip.

        A frozen front-end gives the same every time. Arguments are those of
        ``front_end``.

        Returns
        -------
        tuple of torch.Tensor
            Features of shape (batch, frames, conv_dim), of unit scale, so
            that fp16 holds them, and frame lengths (batch,).
        """
        with self._front_end_grad():
            features, lengths = self.conv_features(wavs, wav_lens)
            return self.model.feature_projection.layer_norm(features), lengths

    def project(self, features):
        """Feature projection of ``normed_features``, dropout included."""
        projection = self.model.feature_projection
        with self._front_end_grad():
            features = features.to(projection.projection.weight.dtype)
            features = projection.projection(features)
        return projection.dropout(features)

    def front_end(self, wavs, wav_lens):
        """First half: CNN and feature projection, before any mask.

        Arguments
        ---------
        wavs : torch.Tensor
            Waveforms at 16 kHz in [-1, 1], shape (batch, samples).
        wav_lens : torch.Tensor or None
            Relative lengths, shape (batch,).

        Returns
        -------
        tuple of torch.Tensor
            Features of shape (batch, frames, dim) and frame lengths (batch,).
        """
        features, lengths = self.normed_features(wavs, wav_lens)
        return self.project(features), lengths

    def mask(self, features, time_mask=None, feature_mask=None):
        """Masked frames become the mask embedding, masked features 0.

        Arguments
        ---------
        features : torch.Tensor
            Projected features, shape (batch, frames, dim).
        time_mask : torch.Tensor, optional
            Bool, shape (batch, frames).
        feature_mask : torch.Tensor, optional
            Bool, shape (batch, dim).

        Returns
        -------
        torch.Tensor
            The masked features; the input is left as it was.
        """
        if time_mask is not None:
            features = torch.where(
                time_mask.to(features.device)[..., None],
                self.model.masked_spec_embed.to(features.dtype),
                features,
            )
        if feature_mask is not None:
            feature_mask = feature_mask.to(features.device)[:, None]
            features = features.masked_fill(feature_mask, 0)
        return features

    def keep_layers(self, generator=None):
        """Draws the transformer layers that layer drop leaves in.

        Arguments
        ---------
        generator : torch.Generator, optional
            CPU generator. Ranks of a data-parallel run, and the parts of one
            update, must draw alike: give each the same.

        Returns
        -------
        list of bool
            One flag a layer.
        """
        layers = len(self.model.encoder.layers)
        draws = torch.rand(layers, generator=generator)
        return (draws >= self.config.layerdrop).tolist()

    def transformer(self, features, lengths, keep=None):
        """Second half: positional convolution and transformer layers.

        Arguments
        ---------
        features : torch.Tensor
            Projected, possibly masked features, shape (batch, frames, dim).
        lengths : torch.Tensor
            Valid frames, shape (batch,).
        keep : list of bool, optional
            Layers to run; by default all, and in training those that layer
            drop leaves.

        Returns
        -------
        torch.Tensor
            Shape (batch, frames, dim); what lies beyond a clip is undefined.
        """
        encoder = self.model.encoder
        frames = features.shape[1]
        attention_mask = None
        if int(lengths.min()) < frames:
            padding = ~valid_frames(lengths, frames)
            features = features.masked_fill(padding[..., None], 0)
            attention_mask = torch.zeros_like(padding, dtype=features.dtype)
            attention_mask = attention_mask.masked_fill(
                padding, torch.finfo(features.dtype).min
            )[:, None, None]
            attention_mask = attention_mask.expand(-1, 1, frames, -1)
        if keep is None:
            layers = len(encoder.layers)
            keep = self.keep_layers() if self.training else [True] * layers
        x = features + encoder.pos_conv_embed(features)
        if not self.config.do_stable_layer_norm:
            x = encoder.layer_norm(x)
        x = encoder.dropout(x)
        for layer, kept in zip(encoder.layers, keep):
            if kept:
                x = layer(x, attention_mask=attention_mask)
        if self.config.do_stable_layer_norm:
            x = encoder.layer_norm(x)
        return x

    def forward(
        self, wavs, wav_lens=None, masks=None, keep=None, features=None
    ):
        """Encodes waveforms.

        Arguments
        ---------
        wavs : torch.Tensor
            Waveforms at 16 kHz in [-1, 1], shape (batch, samples).
        wav_lens : torch.Tensor, optional
            Relative lengths in (0, 1], shape (batch,).
        masks : tuple, optional
            ``(time_mask, feature_mask)``; by default drawn by ``span_mask``
            in training, none otherwise.
        keep : list of bool, optional
            Layers to run (see ``transformer``).
        features : torch.Tensor, optional
            What ``normed_features`` gave for these waveforms earlier: the
            frozen CNN is not run again.

        Returns
        -------
        torch.Tensor
            Shape (batch, frames, dim).
        """
        if features is None:
            features, lengths = self.normed_features(wavs, wav_lens)
        else:
            lengths = self.frame_lengths(sample_counts(wavs, wav_lens))
        features = self.project(features)
        if masks is None and self.training and self.span_mask is not None:
            masks = self.span_mask(lengths.cpu(), self.dim)
        if masks is not None:
            features = self.mask(features, *masks)
        return self.transformer(features, lengths, keep)

    def save_pretrained(self, folder):
        """Writes a folder that transformers and ``Wav2Vec2`` read."""
        self.model.save_pretrained(Path(folder))
