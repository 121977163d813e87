"""emotion2vec's encoder of waveforms."""

from pathlib import Path

import torch
from torch.nn.functional import pad

from ser_brain.lobes.data2vec import Data2VecAudio
from ser_brain.lobes.emotion2vec.checkpoint import read_emotion2vec
from ser_brain.lobes.emotion2vec.model import Emotion2VecModel, alibi_bias


class Emotion2Vec(Data2VecAudio):
    """Encoder of waveforms: emotion2vec of any size (Ma et al., 2024).

    The learned tokens run through the transformer with the frames, and are
    left out of its output. The layers are those of the checkpoint's context
    encoder, then its blocks. A masked frame becomes 0, as in pretraining.

    Arguments
    ---------
    source : str, Path or Emotion2VecModel
        The published checkpoint file (``emotion2vec_base.pt``), a folder that
        ``save_pretrained`` wrote, or the model itself.
    **options
        freeze_front_end, span_mask and quick_dropout, as for ``Wav2Vec2``.

    Example
    -------
    >>> from ser_brain.lobes.emotion2vec import Emotion2VecConfig
    >>> config = Emotion2VecConfig(num_hidden_layers=1, intermediate_size=8)
    >>> encoder = Emotion2Vec(Emotion2VecModel(config)).eval()
    >>> encoder(torch.randn(2, 16000), torch.tensor([1.0, 0.5])).shape
    torch.Size([2, 49, 768])
    """

    name = "emotion2vec"
    model_class = Emotion2VecModel
    normalize_eps = 1e-5

    @classmethod
    def load(cls, source):
        """Load the model in fp32, from a published file or a folder of ours.

        Arguments
        ---------
        source : str or Path
            As for the class.

        Raises
        ------
        ValueError
            If it holds another kind of model, or weights that are damaged or
            incomplete.
        OSError
            If there is no such file or folder.
        """
        if not Path(source).is_file():
            return super().load(source)
        return read_emotion2vec(source)

    @property
    def mask_embedding(self):
        """A masked frame becomes 0."""
        return self.tokens.new_zeros(())

    @property
    def tokens(self):
        """The learned tokens before the frames, shape (1, tokens, dim)."""
        return self.model.encoder.extra_tokens

    def embed(self, features, padding=None):
        """Add the positions, put the tokens first, then norm and dropout."""
        encoder = self.model.encoder
        x = features + self.positions(features, padding)
        tokens = self.tokens.to(x.dtype).expand(x.shape[0], -1, -1)
        return encoder.dropout(encoder.layer_norm(torch.cat([tokens, x], 1)))

    def layer_runner(self, x, attention_mask):
        """Return a function ``(layer, x) -> x`` that runs any of the layers.

        Arguments
        ---------
        x : torch.Tensor
            Input of the first layer, shape (batch, tokens + frames, dim).
        attention_mask : torch.Tensor or None
            Of the frames, as ``lobes.attention.additive_mask`` gives it.
        """
        tokens = self.tokens.shape[1]
        scale = self.model.encoder.alibi_scale
        bias = alibi_bias(x.shape[1] - tokens, scale, tokens).to(x.dtype)
        if attention_mask is not None:
            # The rows of the mask are the same: the first is of every frame.
            bias = bias + pad(attention_mask[:, :, :1], (tokens, 0))
        return super().layer_runner(x, bias)

    def run_layers(self, features, padding, attention_mask, keep):
        """Yield the frames of each layer's input, then of the output.

        Arguments are those of ``Encoder.run_layers``.
        """
        tokens = self.tokens.shape[1]
        states = super().run_layers(features, padding, attention_mask, keep)
        for one in states:
            yield one[:, tokens:]
