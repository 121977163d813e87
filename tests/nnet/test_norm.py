"""Masked group norm against torch's own, and its blindness to padding."""

import pytest
import torch
from hypothesis import (
    given,
    settings,
    strategies as st,
)

from ser_brain.nnet import norm
from ser_brain.nnet.norm import masked_group_norm


def _affine(channels, affine):
    if not affine:
        return None, None
    return torch.randn(channels), torch.randn(channels)


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("num_groups", [1, 2, 8])
def test_unpadded_equals_torch(num_groups, affine):
    torch.manual_seed(0)
    x = torch.randn(3, 8, 50) * 4 + 2
    weight, bias = _affine(8, affine)
    golden = torch.nn.functional.group_norm(x, num_groups, weight, bias, 1e-5)

    without = masked_group_norm(x, None, weight, bias, num_groups=num_groups)
    full = torch.full((3,), 50)
    with_lengths = masked_group_norm(
        x, full, weight, bias, num_groups=num_groups
    )

    assert torch.equal(without, golden)
    torch.testing.assert_close(with_lengths, golden, atol=1e-5, rtol=1e-5)


@settings(deadline=None, max_examples=25)
@given(
    lengths=st.lists(st.integers(2, 30), min_size=1, max_size=5),
    extra=st.integers(0, 60),
    num_groups=st.sampled_from([1, 3, 6]),
    filler=st.sampled_from([0.0, 1e9, float("nan"), float("inf")]),
)
def test_padding_is_never_seen(lengths, extra, num_groups, filler):
    torch.manual_seed(0)
    weight, bias = _affine(6, True)
    clips = [torch.randn(1, 6, n) for n in lengths]
    batch = torch.full((len(clips), 6, max(lengths) + extra), filler)
    for row, clip in zip(batch, clips):
        row[:, : clip.shape[-1]] = clip

    normed = masked_group_norm(
        batch, torch.tensor(lengths), weight, bias, num_groups=num_groups
    )

    for row, clip in zip(normed, clips):
        n = clip.shape[-1]
        alone = masked_group_norm(clip, None, weight, bias, 1e-5, num_groups)
        torch.testing.assert_close(row[None, :, :n], alone, atol=1e-4, rtol=0)
        assert not row[:, n:].any()


def test_gradient_is_that_of_the_clip_alone():
    torch.manual_seed(0)
    alone = torch.randn(1, 4, 9, requires_grad=True)
    padded = torch.full((1, 4, 20), float("nan"))
    padded[..., :9] = alone.detach()
    padded.requires_grad_()
    pull = torch.randn(1, 4, 9)

    (masked_group_norm(alone, None) * pull).sum().backward()
    normed = masked_group_norm(padded, torch.tensor([9]))
    (normed[..., :9] * pull).sum().backward()

    torch.testing.assert_close(padded.grad[..., :9], alone.grad)
    assert not padded.grad[..., 9:].any()


def test_half_precision_is_normalised_in_fp32():
    # The square of 300 overflows fp16: only fp32 statistics survive.
    x = (torch.randn(1, 4, 100) * 300).half()
    normed = masked_group_norm(x, torch.tensor([80]))
    golden = masked_group_norm(x[..., :80].float(), None)
    assert normed.dtype == torch.float16
    torch.testing.assert_close(
        normed[..., :80].float(), golden, atol=5e-3, rtol=1e-3
    )


@settings(deadline=None, max_examples=20)
@given(
    lengths=st.lists(st.integers(2, 30), min_size=1, max_size=4),
    num_groups=st.sampled_from([1, 2, 6]),
)
def test_both_ways_to_compute_it_agree(lengths, num_groups):
    """On a GPU all clips are normalised at once, on a CPU one by one."""
    torch.manual_seed(0)
    x = torch.randn(len(lengths), 6, max(lengths) + 3)
    lengths = torch.tensor(lengths)
    weight, bias = _affine(6, True)
    one_by_one = norm._clip_by_clip(
        x, lengths, (num_groups, weight, bias, 1e-5)
    )
    at_once = norm._all_at_once(x, lengths, num_groups, weight, bias, 1e-5)
    torch.testing.assert_close(one_by_one, at_once, atol=1e-5, rtol=1e-5)
