"""Span masks: the count law, the clip's bounds, the generator."""

import math

import pytest
import torch
from hypothesis import (
    given,
    settings,
    strategies as st,
)

from ser_brain.nnet.masking import SpanMask, span_count, span_mask

PROBS = st.floats(0, 1)
SPANS = st.integers(1, 20)
MINIMA = st.integers(0, 4)
LENGTHS = st.lists(st.integers(0, 120), min_size=1, max_size=6)


def _seeded(seed):
    return torch.Generator().manual_seed(seed)


def _run_lengths(row):
    """Lengths of the stretches of True in a list of bools."""
    runs = "".join("x" if masked else " " for masked in row).split()
    return [len(run) for run in runs]


@given(
    length=st.integers(2, 500),
    prob=PROBS,
    span=SPANS,
    minimum=MINIMA,
    rounding=st.floats(0, 1, exclude_max=True),
)
@settings(deadline=None)
def test_the_count_law(length, prob, span, minimum, rounding):
    count, width = span_count(length, prob, span, minimum, rounding)

    assert width == min(span, length - 1)
    if prob == 0 and minimum == 0:
        assert count == 0
        return
    wanted = max(math.floor(prob * length / width + rounding), minimum)
    assert 0 <= count <= wanted
    assert count * width < length
    # Cut short only where one more span could cover the clip.
    assert count == wanted or (count + 1) * width >= length


@given(
    lengths=LENGTHS,
    prob=PROBS,
    span=SPANS,
    minimum=MINIMA,
    seed=st.integers(0, 2**31),
)
@settings(deadline=None)
def test_masks_stay_inside_and_leave_something(
    lengths, prob, span, minimum, seed
):
    mask = span_mask(lengths, prob, span, minimum, _seeded(seed))

    assert mask.shape == (len(lengths), max(lengths))
    assert mask.dtype == torch.bool
    rounding = torch.rand(len(lengths), generator=_seeded(seed)).tolist()
    for row, length, draw in zip(mask.tolist(), lengths, rounding):
        count, width = span_count(length, prob, span, minimum, draw)
        runs = _run_lengths(row)
        assert not any(row[length:])
        assert len(runs) <= count
        assert all(run >= width for run in runs)
        # Starts never coincide, so each further span adds a frame at least.
        assert sum(runs) >= (count > 0) * (width + count - 1)
        assert sum(runs) <= count * width
        if length >= 2 and minimum > 0:
            assert 0 < sum(runs) < length


@given(lengths=LENGTHS, seed=st.integers(0, 2**31))
@settings(deadline=None, max_examples=30)
def test_the_generator_decides(lengths, seed):
    torch.manual_seed(0)
    state = torch.get_rng_state()
    first = span_mask(lengths, 0.5, 5, 1, _seeded(seed))
    assert torch.equal(torch.get_rng_state(), state)
    again = span_mask(torch.tensor(lengths), 0.5, 5, 1, _seeded(seed))
    assert torch.equal(first, again)


def test_a_later_clip_does_not_change_an_earlier_one():
    one = span_mask([80, 90], 0.5, 5, 1, _seeded(0))
    other = span_mask([80, 17], 0.5, 5, 1, _seeded(0))
    assert torch.equal(one[0, :80], other[0, :80])


def test_without_a_generator_torch_decides():
    torch.manual_seed(4)
    first = span_mask([300], 0.3, 5)
    torch.manual_seed(4)
    assert torch.equal(first, span_mask([300], 0.3, 5))
    assert not torch.equal(first, span_mask([300], 0.3, 5))


@pytest.mark.parametrize("prob, span", [(0.08, 15), (0.65, 10), (0.06, 15)])
def test_the_masked_share_is_near_its_expectation(prob, span):
    length = 499
    mask = span_mask([length] * 400, prob, span, 2, _seeded(1))
    # A frame stays in sight if no start among the `span` before it is drawn.
    spans = prob * length / span
    starts = length - span + 1
    expected = 1 - (1 - span / starts) ** spans
    assert float(mask.float().mean()) == pytest.approx(expected, rel=0.04)


def test_starts_are_spread_evenly():
    mask = span_mask([20] * 4000, 0.0, 1, 1, _seeded(2))
    assert torch.equal(mask.sum(1), torch.ones(4000, dtype=torch.long))
    shares = mask.float().mean(0)
    assert shares.min() > 0.035
    assert shares.max() < 0.065


def test_wrong_settings_are_refused():
    with pytest.raises(ValueError, match="prob must be in.*1.5"):
        span_mask([10], 1.5, 3)
    with pytest.raises(ValueError, match="at least 1, .*0"):
        span_mask([10], 0.5, 0)


def test_span_mask_draws_frames_then_features():
    masks = SpanMask(
        time_prob=0.2, time_span=4, feature_prob=0.5, feature_span=8
    )
    time_mask, feature_mask = masks(torch.tensor([40, 9]), 64, _seeded(3))
    generator = _seeded(3)
    expected = span_mask([40, 9], 0.2, 4, 2, generator)
    assert torch.equal(time_mask, expected)
    assert torch.equal(feature_mask, span_mask([64] * 2, 0.5, 8, 1, generator))
    assert SpanMask(feature_prob=0)([40], 64)[1] is None


def test_the_defaults_are_those_of_fine_tuning():
    assert SpanMask().time == (0.08, 15, 2)
    assert SpanMask().feature == (0.05, 64, 1)
