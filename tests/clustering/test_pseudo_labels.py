"""Pseudo-label files: what goes in comes out, and nothing else does."""

import numpy as np
import pytest
import torch
from hypothesis import (
    given,
    settings,
    strategies as st,
)
from safetensors.numpy import save_file

from ser_brain.clustering import PseudoLabels
from ser_brain.errors import InputError

N_CLUSTERS = (4, 16)


def make(lengths, key="key"):
    generator = np.random.default_rng(0)
    labels = {
        f"utterance/{i} é": generator.integers(N_CLUSTERS, size=(length, 2))
        for i, length in enumerate(lengths)
    }
    return PseudoLabels(N_CLUSTERS, 50.0, key, labels)


@settings(deadline=None, max_examples=25)
@given(lengths=st.lists(st.integers(0, 7), max_size=5))
def test_a_file_comes_back_whole(lengths, tmp_path_factory):
    path = tmp_path_factory.mktemp("labels") / "labels.safetensors"
    saved = make(lengths)
    saved.save(path)
    loaded = PseudoLabels.load(path, model_key="key", n_clusters=[4, 16])
    assert list(loaded.labels) == list(saved.labels)
    assert loaded.n_clusters == N_CLUSTERS
    assert (loaded.frame_rate, loaded.model_key) == (50.0, "key")
    for name, array in saved.labels.items():
        assert np.array_equal(loaded.labels[name], array)


@settings(deadline=None, max_examples=40)
@given(
    length=st.integers(0, 9),
    start=st.integers(0, 12),
    count=st.integers(0, 12),
)
def test_a_crop_is_a_slice_padded_at_its_end(length, start, count):
    pseudo = make([length])
    (name,) = pseudo.labels
    crop = pseudo.frames(name, start, count)
    assert crop.dtype == torch.int64 and crop.shape == (count, 2)
    inside = max(0, min(length - start, count))
    expected = pseudo.labels[name][start : start + count]
    assert crop[:inside].tolist() == expected.tolist()
    assert (crop[inside:] == -100).all()


def test_a_crop_of_nothing_known_is_refused():
    pseudo = make([3])
    with pytest.raises(InputError, match="no pseudo-labels for other"):
        pseudo.frames("other", 0, 1)
    with pytest.raises(ValueError, match="at least 0"):
        pseudo.frames("utterance/0 é", -1, 2)


@pytest.mark.parametrize(
    "wanted, sentence",
    [
        ({"model_key": "new"}, "model key key, but new is needed"),
        ({"n_clusters": (4, 8)}, r"k \(4, 16\), but \(4, 8\) is needed"),
    ],
)
def test_labels_of_another_model_are_refused(tmp_path, wanted, sentence):
    path = tmp_path / "labels.safetensors"
    make([3]).save(path)
    with pytest.raises(InputError, match=sentence):
        PseudoLabels.load(path, **wanted)


METADATA = {
    "format": "ser_brain-pseudo-labels-1",
    "n_clusters": "[4, 16]",
    "frame_rate": "50.0",
    "model_key": "key",
    "ids": '["a", "b"]',
}
TENSORS = {
    "labels": np.zeros((5, 2), np.int32),
    "offsets": np.array([0, 2, 5]),
}


@pytest.mark.parametrize(
    "metadata, tensors",
    [
        ({"format": "other"}, {}),
        ({"ids": '["a"]'}, {}),
        ({"ids": "["}, {}),
        ({"n_clusters": "[4]"}, {}),
        ({}, {"labels": np.full((5, 2), 4, np.int32)}),
        ({}, {"labels": np.zeros((5, 2), np.float32)}),
        ({}, {"offsets": np.array([0, 6, 5])}),
        ({}, {"offsets": np.array([0, 2, 4])}),
        ({}, {"offsets": np.array([1, 2, 5])}),
    ],
)
def test_a_file_that_contradicts_itself_is_refused(tmp_path, metadata, tensors):
    path = tmp_path / "labels.safetensors"
    save_file(TENSORS, path, METADATA)
    assert len(PseudoLabels.load(path).labels) == 2
    save_file({**TENSORS, **tensors}, path, {**METADATA, **metadata})
    with pytest.raises(InputError, match="not a whole pseudo-label file"):
        PseudoLabels.load(path)


def test_a_file_of_another_kind_is_refused(tmp_path):
    path = tmp_path / "labels.safetensors"
    with pytest.raises(InputError, match="there is no pseudo-label file"):
        PseudoLabels.load(path)
    make([3]).save(path)
    whole = path.read_bytes()
    for content in (b"", b"junk", whole[:40], whole[:-1]):
        path.write_bytes(content)
        with pytest.raises(InputError, match="not a whole pseudo-label"):
            PseudoLabels.load(path)
    save_file({"weight": np.zeros(3)}, path)
    with pytest.raises(InputError, match="its format is not"):
        PseudoLabels.load(path)


@pytest.mark.parametrize(
    "array, sentence",
    [
        (np.zeros((3, 2)), "must be integers"),
        (np.zeros((3, 1), int), "must be integers of shape"),
        (np.array([[0, 16]]), "outside n_clusters"),
        (np.array([[-1, 0]]), "outside n_clusters"),
    ],
)
def test_labels_that_cannot_be_are_refused(array, sentence):
    with pytest.raises(ValueError, match=sentence):
        PseudoLabels(N_CLUSTERS, 50.0, "key", {"a": array})
