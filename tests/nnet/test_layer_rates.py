"""Layer-wise rates, as torch's optimizer takes them."""

import pytest
import torch
from torch import nn

from ser_brain.lobes.wav2vec2 import Wav2Vec2
from ser_brain.nnet.heads import UtteranceHead
from ser_brain.nnet.layer_rates import layer_groups


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
