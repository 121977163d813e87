"""Adapters: what they learn is in the weights when they are gone."""

import pytest
import torch

from ser_brain.lobes import load_encoder
from ser_brain.lobes.adapters import add_adapters, merge_adapters

peft = pytest.importorskip("peft")
KINDS = [
    peft.LoraConfig(r=2, target_modules=["q_proj", "v_proj"]),
    peft.LoraConfig(r=2, target_modules=["k_proj"], use_dora=True),
    peft.IA3Config(target_modules=["k_proj"], feedforward_modules=[]),
]


@pytest.mark.parametrize("config", KINDS, ids=lambda each: each.peft_type.value)
@pytest.mark.parametrize("kind", ["wav2vec2", "whisper"])
def test_merging_leaves_the_output(make_encoder, kind, config):
    torch.manual_seed(0)
    encoder = load_encoder(make_encoder(kind)).eval()
    names = list(encoder.state_dict())
    learning = add_adapters(encoder, config)
    adapters = [w for w in encoder.parameters() if w.requires_grad]
    assert learning == sum(weight.numel() for weight in adapters)
    wavs = torch.randn(1, 8000)
    before = encoder(wavs)
    with torch.no_grad():
        for weight in adapters:
            weight.add_(0.3 * torch.randn_like(weight))
    changed = encoder(wavs)
    assert not torch.allclose(before, changed, atol=1e-3)
    assert merge_adapters(encoder) > 0
    assert list(encoder.state_dict()) == names
    torch.testing.assert_close(encoder(wavs), changed, atol=1e-4, rtol=1e-4)


def test_what_cannot_be_adapted_is_refused(tiny_wav2vec2):
    encoder = load_encoder(tiny_wav2vec2)
    nowhere = peft.LoraConfig(target_modules=["query"])
    with pytest.raises(ValueError, match="name layers of it in target_modules"):
        add_adapters(encoder, nowhere)
    prompts = peft.PromptTuningConfig(num_virtual_tokens=2)
    with pytest.raises(ValueError, match="learns prompts"):
        add_adapters(encoder, prompts)
