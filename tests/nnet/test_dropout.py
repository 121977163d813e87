"""Quick dropout: shares, gradients, and torch's own everywhere else."""

import math

import pytest
import torch
from hypothesis import (
    given,
    settings,
    strategies as st,
)

from ser_brain.nnet.dropout import QuickDropout, dropout, keep_mask

DTYPES = pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])


@given(
    st.floats(0.01, 0.9), st.integers(0, 1000), st.sampled_from([1, 2, 3, 5])
)
@settings(deadline=None, max_examples=30)
def test_share_of_dropped_elements(probability, seed, rows):
    torch.manual_seed(seed)
    kept = keep_mask((rows, 20_001), probability)
    expected = 1 - probability
    deviation = math.sqrt(expected * probability / kept.numel())
    assert kept.shape == (rows, 20_001)
    assert abs(kept.float().mean() - expected) < 6 * deviation


def test_neighbours_are_independent():
    """Four elements come from one integer of the generator."""
    torch.manual_seed(0)
    kept = keep_mask((100_000, 4), 0.3).float()
    correlation = torch.corrcoef(kept.T)
    assert (correlation - torch.eye(4)).abs().max() < 0.02


def test_the_generator_decides():
    first, second = (
        (torch.manual_seed(3), keep_mask((7, 11), 0.5))[1] for _ in range(2)
    )
    assert torch.equal(first, second)
    assert not torch.equal(first, keep_mask((7, 11), 0.5))


@DTYPES
def test_gradient_flows_through_what_is_kept(dtype):
    features = torch.randn(50, 20).to(dtype).requires_grad_()
    result = dropout(features, 0.25)
    result.sum().backward()
    kept = result != 0
    assert 0.6 < kept.float().mean() < 0.9
    assert torch.equal(features.grad, kept * torch.tensor(1 / 0.75).to(dtype))
    assert torch.allclose(result, kept * features / 0.75)


@DTYPES
def test_what_is_dropped_is_zero_whatever_it_was(dtype):
    values = torch.tensor([torch.nan, torch.inf, -torch.inf, -0.5])
    values = values.to(dtype).repeat(200)
    features = values.clone().requires_grad_()
    result = dropout(features, 0.5)
    result.backward(values)
    zero = result == 0
    for found in (result, features.grad):
        assert torch.equal(found == 0, zero)
        assert torch.equal(found[~zero].isnan(), values[~zero].isnan())
        assert set(found[3::4].tolist()) == {-1.0, 0.0}
        assert set(found[1::4].tolist()) == {torch.inf, 0.0}


@pytest.mark.parametrize(
    "dtype, training", [(torch.float64, True), (torch.float32, False)]
)
def test_elsewhere_it_is_torchs_own(dtype, training):
    features = torch.randn(30, 40, dtype=dtype)
    found = []
    for layer in (QuickDropout(0.3), torch.nn.Dropout(0.3)):
        torch.manual_seed(5)
        found.append(layer.train(training)(features))
    assert torch.equal(*found)


@DTYPES
@pytest.mark.parametrize("p", [0.0, 1.0])
def test_bounds(p, dtype):
    features = torch.ones(10, dtype=dtype)
    assert (QuickDropout(p)(features) == 1 - p).all()
