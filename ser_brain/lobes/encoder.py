"""The interface of encoders of waveforms.

An encoder has two halves: a front-end, usually frozen, whose output for a clip
can be cached, and a transformer that is trained. Masks and dropped layers can
be drawn by the caller, once for an update that is computed in several parts.
Above all, a clip's output does not depend on what it is batched with.
"""

from abc import abstractmethod
from pathlib import Path

import torch

from ser_brain.lobes.attention import additive_mask, quicken
from ser_brain.lobes.frame_encoder import FrameEncoder, fingerprint
from ser_brain.nnet.lengths import sample_counts, valid_frames

# Sample rate of the waveforms of every encoder.
SAMPLE_RATE = 16000


class Encoder(FrameEncoder):
    """Base class of the encoders that procedures fine-tune or adapt.

    Arguments
    ---------
    model : transformers.PreTrainedModel
        Weights, layers and configuration.
    freeze_front_end : bool
        Whether the front-end is frozen.
    span_mask : callable, optional
        Draws ``(time_mask, feature_mask)`` from ``(lengths, dim)`` for each
        training batch (``ser_brain.nnet.masking.SpanMask``).
    quick_dropout : bool
        Whether dropout on a CPU is drawn from 16 random bits per element,
        which is faster (``ser_brain.nnet.dropout``); else torch's own.

    Attributes
    ----------
    hop : int
        Samples at 16 kHz from one output frame to the next.
    front_end_options : tuple of str
        Names in the configuration that change ``cacheable_features``.
    """

    hop = 320
    front_end_options = ()

    def __init__(
        self, model, freeze_front_end=True, span_mask=None, quick_dropout=True
    ):
        super().__init__()
        self.model = model
        if quick_dropout:
            quicken(model)
        self.freeze_front_end = freeze_front_end
        self.span_mask = span_mask

    @property
    def config(self):
        """The model's transformers configuration."""
        return self.model.config

    @property
    def dim(self):
        """Number of features per output frame."""
        return self.config.hidden_size

    @property
    def frame_rate(self):
        """Output frames per second."""
        return SAMPLE_RATE / self.hop

    @property
    @abstractmethod
    def cacheable_dim(self):
        """Number of features per frame of ``cacheable_features``."""

    @property
    @abstractmethod
    def layer_stack(self):
        """The transformer's layers (``nn.ModuleList``)."""

    @property
    def n_layers(self):
        """The first layer's input, and each layer's output."""
        return len(self.layer_stack) + 1

    @property
    @abstractmethod
    def layer_drop(self):
        """Probability that a layer is left out in training."""

    @property
    @abstractmethod
    def mask_embedding(self):
        """What a masked frame becomes, shape (dim,) or ()."""

    @abstractmethod
    def cacheable_features(self, wavs, wav_lens):
        """Compute what can be cached per clip.

        A frozen front-end returns the same every time. Arguments are those of
        ``front_end``.

        Returns
        -------
        tuple of torch.Tensor
            Features of shape (batch, frames, cacheable_dim), of a scale that
            fits fp16, and frame lengths (batch,).
        """

    @abstractmethod
    def project(self, features):
        """Compute the rest of the front-end, from cacheable features.

        Arguments
        ---------
        features : torch.Tensor
            Shape (batch, frames, cacheable_dim), of any floating type.

        Returns
        -------
        torch.Tensor
            Shape (batch, frames, dim).
        """

    @abstractmethod
    def embed(self, features, padding=None):
        """Input of the first layer: positions added, then dropout.

        Arguments
        ---------
        features : torch.Tensor
            Projected, possibly masked features, shape (batch, frames, dim),
            zero beyond each clip.
        padding : torch.Tensor, optional
            Bool, shape (batch, frames), True beyond each clip; not given if
            all clips are equally long.

        Returns
        -------
        torch.Tensor
            Shape (batch, frames, dim).
        """

    @abstractmethod
    def final_norm(self, states):
        """Norm after the last layer; the identity if there is none."""

    @abstractmethod
    def cacheable_parts(self):
        """The modules that ``cacheable_features`` runs."""

    def front_end_grad(self):
        """Context without gradients if the front-end is frozen."""
        learns = torch.is_grad_enabled() and not self.freeze_front_end
        return torch.set_grad_enabled(learns)

    def front_end(self, wavs, wav_lens=None):
        """Compute the first half, before any mask.

        Arguments
        ---------
        wavs : torch.Tensor
            Waveforms at 16 kHz in [-1, 1], shape (batch, samples).
        wav_lens : torch.Tensor, optional
            Relative lengths in (0, 1], shape (batch,).

        Returns
        -------
        tuple of torch.Tensor
            Features of shape (batch, frames, dim) and frame lengths (batch,).

        Raises
        ------
        ValueError
            If a clip is shorter than 400 samples (25 ms).
        """
        features, lengths = self.cacheable_features(wavs, wav_lens)
        return self.project(features), lengths

    def mask(self, features, time_mask=None, feature_mask=None):
        """Set masked frames to ``mask_embedding`` and masked features to 0.

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
            The masked features; the input is not changed.
        """
        if time_mask is not None:
            features = torch.where(
                time_mask.to(features.device)[..., None],
                self.mask_embedding.to(features),
                features,
            )
        if feature_mask is not None:
            feature_mask = feature_mask.to(features.device)[:, None]
            features = features.masked_fill(feature_mask, 0)
        return features

    def keep_layers(self, generator=None):
        """Draw the transformer layers that layer drop keeps.

        Arguments
        ---------
        generator : torch.Generator, optional
            CPU generator. Ranks of a data-parallel run, and the parts of one
            update, must draw the same layers: give each the same generator.

        Returns
        -------
        list of bool
            One flag per layer.
        """
        draws = torch.rand(len(self.layer_stack), generator=generator)
        return (draws >= self.layer_drop).tolist()

    def layer_runner(self, x, attention_mask):
        """Return a function ``(layer, x) -> x`` that runs any of the layers.

        Arguments
        ---------
        x : torch.Tensor
            Input of the first layer, shape (batch, frames, dim).
        attention_mask : torch.Tensor or None
            As returned by ``lobes.attention.additive_mask``.
        """
        return lambda layer, x: layer(x, attention_mask=attention_mask)

    def hidden_states(self, features, lengths, keep):
        """Yield the input of each layer that is kept, then the output.

        Arguments
        ---------
        features, lengths, keep
            As for ``transformer``; ``keep`` has one flag per layer.

        Yields
        ------
        torch.Tensor
            Shape (batch, frames, dim); the last one is the final output.
        """
        frames = features.shape[1]
        padding = attention_mask = None
        if int(lengths.min()) < frames:
            padding = ~valid_frames(lengths, frames)
            features = features.masked_fill(padding[..., None], 0)
            attention_mask = additive_mask(padding, features.dtype)
        yield from self.run_layers(features, padding, attention_mask, keep)

    def run_layers(self, features, padding, attention_mask, keep):
        """Yield what ``hidden_states`` does, for features and masks.

        Arguments
        ---------
        features : torch.Tensor
            Shape (batch, frames, dim), 0 beyond each clip.
        padding, attention_mask : torch.Tensor or None
            As for ``embed`` and ``layer_runner``.
        keep : list of bool
            One flag per layer.
        """
        x = self.embed(features, padding)
        run = self.layer_runner(x, attention_mask)
        for layer, kept in zip(self.layer_stack, keep):
            if kept:
                yield x
                x = run(layer, x)
        yield self.final_norm(x)

    def transformer(self, features, lengths, keep=None):
        """Compute the second half: positions and transformer layers.

        Arguments
        ---------
        features : torch.Tensor
            Projected, possibly masked features, shape (batch, frames, dim).
        lengths : torch.Tensor
            Valid frames, shape (batch,).
        keep : list of bool, optional
            Layers to run; by default all, and in training those kept by layer
            drop.

        Returns
        -------
        torch.Tensor
            Shape (batch, frames, dim); what lies beyond a clip is undefined.
        """
        if keep is None:
            everything = [True] * len(self.layer_stack)
            keep = self.keep_layers() if self.training else everything
        # Only the last one is kept.
        for output in self.hidden_states(features, lengths, keep):
            pass
        return output

    def layers(self, wavs, wav_lens=None):
        """Compute every layer's output, without masks and layer drop.

        Arguments
        ---------
        wavs, wav_lens
            As for ``forward``.

        Returns
        -------
        torch.Tensor
            Shape (layers + 1, batch, frames, dim): the first layer's input,
            then each layer's output, the last one after the final norm.
        """
        features, lengths = self.front_end(wavs, wav_lens)
        keep = [True] * len(self.layer_stack)
        return torch.stack(list(self.hidden_states(features, lengths, keep)))

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
        masks : tuple, optional
            ``(time_mask, feature_mask)``; by default drawn by ``span_mask``
            in training, none otherwise.
        keep : list of bool, optional
            Layers to run (see ``transformer``).
        features : torch.Tensor, optional
            The result of ``cacheable_features`` for these waveforms: the
            frozen front-end is not run again.

        Returns
        -------
        torch.Tensor
            Shape (batch, frames, dim).
        """
        if features is None:
            features, lengths = self.cacheable_features(wavs, wav_lens)
        else:
            lengths = self.frame_lengths(sample_counts(wavs, wav_lens))
        features = self.project(features)
        if masks is None and self.training and self.span_mask is not None:
            masks = self.span_mask(lengths.cpu(), self.dim)
        if masks is not None:
            features = self.mask(features, *masks)
        return self.transformer(features, lengths, keep)

    def front_end_fingerprint(self):
        """Hash of everything that ``cacheable_features`` depends on.

        Models that differ only in their transformer share it: a text of 64
        hexadecimal digits.

        Example
        -------
        >>> from ser_brain.assets import folder
        >>> from ser_brain.lobes.wav2vec2 import Wav2Vec2
        >>> encoder = Wav2Vec2(folder("nano_wav2vec2"))
        >>> before = encoder.front_end_fingerprint()
        >>> with torch.no_grad():
        ...     for weight in encoder.model.encoder.parameters():
        ...         _ = weight.zero_()
        >>> encoder.front_end_fingerprint() == before
        True
        """
        config = self.config.to_dict()
        options = {name: config[name] for name in self.front_end_options}
        return fingerprint(options, self.cacheable_parts())

    def save_pretrained(self, folder):
        """Write a folder that transformers and this class read."""
        self.model.save_pretrained(Path(folder))
