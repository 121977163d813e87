"""Nearest centres: the labels of a float64 search, and sound bounds."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from hypothesis import (
    given,
    settings,
    strategies as st,
)
from sklearn.cluster import KMeans

from ser_brain.clustering import nearest
from ser_brain.clustering.nearest import NearestCentres, Search, distances
from ser_brain.clustering.pictures import Basis, Bounds
from ser_brain.clustering.starts import distinct_frames


def like_emotion_states(n, dim, seed=0):
    """Frames after a ReLU: half of them zeros, far from the origin."""
    generator = torch.Generator().manual_seed(seed)
    groups = 3 * torch.randn(7, dim, generator=generator)
    which = torch.randint(7, (n,), generator=generator)
    return (groups[which] + torch.randn(n, dim, generator=generator)).relu()


def nearest_centres(frames, centres):
    return NearestCentres(centres, Basis(centres))(frames)


def true_distances(frames, centres):
    """From the definition, in float64."""
    differences = frames.double()[:, None] - centres.double()
    return differences.square().sum(dim=-1).sqrt()


def check(frames, centres):
    """Labels are right and `others` is no more than the truth."""
    labels, others = nearest_centres(frames, centres)
    truth = true_distances(frames, centres)
    assert labels.dtype == torch.int64
    assert torch.equal(labels, truth.argmin(dim=-1))
    if len(centres) > 1:
        second = truth.topk(2, largest=False).values[:, 1]
        assert (others.double() <= second * (1 + 1e-12)).all()
    return others


def test_labels_are_the_nearest_centres():
    frames = like_emotion_states(500, 24)
    others = check(frames, distinct_frames(frames, 40, seed=1))
    assert (others > 0).float().mean() > 0.9


@settings(deadline=None, max_examples=30)
@given(count=st.integers(1, 130), seed=st.integers(0, 99))
def test_a_search_among_some_centres_and_the_guess(count, seed):
    frames = like_emotion_states(80, 32, seed)
    centres = distinct_frames(frames, 70, seed=seed)
    draw = torch.Generator().manual_seed(seed)
    among = torch.randperm(70, generator=draw)[:count]
    guess = torch.randint(70, (80,), generator=draw)
    basis = Basis(centres)
    search = Search(centres, basis.picture(centres), among=among)
    labels, others, sure = search(
        frames,
        basis.picture(frames),
        (guess, distances(frames, centres[guess])),
    )
    allowed = torch.zeros(80, 70, dtype=torch.bool)
    allowed[:, among] = True
    allowed[torch.arange(80), guess] = True
    truth = true_distances(frames, centres)
    truth[~allowed] = torch.inf
    assert torch.equal(labels[sure], truth.argmin(dim=-1)[sure])
    truth[torch.arange(80), labels] = torch.inf
    assert (others[sure] <= truth.amin(dim=-1)[sure] * (1 + 1e-12)).all()
    assert sure.float().mean() > 0.5


def test_threads_do_not_share_their_bounds():
    frames = like_emotion_states(64, 32)
    basis = Basis(frames)
    bounds, picture = Bounds(basis.picture(frames)), basis.picture(frames)
    expected = bounds(picture[:32]).clone()
    with ThreadPoolExecutor(1) as pool:
        kept = bounds(picture[:32])
        pool.submit(bounds, picture[32:]).result()
        assert torch.equal(kept, expected)
        assert not torch.equal(bounds(picture[32:]), expected)


@pytest.mark.parametrize("rounds", [1, 2, 16])
def test_the_number_of_rounds_changes_no_label(monkeypatch, rounds):
    monkeypatch.setattr(nearest, "ROUNDS", rounds)
    frames = like_emotion_states(300, 32)
    check(frames, distinct_frames(frames, 100, seed=1))


@settings(deadline=None, max_examples=25)
@given(
    dim=st.integers(1, 40),
    k=st.integers(1, 130),
    rank=st.integers(1, 40),
    scale=st.sampled_from([1e-13, 1.0, 1e13]),
    shift=st.sampled_from([0.0, 1.0, 1e3]),
    seed=st.integers(0, 999),
)
def test_labels_are_exact_for_any_shape_of_data(
    dim, k, rank, scale, shift, seed
):
    generator = torch.Generator().manual_seed(seed)
    mix = torch.randn(rank, dim, generator=generator)
    points = torch.randn(k + 30, rank, generator=generator) @ mix
    points = scale * (points + shift)
    check(points[k:], points[:k])


def test_labels_are_exact_where_float32_is_not():
    generator = torch.Generator().manual_seed(0)
    base = torch.randn(1, 256, generator=generator) * 100
    centres = base + 1e-2 * torch.randn(30, 256, generator=generator)
    centres[7] = -base
    frames = base + 1e-2 * torch.randn(200, 256, generator=generator)
    shortcut = torch.cdist(
        frames, centres, compute_mode="use_mm_for_euclid_dist"
    )
    truth = true_distances(frames, centres)
    assert not torch.equal(shortcut.argmin(dim=-1), truth.argmin(dim=-1))
    check(frames, centres)


def test_frames_of_very_different_sizes():
    sizes = torch.logspace(-2, 2, 60).unsqueeze(-1)
    frames = sizes * like_emotion_states(60, 16)
    check(frames, frames[::3])


@settings(deadline=None, max_examples=40)
@given(
    dim=st.integers(1, 5),
    k=st.integers(1, 9),
    seed=st.integers(0, 999),
)
def test_ties_go_to_the_lowest_index(dim, k, seed):
    generator = torch.Generator().manual_seed(seed)
    frames = torch.randint(-2, 3, (20, dim), generator=generator).float()
    centres = torch.randint(-2, 3, (k, dim), generator=generator).float()
    # Whole numbers: numpy's distances and ties are exact, its argmin first.
    differences = frames.numpy()[:, None] - centres.numpy()
    expected = np.square(differences).sum(axis=-1).argmin(axis=-1)
    labels, _ = nearest_centres(frames, centres)
    assert labels.tolist() == expected.tolist()


@settings(deadline=None, max_examples=40)
@given(
    dim=st.integers(1, 70),
    shortening=st.integers(1, 80),
    dtype=st.sampled_from([torch.float32, torch.float64]),
    seed=st.integers(0, 999),
)
def test_bounds_are_below_the_distances(dim, shortening, dtype, seed):
    generator = torch.Generator().manual_seed(seed)
    centres = torch.randn(20, dim, generator=generator)
    # Some lie at the centres themselves, where rounding is all there is.
    noise = 1e-3 * torch.randn(30, dim, generator=generator)
    frames = torch.cat([centres, centres[:1] + noise])
    basis = Basis(centres, shortening)
    picture = basis.picture(frames)
    lower = Bounds(basis.picture(centres), dtype)(picture)[:, :20]
    squares = true_distances(frames, centres).square()
    assert (lower + picture.squares <= squares * (1 + 1e-12)).all()


def test_labels_do_not_depend_on_mixed_precision_or_matmul_precision():
    frames = like_emotion_states(300, 24)
    centres = distinct_frames(frames, 40, seed=1)
    expected, _ = nearest_centres(frames, centres)
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        with torch.autocast("cpu", torch.bfloat16):
            actual, _ = nearest_centres(frames, centres)
    finally:
        torch.set_float32_matmul_precision(before)
    assert torch.equal(actual, expected)


def test_labels_agree_with_scikit_learn():
    frames = like_emotion_states(2000, 32)
    kmeans = KMeans(16, init="random", n_init=1, random_state=0)
    expected = kmeans.fit(frames.numpy()).predict(frames.numpy())
    centres = torch.from_numpy(kmeans.cluster_centers_)
    labels, _ = nearest_centres(frames, centres)
    assert labels.tolist() == expected.tolist()
