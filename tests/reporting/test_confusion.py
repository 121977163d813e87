"""The confusion matrix as a picture."""

import numpy as np
import pytest
from matplotlib.image import imread

from ser_brain.reporting.confusion import save_confusion


def test_darker_where_more_clips_fall(tmp_path):
    """Row-normalised: a perfect class of 2 clips is as dark as one of 90."""
    file = tmp_path / "confusion.png"
    save_confusion(file, [[90, 0], [0, 2]], ["angry", "sad"], "Fold 3")
    red = imread(file)[..., 0]
    assert red.shape[1] == 700
    dark = red < 0.2
    rows, columns = np.nonzero(dark)
    middle = np.median(columns)
    left = dark[:, : int(middle)].sum()
    right = dark[:, int(middle) :].sum()
    assert left == pytest.approx(right, rel=0.1)
    assert [path.name for path in tmp_path.iterdir()] == ["confusion.png"]


def test_class_without_clips(tmp_path):
    """An empty row is drawn as zeros, without a warning."""
    with np.errstate(all="raise"):
        save_confusion(tmp_path / "c.png", [[3, 0], [0, 0]], ["a", "b"])


def test_labels_must_fit(tmp_path):
    """Three names do not fit a 2 x 2 matrix."""
    with pytest.raises(ValueError, match="3 labels"):
        save_confusion(tmp_path / "c.png", np.eye(2, dtype=int), "abc")
    assert not list(tmp_path.iterdir())
