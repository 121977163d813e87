"""Unit tests of the encoders of P-TAPT: padding changes nothing.

Authors
 * The ser_brain developers, 2026
"""

import torch


def alone_and_padded(encoder):
    """Output of a short clip alone, and beside a longer one."""
    encoder.eval()
    torch.manual_seed(0)
    long, short = torch.randn(1, 16000), torch.randn(1, 8000)
    padded = torch.nn.functional.pad(short, (0, 8000), value=1.0)
    wavs, wav_lens = torch.cat([long, padded]), torch.tensor([1.0, 0.5])
    with torch.no_grad():
        alone = encoder(short)[0]
        together = encoder(wavs, wav_lens)[1, : len(alone)]
    return alone, together


def test_wav2vec2_is_blind_to_padding():
    """wav2vec 2.0."""
    from speechbrain.integrations.huggingface.ptapt.wav2vec2 import Wav2Vec2
    from transformers import Wav2Vec2Config, Wav2Vec2Model

    config = Wav2Vec2Config(
        conv_dim=[8] * 7,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=16,
        num_conv_pos_embedding_groups=2,
    )
    alone, together = alone_and_padded(Wav2Vec2(Wav2Vec2Model(config)))
    assert torch.allclose(alone, together, atol=1e-5)


def test_wav2vec_is_blind_to_padding():
    """wav2vec 1.0 with the convolution of P-TAPT."""
    from speechbrain.integrations.models.wav2vec import (
        EmotionStateEncoder,
        Wav2Vec,
    )

    options = {
        "conv_feature_layers": "[(8, 10, 5), (8, 8, 4)] + [(8, 4, 2)] * 3",
        "conv_aggregator_layers": "[(16, 2, 1), (16, 3, 1)]",
        "skip_connections_agg": True,
        "log_compression": True,
    }
    encoder = EmotionStateEncoder(Wav2Vec.from_options(options))
    alone, together = alone_and_padded(encoder)
    assert torch.allclose(alone, together, atol=1e-5)
