"""HuBERT (Hsu et al. 2021)."""

from torch import nn
from torch.nn import functional as F
from transformers import HubertModel

from ser_brain.lobes.wav2vec2.family import Wav2Vec2Family, silence


class HuBERT(Wav2Vec2Family):
    """Encoder of waveforms: HuBERT of any size.

    Some HuBERT models have batch norm before the positional convolution.
    It uses its running statistics in training as well, so that a clip's output
    does not depend on its batch.

    Arguments
    ---------
    source : str, Path or HubertModel
        Folder in transformers' format, a hub name
        (``facebook/hubert-base-ls960``), or transformers' model itself.
    **options
        freeze_front_end, span_mask and quick_dropout, as for ``Wav2Vec2``.

    Example
    -------
    >>> import torch
    >>> from transformers import HubertConfig
    >>> config = HubertConfig(num_hidden_layers=1, intermediate_size=8)
    >>> encoder = HuBERT(HubertModel(config)).eval()
    >>> encoder(torch.randn(2, 16000), torch.tensor([1.0, 0.5])).shape
    torch.Size([2, 49, 768])
    """

    name = "HuBERT"
    model_class = HubertModel
    front_end_options = (
        *Wav2Vec2Family.front_end_options,
        "feat_proj_layer_norm",
    )

    @property
    def feature_norm(self):
        """Layer norm between the CNN and the projection, where there is one."""
        projection = self.model.feature_projection
        return getattr(projection, "layer_norm", nn.Identity())

    def positions(self, features, padding=None):
        """The positional convolution over each clip's own frames.

        Arguments are those of ``embed``; shape (batch, frames, dim).
        """
        layer = self.model.encoder.pos_conv_embed
        norm = layer.batch_norm
        if norm is None:
            return super().positions(features, padding)
        x = F.batch_norm(
            features.transpose(1, 2),
            norm.running_mean,
            norm.running_var,
            norm.weight,
            norm.bias,
            eps=norm.eps,
        )
        x = layer.padding(layer.conv(silence(x, padding)))
        return layer.activation(x).transpose(1, 2)
