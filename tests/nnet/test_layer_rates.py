"""Layer-wise rates, as torch's optimizer takes them."""

import pytest
import torch
from torch import nn

from ser_brain.lobes.wav2vec2 import Wav2Vec2
from ser_brain.nnet.heads import UtteranceHead
from ser_brain.nnet.layer_rates import layer_groups, train_last_layers


def test_every_learning_weight_is_in_one_group(tiny_wav2vec2):
    encoder = Wav2Vec2(tiny_wav2vec2)
    head = UtteranceHead(encoder.dim, 4)
    modules = nn.ModuleDict({"encoder": encoder, "head": head})
    groups = layer_groups(modules, encoder, 0.5)
    grouped = [id(weight) for group in groups for weight in group["params"]]
    learning = [id(w) for w in modules.parameters() if w.requires_grad]
    assert sorted(grouped) == sorted(learning)
    scale_of = {
        id(weight): group["scale"]
        for group in groups
        for weight in group["params"]
    }
    model = encoder.model.encoder
    scales = [
        scale_of[id(head.classifier.weight)],
        scale_of[id(model.layers[1].attention.q_proj.weight)],
        scale_of[id(model.layers[0].attention.q_proj.weight)],
        scale_of[id(model.layer_norm.weight)],
    ]
    assert scales == [1.0, 0.5, 0.25, 0.125]
    assert groups[0]["scale"] == 1.0
    torch.optim.Adam(groups, lr=1e-3)


@pytest.mark.parametrize("decay", [0, -1, 1.01])
def test_a_decay_out_of_range_is_refused(decay):
    with pytest.raises(ValueError, match="lr_decay is"):
        layer_groups(nn.Linear(1, 1), None, decay)


def test_the_head_has_a_rate_of_its_own(tiny_wav2vec2):
    encoder = Wav2Vec2(tiny_wav2vec2)
    modules = nn.ModuleList([encoder, nn.Linear(2, 2)])
    head, *rest = layer_groups(modules, encoder, 1.0, head_factor=0.1)
    assert head["scale"] == 0.1 and len(head["params"]) == 2
    assert {group["scale"] for group in rest} == {1.0}
    with pytest.raises(ValueError, match="head_lr_factor is 0"):
        layer_groups(modules, encoder, 1.0, head_factor=0)


def test_the_last_layers_alone_learn(tiny_wav2vec2):
    encoder = Wav2Vec2(tiny_wav2vec2)
    train_last_layers(encoder, 1)
    last = {id(weight) for weight in encoder.layer_stack[-1].parameters()}
    learning = {id(w) for w in encoder.parameters() if w.requires_grad}
    assert learning == last
    encoder(torch.randn(2, 4000)).sum().backward()
    assert all(w.grad is not None for w in encoder.layer_stack[-1].parameters())


@pytest.mark.parametrize("count", [0, 3, 1.5, "all"])
def test_a_number_of_layers_out_of_range_is_refused(count, tiny_wav2vec2):
    encoder = Wav2Vec2(tiny_wav2vec2)
    with pytest.raises(ValueError, match="the encoder's 2 layers"):
        train_last_layers(encoder, count)
