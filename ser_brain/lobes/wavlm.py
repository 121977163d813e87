"""WavLM (Chen et al. 2022): attention with a gated relative position bias."""

from transformers import WavLMModel
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS
from transformers.models.wavlm.modeling_wavlm import WavLMAttention

from ser_brain.lobes.wav2vec2.family import Wav2Vec2Family


class BiasedAttention(WavLMAttention):
    """transformers' attention of WavLM, computed as in the other encoders.

    transformers asks torch for the attention weights, which are never used,
    and so rules out the fused kernel.
    """

    def torch_multi_head_self_attention(
        self, hidden_states, attention_mask, gated_position_bias
    ):
        """Self-attention with the bias, and the mask, added to the scores.

        Arguments
        ---------
        hidden_states : torch.Tensor
            Shape (batch, frames, dim).
        attention_mask : torch.Tensor or None
            As ``lobes.attention.additive_mask`` gives it.
        gated_position_bias : torch.Tensor
            Shape (batch * heads, frames, frames).

        Returns
        -------
        states : torch.Tensor
            Shape (batch, frames, dim).
        weights : None
            Not given.
        """
        shape = (*hidden_states.shape[:2], self.num_heads, self.head_dim)
        query, key, value = (
            projection(hidden_states).view(shape).transpose(1, 2)
            for projection in (self.q_proj, self.k_proj, self.v_proj)
        )
        bias = gated_position_bias.unflatten(0, (-1, self.num_heads))
        if attention_mask is not None:
            bias = bias + attention_mask
        attend = ALL_ATTENTION_FUNCTIONS[self.config._attn_implementation]
        states, _ = attend(
            self,
            query,
            key,
            value,
            bias,
            dropout=self.dropout if self.training else 0.0,
            scaling=self.scaling,
        )
        return self.out_proj(states.flatten(2)), None


class WavLM(Wav2Vec2Family):
    """Encoder of waveforms: WavLM of any size.

    The position bias belongs to the first layer and is used by all of them,
    even if layer drop leaves out the first.

    Arguments
    ---------
    source : str, Path or WavLMModel
        Folder in transformers' format, a hub name
        (``microsoft/wavlm-base-plus``), or transformers' model itself.
    **options
        freeze_front_end, span_mask and quick_dropout, as for ``Wav2Vec2``.

    Example
    -------
    >>> import torch
    >>> from transformers import WavLMConfig
    >>> config = WavLMConfig(num_hidden_layers=1, intermediate_size=8)
    >>> encoder = WavLM(WavLMModel(config)).eval()
    >>> encoder(torch.randn(2, 16000), torch.tensor([1.0, 0.5])).shape
    torch.Size([2, 49, 768])
    """

    name = "WavLM"
    model_class = WavLMModel

    def __init__(
        self,
        source,
        freeze_front_end=True,
        span_mask=None,
        quick_dropout=True,
    ):
        if not isinstance(source, WavLMModel):
            source = self.load(source)
        for layer in source.encoder.layers:
            layer.attention.__class__ = BiasedAttention
            layer.attention.config = source.config
        # transformers allows only its own attention for WavLM.
        source.config._attn_implementation = "sdpa"
        super().__init__(source, freeze_front_end, span_mask, quick_dropout)

    def layer_runner(self, x, attention_mask):
        """Return a function ``(layer, x) -> x`` that runs any of the layers.

        Arguments
        ---------
        x : torch.Tensor
            Input of the first layer, shape (batch, frames, dim).
        attention_mask : torch.Tensor or None
            As ``lobes.attention.additive_mask`` gives it.
        """
        batch, frames, _ = x.shape
        bias = self.layer_stack[0].attention.compute_bias(frames, frames)
        bias = bias.repeat(batch, 1, 1)

        def run(layer, x):
            states, _ = layer(
                x, attention_mask=attention_mask, position_bias=bias
            )
            return states

        return run
