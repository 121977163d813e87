"""emotion2vec as a model of transformers.

Its architecture is that of data2vec 2.0: data2vec's audio encoder, with
learned tokens before the frames, and attention scores that decrease with the
distance of two frames (ALiBi, Press et al., 2022).
"""

import math

import torch
from torch import nn
from torch.nn.functional import pad
from transformers import (
    AutoConfig,
    AutoModel,
    Data2VecAudioConfig,
    Data2VecAudioModel,
)


class Emotion2VecConfig(Data2VecAudioConfig):
    """Configuration of emotion2vec, by default that of emotion2vec_base.

    Arguments
    ---------
    num_extra_tokens : int
        Learned tokens before the frames.
    **options
        Options of ``Data2VecAudioConfig``. The checkpoint has no embedding of
        masked frames, so the probabilities of masks are 0.
    """

    model_type = "emotion2vec"
    num_extra_tokens: int = 10
    activation_dropout: float | int = 0.0
    layerdrop: float | int = 0.05
    mask_time_prob: float | int = 0.0


class Emotion2VecModel(Data2VecAudioModel):
    """Weights of emotion2vec; ``Emotion2Vec`` computes with them.

    Arguments
    ---------
    config : Emotion2VecConfig
        Sizes and dropout.

    Example
    -------
    >>> config = Emotion2VecConfig(num_hidden_layers=1, intermediate_size=8)
    >>> Emotion2VecModel(config).encoder.extra_tokens.shape
    torch.Size([1, 10, 768])
    """

    config_class = Emotion2VecConfig

    def __init__(self, config):
        super().__init__(config)
        shape = (1, config.num_extra_tokens, config.hidden_size)
        self.encoder.extra_tokens = nn.Parameter(torch.zeros(shape))
        heads = config.num_attention_heads
        self.encoder.alibi_scale = nn.Parameter(torch.ones(1, heads, 1, 1))

    def forward(self, *args, **kwargs):
        """Not used: transformers' own would leave out tokens and distances."""
        raise NotImplementedError("use ser_brain.lobes.emotion2vec.Emotion2Vec")


def alibi_slopes(heads):
    """Decrease of each head's scores per frame of distance.

    Powers of 2 ** (-8 / n) for n heads, if n is a power of 2; else those of the
    next smaller one, then every second one of the next larger one.

    Arguments
    ---------
    heads : int
        At least 1.

    Returns
    -------
    list of float
        One per head.

    Example
    -------
    >>> alibi_slopes(2), alibi_slopes(3)
    ([0.0625, 0.00390625], [0.0625, 0.00390625, 0.25])
    """
    power = 2 ** math.floor(math.log2(heads))
    slopes = [2 ** (-8 * (i + 1) / power) for i in range(power)]
    if power < heads:
        slopes += alibi_slopes(2 * power)[::2][: heads - power]
    return slopes


def alibi_bias(frames, scale, tokens):
    """Bias of the attention scores, 0 from and to the extra tokens.

    Arguments
    ---------
    frames : int
        Without the tokens.
    scale : torch.Tensor
        Learned factor of each head, (1, heads, 1, 1); below 0 it counts as 0.
    tokens : int
        Number of extra tokens.

    Returns
    -------
    torch.Tensor
        Shape (1, heads, tokens + frames, tokens + frames).

    Example
    -------
    >>> alibi_bias(2, torch.ones(1, 1, 1, 1), tokens=1)[0, 0, 1:, 1:].tolist()
    [[-0.0, -0.00390625], [-0.00390625, -0.0]]
    """
    places = torch.arange(frames, device=scale.device)
    distance = (places[:, None] - places).abs().to(scale)
    slopes = scale.new_tensor(alibi_slopes(scale.shape[1]))
    bias = -distance * slopes[:, None, None] * scale.clamp_min(0)
    return pad(bias, (tokens, 0, tokens, 0))


AutoConfig.register(Emotion2VecConfig.model_type, Emotion2VecConfig)
AutoModel.register(Emotion2VecConfig, Emotion2VecModel)
