"""Paired tests of two procedures, against scipy and by hand."""

from math import comb

import numpy as np
import pytest
from hypothesis import (
    given,
    settings,
    strategies as st,
)
from scipy.stats import permutation_test

from ser_brain.evaluation.comparison import (
    accuracy_contributions,
    holm,
    mcnemar,
    randomisation_test,
)
from ser_brain.evaluation.metrics import unweighted_accuracy


def draw(seed, clips=40, runs=3, folds=2):
    """Truth, fold and the answers of two procedures, (runs, clips) each."""
    generator = np.random.default_rng(seed)
    truth = generator.integers(0, 3, clips)
    fold = generator.integers(0, folds, clips)
    answers = generator.integers(0, 3, (2, runs, clips))
    answers[0] = np.where(
        generator.random((runs, clips)) < 0.4, truth, answers[0]
    )
    return truth, fold, answers


def mean_accuracy(truth, fold, answers):
    """The protocol's mean, fold by fold and run by run."""
    return np.mean(
        [
            np.mean(
                [
                    unweighted_accuracy(truth[fold == f], said[fold == f])
                    for said in answers
                ]
            )
            for f in np.unique(fold)
        ]
    )


def contributions_of(truth, fold, answers):
    shares = (answers == truth).mean(axis=1)
    return accuracy_contributions(truth, fold, *shares)


@given(st.integers(0, 10**6), st.integers(2, 40), st.integers(1, 4))
@settings(deadline=None, max_examples=40)
def test_contributions_add_up_to_the_difference(seed, clips, runs):
    truth, fold, answers = draw(seed, clips, runs)
    first, second = (mean_accuracy(truth, fold, a) for a in answers)
    found = contributions_of(truth, fold, answers).sum()
    assert found == pytest.approx(first - second)


@pytest.mark.parametrize("seed", range(3))
def test_few_clips_give_scipy_s_exact_p(seed):
    """scipy changes the answers of each clip and scores them anew."""
    truth, fold, answers = draw(seed, clips=8, runs=2, folds=1)

    def statistic(first, second):
        first, second = first.astype(int), second.astype(int)
        return mean_accuracy(truth, fold, pairs[first]) - mean_accuracy(
            truth, fold, pairs[second]
        )

    # A clip's answers in both runs, as one number that changes place whole.
    pairs = _Codes()
    coded = [3 * a[0] + a[1] for a in answers]
    expected = permutation_test(
        coded,
        statistic,
        permutation_type="samples",
        vectorized=False,
        n_resamples=np.inf,
    ).pvalue
    found = randomisation_test(contributions_of(truth, fold, answers))
    assert found == pytest.approx(expected)


class _Codes:
    """From coded pairs of answers back to (runs, clips)."""

    def __getitem__(self, coded):
        return np.stack([coded // 3, coded % 3])


def test_many_clips_come_close_to_scipy():
    """Drawn on both sides: equal within what 20 000 draws leave open."""
    contributions = np.random.default_rng(0).normal(0.2, 1, 60)
    expected = permutation_test(
        (contributions, np.zeros(60)),
        lambda a, b, axis: (a - b).sum(axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=20000,
        rng=np.random.default_rng(1),
    ).pvalue
    assert 0.01 < expected < 0.5
    found = randomisation_test(contributions, 20000)
    assert found == pytest.approx(expected, abs=0.012)


@given(st.lists(st.floats(-1, 1), max_size=30), st.integers(0, 9))
@settings(deadline=None, max_examples=40)
def test_a_p_value_does_not_know_who_is_first(values, seed):
    one = randomisation_test(np.array(values), 500, seed)
    other = randomisation_test(-np.array(values), 500, seed)
    assert one == other
    assert 0 < one <= 1


def test_no_difference_is_no_evidence():
    assert randomisation_test(np.zeros(50)) == 1.0
    same = np.array([True, False, True])
    assert mcnemar(same, same) == (0, 0, 1.0)


def test_mcnemar_by_hand():
    """Nine against one: both tails of ten fair coins."""
    first = np.array([True] * 9 + [False] + [True] * 50)
    second = np.array([False] * 9 + [True] + [True] * 50)
    only_first, only_second, p = mcnemar(first, second)
    assert (only_first, only_second) == (9, 1)
    assert p == pytest.approx(2 * (comb(10, 0) + comb(10, 1)) / 2**10)


def test_holm_by_hand():
    """Holm's own steps: times 4, 3, 2, 1, never falling."""
    assert holm([0.01, 0.02, 0.022, 0.04]) == pytest.approx(
        [0.04, 0.06, 0.06, 0.06]
    )
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_lies_between_nothing_and_bonferroni(values):
    corrected = np.array(holm(values))
    values = np.array(values)
    assert (corrected >= values).all()
    assert (corrected <= np.minimum(1, len(values) * values)).all()
    order = np.argsort(values, kind="stable")
    assert (np.diff(corrected[order]) >= 0).all()
