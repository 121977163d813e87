"""One k-means: exact labels, Lloyd's law, where it starts."""

import numpy as np
import pytest
import torch
from hypothesis import (
    given,
    settings,
    strategies as st,
)
from sklearn.cluster import KMeans

from ser_brain.clustering.kmeans import distinct_frames, lloyd, nearest_centres
from ser_brain.errors import InputError


def like_emotion_states(n, dim, seed=0):
    """Frames after a ReLU: half of them zeros, far from the origin."""
    generator = torch.Generator().manual_seed(seed)
    groups = 3 * torch.randn(7, dim, generator=generator)
    which = torch.randint(7, (n,), generator=generator)
    return (groups[which] + torch.randn(n, dim, generator=generator)).relu()


def brute_force(frames, centres):
    """Nearest centres from the definition, in float64."""
    differences = frames.double()[:, None] - centres.double()
    return differences.square().sum(dim=-1).argmin(dim=-1)


def test_labels_are_the_nearest_centres():
    frames = like_emotion_states(500, 24)
    centres = distinct_frames(frames, 40, seed=1)
    labels = nearest_centres(frames, centres, chunk=64)
    assert labels.dtype == torch.int64
    assert torch.equal(labels, brute_force(frames, centres))


def test_labels_are_exact_where_float32_is_not():
    generator = torch.Generator().manual_seed(0)
    base = torch.randn(1, 256, generator=generator) * 100
    centres = base + 1e-2 * torch.randn(30, 256, generator=generator)
    centres[7] = -base
    frames = base + 1e-2 * torch.randn(200, 256, generator=generator)
    expected = brute_force(frames, centres)
    shortcut = torch.cdist(
        frames, centres, compute_mode="use_mm_for_euclid_dist"
    )
    assert not torch.equal(shortcut.argmin(dim=-1), expected)
    assert torch.equal(nearest_centres(frames, centres), expected)


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
    assert nearest_centres(frames, centres).tolist() == expected.tolist()


def test_labels_do_not_depend_on_mixed_precision_or_matmul_precision():
    frames = like_emotion_states(300, 24)
    centres = distinct_frames(frames, 40, seed=1)
    expected = nearest_centres(frames, centres)
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        with torch.autocast("cpu", torch.bfloat16):
            actual = nearest_centres(frames, centres)
    finally:
        torch.set_float32_matmul_precision(before)
    assert torch.equal(actual, expected)


def test_labels_agree_with_scikit_learn():
    frames = like_emotion_states(2000, 32)
    kmeans = KMeans(16, init="random", n_init=1, random_state=0)
    expected = kmeans.fit(frames.numpy()).predict(frames.numpy())
    centres = torch.from_numpy(kmeans.cluster_centers_)
    assert nearest_centres(frames, centres).tolist() == expected.tolist()


def test_lloyd_agrees_with_scikit_learn_from_the_same_start():
    frames = like_emotion_states(1500, 16)
    start = distinct_frames(frames, 20, seed=3)
    ours = lloyd(frames, start, iterations=20, chunk=100)
    theirs = KMeans(20, init=start.numpy(), n_init=1, max_iter=20, tol=0)
    theirs.fit(frames.numpy())
    np.testing.assert_allclose(
        ours, theirs.cluster_centers_, rtol=1e-4, atol=1e-4
    )


def test_lloyd_does_as_many_iterations_as_asked():
    frames = like_emotion_states(400, 8)
    centres = distinct_frames(frames, 10, seed=0)
    labels = brute_force(frames, centres)
    means = [frames[labels == i].mean(dim=0) for i in range(10)]
    once = lloyd(frames, centres, iterations=1)
    torch.testing.assert_close(once, torch.stack(means))


def test_lloyd_stops_where_no_centre_moves():
    frames = like_emotion_states(200, 4)
    start = distinct_frames(frames, 5, seed=0)
    done = lloyd(frames, start, iterations=1000)
    assert torch.equal(lloyd(frames, done, iterations=1), done)


def test_an_empty_cluster_starts_again_at_the_farthest_frame():
    frames = torch.tensor([[0.0], [1.0], [2.0], [50.0]])
    start = torch.tensor([[1.0], [1.0]])
    centres = lloyd(frames, start, iterations=1)
    assert centres.flatten().tolist() == [13.25, 50.0]
    centres = lloyd(frames, start, iterations=20)
    assert centres.flatten().tolist() == [1.0, 50.0]


@settings(deadline=None, max_examples=40)
@given(
    rows=st.lists(st.integers(-2, 2), min_size=1, max_size=12),
    seed=st.integers(0, 99),
)
def test_the_start_is_distinct_and_the_largest_k_is_named(rows, seed):
    frames = torch.tensor(rows).float().unsqueeze(-1)
    frames = torch.where(frames == 0, -frames, frames)
    largest = len(set(rows))
    start = distinct_frames(frames, largest, seed)
    assert sorted(start.flatten().tolist()) == sorted(set(rows))
    with pytest.raises(InputError, match=f"largest possible k is {largest},"):
        distinct_frames(frames, largest + 1, seed)


def test_fewer_first_frames_are_the_first_of_more():
    frames = like_emotion_states(100, 4)
    more = distinct_frames(frames, 30, seed=5)
    assert torch.equal(more[:10], distinct_frames(frames, 10, seed=5))
    assert not torch.equal(more, distinct_frames(frames, 30, seed=6))
