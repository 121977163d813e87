"""Soft pseudo-labels: against distances taken one by one, and their files."""

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist
from scipy.special import softmax

from ser_brain.clustering import KMeansEnsemble, PseudoLabels
from ser_brain.clustering.soft import soft_labels
from ser_brain.errors import InputError


@pytest.fixture(scope="module")
def frames():
    generator = np.random.default_rng(0)
    return generator.normal(size=(300, 6)).astype(np.float32)


@pytest.fixture(scope="module")
def ensemble(frames):
    return KMeansEnsemble(n_clusters=(4, 9), iterations=3).fit(frames)


@pytest.mark.parametrize("temperature", [0.1, 1.0, 5.0])
def test_shares_are_a_softmax_of_squared_distances(
    frames, ensemble, temperature
):
    labels, shares = soft_labels(ensemble, frames, 3, temperature)
    for number, centres in enumerate(ensemble.centres):
        squares = cdist(frames, centres.numpy(), "sqeuclidean")
        order = squares.argsort(1)[:, :3]
        columns = slice(3 * number, 3 * number + 3)
        np.testing.assert_array_equal(labels[:, columns], order)
        scale = temperature * squares.min(1).mean()
        nearest = np.take_along_axis(squares, order, 1)
        expected = softmax(-nearest / scale, axis=1)
        np.testing.assert_allclose(shares[:, columns], expected, atol=1e-3)


def test_the_first_cluster_is_the_hard_label(frames, ensemble):
    labels, shares = soft_labels(ensemble, frames, 2, 1e-6)
    np.testing.assert_array_equal(labels[:, ::2], ensemble.predict(frames))
    # Without temperature all belongs to it, but for frames on a border.
    assert (shares[:, 0] == 1).mean() > 0.99


def test_a_file_keeps_labels_and_shares(frames, ensemble, tmp_path):
    labels, shares = soft_labels(ensemble, frames, 2, 1.0)
    path = tmp_path / "labels.safetensors"
    parts = [np.split(array, [100]) for array in (labels, shares)]
    by_id = [dict(zip("ab", part)) for part in parts]
    saved = PseudoLabels((4, 9), 50.0, "key", by_id[0], 2, by_id[1])
    saved.save(path)
    loaded = PseudoLabels.load(path, "key", (4, 9))
    assert loaded.top == 2
    crop = loaded.frames("b", 150, 60), loaded.shares("b", 150, 60)
    np.testing.assert_array_equal(crop[0][:50], labels[250:])
    np.testing.assert_array_equal(crop[1][:50], shares[250:])
    assert (crop[0][50:] == -100).all() and (crop[1][50:] == 0).all()
    assert crop[1].dtype == torch.float32


def test_labels_with_several_clusters_need_shares():
    labels = {"a": np.zeros((2, 4), np.int32)}
    with pytest.raises(ValueError, match="weights if, and only if"):
        PseudoLabels((4, 9), 50.0, "key", labels, top=2)


def test_more_centres_than_there_are_is_refused(frames, ensemble):
    with pytest.raises(InputError, match="--soft_top is 5, but the smallest"):
        soft_labels(ensemble, frames, 5, 1.0)
