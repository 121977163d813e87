"""Calibration: against a second computation, and at its limits."""

import numpy as np
import pytest
from hypothesis import (
    given,
    settings,
    strategies as st,
)
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss

from ser_brain.evaluation.calibration import (
    brier_score,
    expected_calibration_error,
)


def drawn(seed, clips=200, classes=4):
    """Posteriors and labels that agree more often than not."""
    generator = np.random.default_rng(seed)
    posteriors = generator.dirichlet(np.ones(classes), clips)
    wild = generator.integers(classes, size=clips)
    truth = np.where(generator.random(clips) < 0.5, posteriors.argmax(1), wild)
    return posteriors, truth


def by_loop(posteriors, truth, bins):
    """ECE as its definition reads, a bin at a time."""
    confidence, answers = posteriors.max(1), posteriors.argmax(1)
    total = 0.0
    for low in range(bins):
        inside = (confidence > low / bins) & (confidence <= (low + 1) / bins)
        if inside.any():
            accuracy = (answers == truth)[inside].mean()
            gap = abs(accuracy - confidence[inside].mean())
            total += inside.mean() * gap
    return total


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10**6), bins=st.integers(1, 20))
def test_ece_is_its_definition(seed, bins):
    posteriors, truth = drawn(seed)
    found = expected_calibration_error(posteriors, truth, bins)
    assert found == pytest.approx(by_loop(posteriors, truth, bins), abs=1e-12)


def test_ece_agrees_with_scikit_learns_reliability_curve():
    posteriors, truth = drawn(3, clips=500)
    right = posteriors.argmax(1) == truth
    confidence = posteriors.max(1)
    accuracy, mean = calibration_curve(right, confidence, n_bins=10)
    counts = np.histogram(confidence, np.linspace(0, 1, 11))[0]
    gaps = np.abs(accuracy - mean) * counts[counts > 0] / len(truth)
    found = expected_calibration_error(posteriors, truth, 10)
    assert found == pytest.approx(gaps.sum(), abs=1e-12)


def test_brier_score_of_two_classes_is_twice_scikit_learns():
    posteriors, truth = drawn(1, classes=2)
    expected = 2 * brier_score_loss(truth, posteriors[:, 1])
    assert brier_score(posteriors, truth) == pytest.approx(expected)


def test_certain_and_right_is_perfect():
    truth = np.array([0, 2, 1])
    posteriors = np.eye(3)[truth]
    assert expected_calibration_error(posteriors, truth) == 0
    assert brier_score(posteriors, truth) == 0
    wrong = np.eye(3)[(truth + 1) % 3]
    assert expected_calibration_error(wrong, truth) == 1
    assert brier_score(wrong, truth) == 2


@pytest.mark.parametrize("score", [expected_calibration_error, brier_score])
def test_what_cannot_be_scored_is_refused(score):
    with pytest.raises(ValueError, match="no posteriors"):
        score(np.zeros((0, 3)), [])
    with pytest.raises(ValueError, match="one label for every clip"):
        score(np.eye(3), [0])
