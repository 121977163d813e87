"""Concordance and its loss: against the published formula and each other."""

import numpy as np
import pytest
import torch
from hypothesis import (
    given,
    settings,
    strategies as st,
)
from sklearn.metrics import mean_squared_error

from ser_brain.evaluation.ratings import (
    concordance,
    rating_scores,
    root_mean_square_error,
)
from ser_brain.nnet.losses import concordance_loss


def drawn(seed, shape=(50, 3)):
    """Ratings from 1 to 5, and predictions of them."""
    generator = np.random.default_rng(seed)
    truth = generator.uniform(1, 5, shape)
    return truth, truth * 0.6 + generator.normal(1, 0.7, shape)


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10**6))
def test_concordance_from_the_correlation(seed):
    """As audmetric computes it: rho times both deviations."""
    truth, prediction = (each[:, 0] for each in drawn(seed))
    rho = np.corrcoef(truth, prediction)[0, 1]
    above = 2 * rho * truth.std() * prediction.std()
    below = truth.var() + prediction.var()
    below += (truth.mean() - prediction.mean()) ** 2
    assert concordance(truth, prediction) == pytest.approx(above / below)


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10**6))
def test_concordance_from_the_distance(seed):
    """Lin (1989): one less the mean squared distance, scaled."""
    truth, prediction = (each[:, 0] for each in drawn(seed))
    below = truth.var() + prediction.var()
    below += (truth.mean() - prediction.mean()) ** 2
    expected = 1 - mean_squared_error(truth, prediction) / below
    assert concordance(truth, prediction) == pytest.approx(expected)


def test_limits():
    truth = np.array([1.0, 2.0, 4.0])
    assert concordance(truth, truth) == pytest.approx(1)
    assert concordance(truth, -truth + 2 * truth.mean()) == pytest.approx(-1)
    assert concordance(truth, np.full(3, 2.0)) == 0
    assert concordance([2, 2], [2, 2]) == 1
    assert concordance([2, 2], [3, 3]) == 0


def test_scores_of_several_targets():
    truth, prediction = drawn(0)
    names = ["valence", "arousal", "dominance"]
    found = rating_scores(truth, prediction, names)
    for number, name in enumerate(names):
        one, other = truth[:, number], prediction[:, number]
        assert found["CCC"][name] == pytest.approx(concordance(one, other))
        rmse = mean_squared_error(one, other) ** 0.5
        assert found["RMSE"][name] == pytest.approx(rmse)
    mean = np.mean(list(found["CCC"].values()))
    assert found["mean_CCC"] == pytest.approx(mean)
    assert found["n"] == 50


def test_the_loss_is_one_less_the_score():
    truth, prediction = drawn(1)
    loss = concordance_loss(torch.tensor(prediction), torch.tensor(truth))
    expected = 1 - concordance(truth, prediction)
    np.testing.assert_allclose(loss.numpy(), expected, rtol=1e-6)


def test_the_loss_has_a_gradient_where_predictions_are_equal():
    outputs = torch.zeros(4, 1, requires_grad=True)
    targets = torch.tensor([[1.0], [2.0], [3.0], [5.0]])
    concordance_loss(outputs, targets).sum().backward()
    assert outputs.grad.isfinite().all()
    assert outputs.grad.abs().sum() > 0


def test_what_cannot_be_scored_is_refused():
    with pytest.raises(ValueError, match="one prediction for every rating"):
        concordance([1, 2], [1])
    with pytest.raises(ValueError, match="no ratings"):
        root_mean_square_error([], [])
