"""Learning rates against the paper's words."""

import pytest
from hypothesis import (
    given,
    strategies as st,
)

from ser_brain.nnet.schedules import ConstantRate, WarmFlatLinear


@given(st.integers(0, 10**6), st.integers(1, 10**6))
def test_fine_tuning_is_constant(update, updates):
    assert ConstantRate(1e-4)(update, updates) == 1e-4


def _piecewise(update, lr, warm_end, flat_end, end):
    """Linear through (0, 0), (warm_end, lr), (flat_end, lr), (end, 0)."""
    if update <= warm_end:
        return lr * update / warm_end
    if update <= flat_end:
        return lr
    return lr * (end - update) / (end - flat_end)


@pytest.mark.parametrize(
    "warm, updates, warm_end, flat_end",
    [
        (100, 20000, 100, 1100),  # TAPT and P3: 100 steps, then 5 %
        (0.05, 10000, 500, 1000),  # P1: 5 %, then 5 %
    ],
)
def test_the_papers_schedules(warm, updates, warm_end, flat_end):
    rate = WarmFlatLinear(1e-4, warm=warm, flat=0.05)
    for update in range(0, updates + 1, 25):
        expected = _piecewise(update, 1e-4, warm_end, flat_end, updates)
        found = rate(update, updates)
        assert found == pytest.approx(expected, rel=1e-12, abs=1e-18)


@given(
    warm=st.one_of(st.integers(1, 200), st.floats(0, 0.99)),
    flat=st.one_of(st.integers(1, 200), st.floats(0, 0.99)),
    updates=st.integers(1, 400),
)
def test_it_rises_once_falls_once_and_stays_in_range(warm, flat, updates):
    rate = WarmFlatLinear(1.0, warm, flat)
    rates = [rate(update, updates) for update in range(updates + 1)]
    assert all(0 <= each <= 1 for each in rates)
    top = rates.index(max(rates))
    assert rates[: top + 1] == sorted(rates[: top + 1])
    assert rates[top:] == sorted(rates[top:], reverse=True)
