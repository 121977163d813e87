"""Heads over all layers: padding, fusion, scales, held-out weights."""

import pytest
import torch

from ser_brain.nnet.layer_heads import (
    FUSIONS,
    CrossFitting,
    FrameFusionHead,
    PosteriorFusionHead,
    layer_head,
)
from ser_brain.nnet.pooling import AttentivePooling, AveragePooling

DIM, LAYERS, CLASSES = 6, 3, 4


@pytest.fixture
def layers():
    generator = torch.Generator().manual_seed(1)
    return torch.randn(LAYERS, 5, 9, DIM, generator=generator)


def made(fusion, layers, pooling=None):
    """A head with random weights and measured scales."""
    torch.manual_seed(2)
    head = layer_head(fusion, DIM, LAYERS, CLASSES, pooling)
    head.measure([head.keep(layers[:, row]) for row in range(5)])
    for parameter in head.parameters():
        torch.nn.init.normal_(parameter)
    return head


@pytest.mark.parametrize("fusion", FUSIONS)
def test_padding_never_reaches_the_posteriors(fusion, layers):
    head = made(fusion, layers)
    lengths = torch.tensor([9, 4, 1, 7, 2])
    dirty = layers.clone()
    for row, length in enumerate(lengths):
        dirty[:, row, length:] = 1e4
    assert torch.allclose(head(layers, lengths), head(dirty, lengths))
    alone = head(layers[:, 1:2, :4])
    assert torch.allclose(head(layers, lengths)[1], alone[0], atol=1e-5)


@pytest.mark.parametrize("fusion", FUSIONS)
def test_kept_features_give_what_the_layers_give(fusion, layers):
    head = made(fusion, layers)
    kept = torch.stack([head.keep(layers[:, row]) for row in range(5)])
    lengths = torch.full((5,), 9)
    assert torch.allclose(
        head.from_kept(kept, lengths), head(layers, lengths), atol=1e-5
    )


@pytest.mark.parametrize("fusion", FUSIONS)
def test_posteriors_sum_to_one(fusion, layers):
    shares = made(fusion, layers)(layers).exp().sum(1)
    assert torch.allclose(shares, torch.ones(5), atol=1e-5)


def test_posteriors_are_the_weighted_sum_over_layers(layers):
    head = made("posteriors", layers)
    by_layer = head.by_layer(head.pool(layers)).exp()
    wanted = torch.einsum("l,blc->bc", head.layer_weights, by_layer)
    assert torch.allclose(head(layers).exp(), wanted, atol=1e-6)


def test_one_layer_of_weight_one_is_that_layer_alone(layers):
    head = made("frames", layers, AveragePooling())
    with torch.no_grad():
        head.layer_logits.copy_(torch.tensor([-50.0, 50.0, -50.0]))
    frames = (layers[1] - head.frame_mean[1]) / head.frame_scale[1]
    vectors = (frames.mean(1) - head.mean) / head.scale
    wanted = head.classifier(vectors).log_softmax(-1)
    assert torch.allclose(head(layers), wanted, atol=1e-5)


@pytest.mark.parametrize("fusion", FUSIONS)
def test_vectors_are_standardised_by_what_was_measured(fusion, layers):
    head = layer_head(fusion, DIM, LAYERS, CLASSES)
    head.measure([head.keep(layers[:, row]) for row in range(5)])
    pool = head.pool if fusion == "posteriors" else head.vectors
    vectors = (pool(layers) - head.mean) / head.scale
    assert torch.allclose(vectors.mean(0), torch.zeros(1), atol=1e-4)
    deviation = vectors.std(0, correction=0)
    assert torch.allclose(deviation, torch.ones(1), atol=1e-3)


def test_a_pooling_with_weights_keeps_frames(layers):
    head = PosteriorFusionHead(DIM, LAYERS, CLASSES, AttentivePooling(DIM))
    assert not head.keeps_vectors
    assert head.keep(layers[:, 0]).shape == (9, LAYERS, DIM)
    kept = layers.permute(1, 2, 0, 3)
    assert head.from_kept(kept, torch.full((5,), 9)).shape == (5, CLASSES)


def test_a_witness_has_not_seen_what_it_is_fused_from(layers):
    head = made("posteriors", layers)
    training = CrossFitting(head, groups=2)
    for number, witness in enumerate(training.witnesses):
        torch.nn.init.constant_(witness.bias, 0.0)
        with torch.no_grad():
            witness.bias[:, number] = 5.0
    kept = torch.stack([head.keep(layers[:, row]) for row in range(5)])
    groups = torch.tensor([0, 1, 1, 0, 1])
    own, witnessed, fused = training(kept, None, groups)
    assert torch.allclose(own, head.by_layer(kept))
    assert len(witnessed) == 2
    assert torch.equal(fused.argmax(1), groups)


def test_layer_weights_learn_from_unseen_groups_alone(layers):
    training = CrossFitting(made("posteriors", layers), groups=2)
    kept = torch.stack([training.head.keep(layers[:, row]) for row in range(5)])
    groups = torch.tensor([0, 1, 1, 0, 1])
    _, _, fused = training(kept, None, groups)
    fused.sum().backward()
    assert training.head.layer_logits.grad is not None
    assert training.head.weight.grad is None
    assert all(one.weight.grad is None for one in training.witnesses)


def test_the_frame_fusion_has_no_witnesses():
    head = FrameFusionHead(DIM, LAYERS, CLASSES)
    assert len(CrossFitting(head, groups=3).witnesses) == 0


def test_an_unknown_fusion_is_refused():
    with pytest.raises(ValueError, match="posteriors, frames"):
        layer_head("votes", DIM, LAYERS, CLASSES)
