"""Attention with dropout on the CPU against torch's own."""

import json
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from transformers import Wav2Vec2Config, Wav2Vec2Model

from ser_brain.lobes.attention import NAME, attention
from ser_brain.lobes.wav2vec2 import Wav2Vec2
from ser_brain.nnet.dropout import QuickDropout


def tiny(**more):
    """A model of two layers."""
    config = Wav2Vec2Config(
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        conv_dim=(8,) * 7,
        num_conv_pos_embedding_groups=2,
        layerdrop=0.0,
    )
    return Wav2Vec2Model._from_config(config, **more)


@pytest.mark.parametrize(
    "dtype, tolerance", [(torch.bfloat16, 0.03), (torch.float32, 1e-5)]
)
@pytest.mark.parametrize("masked", [False, True])
def test_without_a_drop_it_is_scaled_dot_product_attention(
    masked, dtype, tolerance
):
    torch.manual_seed(0)
    query, key, value = torch.randn(3, 2, 4, 9, 8).to(dtype)
    mask = None
    if masked:
        mask = torch.zeros(2, 1, 9, 9)
        mask[1, ..., 6:] = torch.finfo(torch.float32).min
    # A share that 16 bits round to 0: the quick path, nothing dropped.
    states, _ = attention(None, query, key, value, mask, 1e-7, 0.3)
    truth = nn.functional.scaled_dot_product_attention(
        query.float(), key.float(), value.float(), mask, scale=0.3
    )
    truth = truth.transpose(1, 2)
    assert torch.allclose(states.float(), truth, atol=tolerance)


def test_mean_over_drops_is_the_undropped_one():
    torch.manual_seed(0)
    query, key, value = torch.randn(3, 1, 1, 5, 4).bfloat16()
    layer = SimpleNamespace(is_causal=False)
    given = (layer, query, key, value, None)
    drops = [attention(*given, 0.2, 0.5)[0].float() for _ in range(3000)]
    whole = attention(*given, 0.0, 0.5)[0].float()
    assert torch.allclose(torch.stack(drops).mean(0), whole, atol=0.05)


def test_torchs_dropout_can_be_kept():
    """What was measured with it stays reproducible to the last bit."""
    encoder = Wav2Vec2(tiny(), quick_dropout=False)
    assert encoder.config._attn_implementation == "sdpa"
    assert not any(isinstance(m, QuickDropout) for m in encoder.modules())


def test_quick_training_in_fp32_follows_the_seed():
    torch.manual_seed(1)
    encoder = Wav2Vec2(tiny())
    wavs = torch.randn(2, 8000)
    whole = encoder.eval()(wavs)
    first, again, other = (
        (torch.manual_seed(seed), encoder.train()(wavs))[1]
        for seed in (2, 2, 3)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert not torch.equal(first, whole)


def test_autocast_trains_through_the_quick_path():
    torch.manual_seed(0)
    encoder = Wav2Vec2(tiny()).train()
    with torch.autocast("cpu", torch.bfloat16):
        states = encoder(torch.randn(2, 8000), torch.tensor([1.0, 0.6]))
    states.float().square().mean().backward()
    weight = encoder.model.encoder.layers[0].attention.q_proj.weight
    assert weight.grad.isfinite().all() and weight.grad.abs().sum() > 0


def test_a_chosen_attention_stays():
    encoder = Wav2Vec2(tiny(attn_implementation="eager"))
    assert encoder.config._attn_implementation == "eager"
    assert not any(isinstance(m, QuickDropout) for m in encoder.modules())


def test_the_saved_model_does_not_know(tmp_path):
    encoder = Wav2Vec2(tiny())
    assert encoder.config._attn_implementation == NAME
    encoder.save_pretrained(tmp_path)
    assert NAME not in (tmp_path / "config.json").read_text()
    assert "attn_implementation" not in json.loads(
        (tmp_path / "config.json").read_text()
    )
    again = Wav2Vec2Model.from_pretrained(tmp_path)
    assert again.config._attn_implementation == "sdpa"
