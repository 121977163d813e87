"""The inner folds of a probe: who takes part, and what it computes."""

import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

TOOLS = Path(__file__).parents[2] / "tools"
sys.path.insert(0, str(TOOLS))
import inner_probe  # noqa: E402

SPEAKERS = np.repeat(["a", "b", "c"], 20)
LABELS = np.tile(["calm", "loud"], 30)


@pytest.fixture
def rows():
    """Two layers of three features, at each speed."""
    generator = np.random.default_rng(1)
    clear = (LABELS == "loud")[:, None, None] * 2.0
    speeds = sorted({speed for each in inner_probe.SPEEDS for speed in each})
    return {
        speed: clear + generator.normal(size=(60, 2, 3)) for speed in speeds
    }


def test_the_tested_speaker_takes_no_part(rows):
    flat = inner_probe.last_layers(rows, 1)
    settings = (LABELS, SPEAKERS, "b", (0.9, 1.0, 1.1), 0.1)
    wanted = inner_probe.inner_scores(flat, *settings)
    for each in flat.values():
        each[SPEAKERS == "b"] = np.nan
    assert inner_probe.inner_scores(flat, *settings) == wanted
    assert all(len(scores) == 2 for scores in wanted.values())
    assert min(map(min, wanted.values())) > 80


def test_the_last_layers_stand_side_by_side(rows):
    both = inner_probe.last_layers(rows, 2)[1.0]
    assert both.shape == (60, 6)
    assert np.array_equal(both[:, 3:], inner_probe.last_layers(rows, 1)[1.0])


def test_one_speed_is_scikit_learns_regression(rows):
    flat = inner_probe.last_layers(rows, 1)
    probe = inner_probe.Probe(flat, LABELS, (1.0,), 0.1)
    scaled = (flat[1.0] - flat[1.0].mean(0)) / flat[1.0].std(0)
    model = LogisticRegression(C=0.1, class_weight="balanced").fit(
        scaled, LABELS
    )
    assert np.array_equal(probe.answers(flat, (1.0,)), model.predict(scaled))


def test_a_clip_at_two_equal_speeds_counts_once(rows):
    flat = inner_probe.last_layers(rows, 1)
    flat[1.1] = flat[1.0]
    once = inner_probe.Probe(flat, LABELS, (1.0,), 0.1).model
    twice = inner_probe.Probe(flat, LABELS, (1.0, 1.1), 0.1).model
    assert np.allclose(once.coef_, twice.coef_, atol=1e-3)
