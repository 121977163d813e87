"""The outlier rule on worked examples, and what must always hold."""

import statistics

import numpy as np
import pytest
from hypothesis import (
    given,
    settings,
    strategies as st,
)

from ser_brain.plans.outliers import outliers, select

UA = st.floats(0, 1, allow_nan=False)
MANY = st.lists(UA, min_size=1, max_size=25)


def by_seed(scores):
    """Scores as the rule takes them."""
    return dict(enumerate(scores, start=1))


@pytest.mark.parametrize(
    "scores, out",
    [
        # Mean 0.55, deviation 0.1118: 0.3 is 2.236 = sqrt(5) away.
        ([0.6, 0.6, 0.6, 0.6, 0.6, 0.3], [6]),
        # n = 5: 0.3 is exactly 2 away, which is not outside.
        ([0.6, 0.6, 0.6, 0.6, 0.3], []),
        # Mean 0.56, deviation 0.08: 0.4 is 2 away again.
        ([0.4, 0.6, 0.6, 0.6, 0.6], []),
        # One on either side, 2.236 away: mean 0.5, deviation 0.0894.
        ([0.5] * 8 + [0.3, 0.7], [9, 10]),
        # A wide spread hides nobody.
        ([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7], []),
        ([0.5], []),
        ([0.2, 0.9], []),
    ],
)
def test_worked_examples(scores, out):
    assert outliers(by_seed(scores)) == out


@given(MANY)
@settings(deadline=None)
def test_agrees_with_numpy_away_from_the_border(scores):
    deviation = np.std(scores)
    distance = np.abs(np.array(scores) - np.mean(scores))
    margin = 1e-9 + 1e-9 * deviation
    clearly = np.abs(distance - 2 * deviation) > margin
    out = outliers(by_seed(scores))
    expected = distance > 2 * deviation
    for seed in np.flatnonzero(clearly) + 1:
        assert (seed in out) == expected[seed - 1]


@given(st.lists(UA, min_size=1, max_size=5))
@settings(deadline=None)
def test_up_to_five_runs_nothing_can_be_outside(scores):
    assert outliers(by_seed(scores)) == []


@given(MANY, st.randoms(use_true_random=False))
@settings(deadline=None)
def test_the_order_does_not_matter(scores, random):
    items = list(by_seed(scores).items())
    random.shuffle(items)
    assert outliers(dict(items)) == outliers(by_seed(scores))


@given(UA, st.integers(1, 25))
@settings(deadline=None)
def test_equal_scores_all_stay(score, runs):
    assert outliers(by_seed([score] * runs)) == []


@given(MANY)
@settings(deadline=None)
def test_less_than_a_quarter_is_outside(scores):
    # Chebyshev: strictly outside k deviations lies less than 1 / k^2.
    assert len(outliers(by_seed(scores))) < max(len(scores) / 4, 1)


def test_the_bounds_of_the_docstring():
    one_off = [0.0] * 4 + [1.0]
    population = 0.8 / statistics.pstdev(one_off)
    sample = 0.8 / statistics.stdev(one_off)
    assert population == pytest.approx((5 - 1) ** 0.5)
    assert sample == pytest.approx((5 - 1) / 5**0.5)
    assert round(sample, 2) == 1.79


def test_nothing_is_judged_before_all_runs_are_there():
    scores = dict.fromkeys(range(2, 20), 0.6) | {5: 0.1}
    found = select(scores, runs=19)
    assert found.seeds == tuple(range(1, 20))
    assert found.discarded == ()


def test_a_discarded_run_is_told_with_what_it_was_compared_with():
    scores = dict.fromkeys(range(1, 6), 0.6) | {6: 0.3}
    [one] = select(scores, runs=6).discarded
    assert (one.seed, one.score, one.round) == (6, 0.3, 1)
    assert one.mean == pytest.approx(statistics.mean(scores.values()))
    assert one.deviation == pytest.approx(statistics.pstdev(scores.values()))


def test_rounds_are_bounded():
    # Each fresh run is as bad as the one that it replaces.
    scores = dict.fromkeys(range(1, 10), 0.6)
    scores |= dict.fromkeys(range(10, 30), 0.1)
    found = select(scores, runs=10)
    assert [one.seed for one in found.discarded] == [10, 11, 12]
    assert [one.round for one in found.discarded] == [1, 2, 3]
    # What the last round brought stays, good or bad.
    assert found.seeds == (*range(1, 10), 13)


def test_without_rounds_every_run_counts():
    scores = dict.fromkeys(range(1, 10), 0.6) | {10: 0.1}
    found = select(scores, runs=10, rounds=0)
    assert found.seeds == tuple(range(1, 11)) and not found.discarded


@given(st.lists(UA, min_size=40, max_size=40), st.integers(1, 12))
@settings(deadline=None)
def test_what_is_selected(scores, runs):
    found = select(by_seed(scores), runs)
    out = [one.seed for one in found.discarded]
    assert len(found.seeds) == runs
    assert len(set(found.seeds) | set(out)) == runs + len(out)
    # Seeds are used without gaps, and the same scores choose the same.
    assert sorted({*found.seeds, *out}) == list(range(1, runs + len(out) + 1))
    assert found == select(dict(reversed(by_seed(scores).items())), runs)
