"""Losses: golden against torch, and exact however a batch is cut."""

import pytest
import torch
from hypothesis import (
    given,
    settings,
    strategies as st,
)
from torch.nn.functional import cross_entropy

from ser_brain.nnet.losses import (
    cluster_terms,
    inverse_frequency_weights,
    soft_cluster_terms,
    weighted_cross_entropy_terms,
)


def test_weights_are_inverse_counts_over_their_sum():
    counts = [1708, 1636, 1084, 1103]
    weights = inverse_frequency_weights(torch.tensor(counts))
    assert weights.dtype == torch.float32
    assert weights.sum().item() == pytest.approx(1.0)
    products = weights * torch.tensor(counts)
    torch.testing.assert_close(products, products[:1].expand(4))


@pytest.mark.parametrize("counts", [[3, 0], [], [-1, 2]])
def test_a_class_without_utterances_is_refused(counts):
    with pytest.raises(ValueError, match="each needs one at least"):
        inverse_frequency_weights(counts)


@settings(deadline=None, max_examples=40)
@given(
    shape=st.lists(st.integers(1, 4), min_size=1, max_size=3),
    n_classes=st.integers(2, 5),
    weighted=st.booleans(),
    seed=st.integers(0, 99),
)
def test_the_ratio_is_torchs_mean(shape, n_classes, weighted, seed):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(*shape, n_classes, generator=generator)
    targets = torch.randint(n_classes, shape, generator=generator)
    ignored = torch.rand(shape, generator=generator) < 0.3
    ignored.view(-1)[0] = False
    targets[ignored] = -100
    weights = torch.rand(n_classes, generator=generator) + 0.1
    weights = weights if weighted else None
    expected = cross_entropy(
        logits.view(-1, n_classes), targets.view(-1), weight=weights
    )
    terms = weighted_cross_entropy_terms(logits, targets, weights)
    torch.testing.assert_close(terms[0] / terms[1], expected)


def test_micro_batches_give_the_whole_batchs_loss_and_gradient():
    torch.manual_seed(0)
    logits = torch.randn(7, 3, dtype=torch.float64, requires_grad=True)
    targets = torch.tensor([0, 0, 0, 1, 2, 2, -100])
    weights = torch.tensor([0.1, 0.6, 0.3], dtype=torch.float64)
    whole = cross_entropy(logits, targets, weight=weights)
    (expected,) = torch.autograd.grad(whole, logits)
    parts = [
        weighted_cross_entropy_terms(some, target, weights)
        for some, target in zip(logits.split(3), targets.split(3), strict=True)
    ]
    numerator, denominator = map(sum, zip(*parts, strict=True))
    loss = numerator / denominator
    (gradient,) = torch.autograd.grad(loss, logits)
    torch.testing.assert_close(loss, whole)
    torch.testing.assert_close(gradient, expected)


def test_nothing_but_ignored_targets_adds_nothing():
    numerator, denominator = weighted_cross_entropy_terms(
        torch.randn(2, 3), torch.tensor([-100, -100])
    )
    assert numerator == 0 and denominator == 0


def test_half_precision_is_summed_in_single():
    logits = torch.full((4096, 2), 30000.0, dtype=torch.float16)
    targets = torch.zeros(4096, dtype=torch.long)
    numerator, _ = weighted_cross_entropy_terms(logits, targets)
    assert numerator.dtype == torch.float32
    assert numerator.item() == pytest.approx(4096 * 0.693147, rel=1e-5)


@pytest.fixture
def clusters():
    torch.manual_seed(0)
    logits = [torch.randn(2, 6, k, requires_grad=True) for k in (3, 8)]
    labels = torch.stack([torch.randint(k, (2, 6)) for k in (3, 8)], dim=-1)
    labels[1, 4:] = -100
    mask = torch.tensor([[1, 1, 0, 0, 1, 0], [0, 1, 0, 0, 1, 1]]).bool()
    return logits, labels, mask


def test_cluster_loss_is_the_sum_of_torchs_means(clusters):
    logits, labels, mask = clusters
    numerators, denominator = cluster_terms(logits, labels, mask)
    parts = torch.stack(
        [
            cross_entropy(each[mask], labels[..., i][mask])
            for i, each in enumerate(logits)
        ]
    )
    assert denominator == 4
    torch.testing.assert_close(numerators / denominator, parts)
    torch.testing.assert_close(numerators.sum() / denominator, parts.sum())


def test_masked_frames_alone_give_the_same_terms(clusters):
    logits, labels, mask = clusters
    over_all = cluster_terms(logits, labels, mask)
    alone = cluster_terms([each[mask] for each in logits], labels[mask])
    torch.testing.assert_close(alone, over_all)


def test_unmasked_frames_get_no_gradient(clusters):
    logits, labels, mask = clusters
    numerators, denominator = cluster_terms(logits, labels, mask)
    (numerators.sum() / denominator).backward()
    counted = mask & (labels[..., 0] != -100)
    for each in logits:
        assert torch.equal(each.grad.any(dim=-1), counted)


def test_heads_and_labels_of_different_ensembles_are_refused(clusters):
    logits, labels, mask = clusters
    with pytest.raises(ValueError, match="1 cluster heads but 2"):
        cluster_terms(logits[:1], labels, mask)


def test_soft_clusters_are_torchs_cross_entropy_with_probabilities():
    torch.manual_seed(0)
    logits = [torch.randn(6, 4), torch.randn(6, 7)]
    labels = torch.stack(
        [torch.randperm(4)[:2].repeat(2) % 4 for _ in range(6)]
    )
    shares = torch.rand(6, 4)
    labels[2] = -100
    kept = [0, 1, 3, 4, 5]
    numerators, count = soft_cluster_terms(logits, labels, shares)
    for number, each in enumerate(logits):
        columns = slice(2 * number, 2 * number + 2)
        dense = torch.zeros_like(each)
        dense[kept] = dense[kept].scatter_add(
            1, labels[kept, columns], shares[kept, columns]
        )
        expected = cross_entropy(each[kept], dense[kept], reduction="sum")
        torch.testing.assert_close(numerators[number], expected)
    assert count == 5


def test_one_cluster_with_all_of_a_frame_is_the_hard_loss():
    torch.manual_seed(0)
    logits = [torch.randn(5, 4), torch.randn(5, 7)]
    labels = torch.randint(4, (5, 2))
    hard, count = cluster_terms(logits, labels)
    soft, counted = soft_cluster_terms(logits, labels, torch.ones(5, 2))
    torch.testing.assert_close(soft, hard)
    assert count == counted
