"""The scores against scikit-learn's, and their edges."""

import numpy as np
import pytest
from hypothesis import (
    given,
    settings,
    strategies as st,
)
from sklearn import metrics as golden

from ser_brain.evaluation import metrics

LABELS = ["angry", "happy", "neutral", "sad"]
pairs = st.lists(
    st.tuples(st.sampled_from(LABELS), st.sampled_from(LABELS)), min_size=1
).map(lambda clips: tuple(zip(*clips)))


@settings(deadline=None)
@pytest.mark.filterwarnings("ignore:y_pred contains classes")
@pytest.mark.filterwarnings("ignore:A single label was found")
@given(pairs)
def test_scores_equal_scikit_learns(pair):
    """Any labels: the four scores are scikit-learn's."""
    truth, prediction = pair
    found = metrics.scores(truth, prediction, LABELS)
    assert found["UA"] == pytest.approx(
        golden.balanced_accuracy_score(truth, prediction)
    )
    assert found["WA"] == pytest.approx(
        golden.accuracy_score(truth, prediction)
    )
    assert found["macro_f1"] == pytest.approx(
        golden.f1_score(truth, prediction, average="macro", zero_division=0)
    )
    np.testing.assert_array_equal(
        metrics.confusion(truth, prediction, LABELS),
        golden.confusion_matrix(truth, prediction, labels=LABELS),
    )
    assert found["n"] == len(truth)


@settings(deadline=None)
@given(pairs)
def test_recall_is_the_diagonal_over_the_row(pair):
    """Recall of present classes is scikit-learn's; of absent ones None."""
    truth, prediction = pair
    recall = metrics.recall_by_class(truth, prediction, LABELS)
    assert list(recall) == LABELS
    assert {k for k, v in recall.items() if v is not None} == set(truth)
    present = sorted(set(truth))
    expected = golden.recall_score(
        truth, prediction, labels=present, average=None
    )
    assert [recall[k] for k in present] == pytest.approx(list(expected))


def test_released_codes_f1_is_another_number():
    """Macro F1 is not the harmonic mean of macro precision and recall."""
    truth, prediction = [0, 0, 0, 1], [0, 0, 1, 1]
    precision, recall = (1 + 0.5) / 2, (2 / 3 + 1) / 2
    harmonic = 2 * precision * recall / (precision + recall)
    assert abs(metrics.macro_f1(truth, prediction) - harmonic) > 0.01


def test_class_without_test_clips_does_not_lower_ua():
    """UA is a mean over the classes that the test part holds."""
    truth = prediction = ["sad", "happy"]
    assert metrics.unweighted_accuracy(truth, prediction, LABELS) == 1.0


@pytest.mark.parametrize(
    "truth, prediction, labels, sentence",
    [
        ([], [], None, "no clips"),
        (["sad"], [], None, "one prediction for every clip"),
        (["sad"], ["calm"], LABELS, "'calm' is not one of"),
        (["sad"], ["sad"], ["sad", "sad"], "twice"),
    ],
)
def test_bad_input(truth, prediction, labels, sentence):
    """Every score refuses what it cannot score."""
    for score in (
        metrics.confusion,
        metrics.unweighted_accuracy,
        metrics.weighted_accuracy,
        metrics.macro_f1,
        metrics.recall_by_class,
    ):
        with pytest.raises(ValueError, match=sentence):
            score(truth, prediction, labels)
