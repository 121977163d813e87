"""Lloyd's law, however the frames are stored, read and labelled."""

import numpy as np
import pytest
import torch
from hypothesis import (
    given,
    settings,
    strategies as st,
)
from sklearn.cluster import KMeans

from ser_brain.clustering import kmeans
from ser_brain.clustering.kmeans import blocks, check_numbers, lloyd
from ser_brain.clustering.nearest import NearestCentres
from ser_brain.clustering.starts import distinct_frames
from ser_brain.errors import InputError


def like_emotion_states(n, dim, seed=0):
    """Frames after a ReLU: half of them zeros, far from the origin."""
    generator = torch.Generator().manual_seed(seed)
    groups = 3 * torch.randn(7, dim, generator=generator)
    which = torch.randint(7, (n,), generator=generator)
    return (groups[which] + torch.randn(n, dim, generator=generator)).relu()


def starts_of(frames, *sizes, seed=0):
    return [distinct_frames(frames, k, seed) for k in sizes]


def plain_step(frames, centres):
    """One iteration from the definition, in float64."""
    distances = torch.cdist(frames.double(), centres.double())
    labels = distances.argmin(dim=-1)
    parts = [frames[labels == i].double() for i in range(len(centres))]
    return torch.stack([part.mean(dim=0) for part in parts]).float()


def test_it_agrees_with_scikit_learn_from_the_same_start():
    frames = like_emotion_states(1500, 16)
    starts = starts_of(frames, 5, 20, seed=3)
    found = lloyd(frames, starts, iterations=20)
    for start, ours in zip(starts, found, strict=True):
        theirs = KMeans(
            len(start), init=start.numpy(), n_init=1, max_iter=20, tol=0
        ).fit(frames.numpy())
        np.testing.assert_allclose(
            ours, theirs.cluster_centers_, rtol=1e-4, atol=1e-4
        )


def test_every_iteration_is_one_of_the_definition():
    frames = like_emotion_states(800, 8)
    starts = starts_of(frames, 4, 40)
    steps = [starts]
    lloyd(frames, starts, 8, after=lambda done, found: steps.append(found))
    assert len(steps) == 9
    for before, after in zip(steps, steps[1:], strict=False):
        for one, other in zip(before, after, strict=True):
            torch.testing.assert_close(
                other, plain_step(frames, one), rtol=1e-5, atol=1e-5
            )


def test_frames_that_keep_their_label_are_not_searched_again(monkeypatch):
    frames = like_emotion_states(2000, 16)
    searched = []
    search = NearestCentres.__call__

    def count(self, frames, *more):
        searched[-1] += len(frames)
        return search(self, frames, *more)

    monkeypatch.setattr(NearestCentres, "__call__", count)
    searched.append(0)
    lloyd(frames, starts_of(frames, 7), 9, after=lambda *_: searched.append(0))
    assert searched[0] == 2000
    assert searched[7] < 1000


@settings(deadline=None, max_examples=8)
@given(
    size=st.integers(7, 130),
    chunk=st.integers(5, 130),
    seed=st.integers(0, 99),
)
def test_blocks_and_chunks_of_any_size_give_the_same_centres(size, chunk, seed):
    frames = like_emotion_states(120, 6, seed)
    starts = starts_of(frames, 3, 11, seed=seed)
    expected = lloyd(frames, starts, 5)
    before = kmeans.CHUNK["cpu"]
    kmeans.CHUNK["cpu"] = chunk
    try:
        found = lloyd(frames, starts, 5, size=size)
    finally:
        kmeans.CHUNK["cpu"] = before
    for one, other in zip(found, expected, strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("kind", ["float32", "float16"])
def test_a_file_is_read_once_an_iteration_block_by_block(tmp_path, kind):
    frames = like_emotion_states(1000, 8).numpy().astype(kind)
    path = tmp_path / "frames.npy"
    np.save(path, frames)
    stored = np.load(path, mmap_mode="r")
    reads = []

    class Watched(np.memmap):
        def __getitem__(self, index):
            if isinstance(index, slice):
                reads.append((index.start, index.stop))
            return np.memmap.__getitem__(self, index)

    starts = starts_of(frames, 4, 30)
    found = lloyd(stored.view(Watched), starts, 3, size=300)
    once = [(0, 300), (300, 600), (600, 900), (900, 1200)]
    assert reads[: len(once) * 3] == once * 3
    for one, other in zip(found, lloyd(frames, starts, 3), strict=True):
        assert torch.equal(one, other)


def test_blocks_hold_no_more_than_asked():
    sizes = [len(b) for b in blocks(np.zeros((10, 3)), size=4)]
    assert sizes == [4, 4, 2]


def test_it_goes_on_from_any_iteration():
    frames = like_emotion_states(500, 8)
    kept = {}
    starts = starts_of(frames, 6, 60)
    whole = lloyd(frames, starts, 9, after=kept.__setitem__)
    for done in (1, 4, 9):
        found = lloyd(frames, kept[done], 9, first=done)
        assert all(map(torch.equal, found, whole))


def test_it_does_as_many_iterations_as_asked():
    frames = like_emotion_states(400, 8)
    (start,) = starts_of(frames, 10)
    (once,) = lloyd(frames, [start], 1)
    torch.testing.assert_close(once, plain_step(frames, start))


def test_it_stops_where_no_centre_moves():
    frames = like_emotion_states(200, 4)
    steps = []
    done = lloyd(
        frames, starts_of(frames, 5), 1000, after=lambda i, _: steps.append(i)
    )
    assert steps == list(range(1, len(steps) + 1)) and len(steps) < 1000
    assert torch.equal(lloyd(frames, done, 1)[0], done[0])


def test_an_empty_cluster_starts_again_at_the_farthest_frame():
    frames = torch.tensor([[0.0], [1.0], [2.0], [50.0]])
    start = torch.tensor([[1.0], [1.0]])
    for size in (1, 3, 4):
        (centres,) = lloyd(frames, [start], 1, size=size)
        assert centres.flatten().tolist() == [13.25, 50.0]
    (centres,) = lloyd(frames, [start], 20)
    assert centres.flatten().tolist() == [1.0, 50.0]


def test_many_empty_clusters_still_lead_to_the_definition():
    frames = like_emotion_states(300, 5)
    start = frames[:1].repeat(40, 1)
    steps = [[start]]
    lloyd(frames, [start], 6, after=lambda i, found: steps.append(found))
    labels = torch.cdist(frames.double(), steps[-2][0].double()).argmin(-1)
    full = labels.bincount(minlength=40) > 0
    expected = plain_step(frames, steps[-2][0])[full]
    torch.testing.assert_close(steps[-1][0][full], expected)
    assert full.sum() > 20


def test_threads_of_torch_are_as_before():
    threads = torch.get_num_threads()
    frames = like_emotion_states(50, 4)
    lloyd(frames, starts_of(frames, 3), 2)
    assert torch.get_num_threads() == threads


def test_frames_that_are_no_numbers_are_counted():
    frames = like_emotion_states(50, 4).numpy()
    check_numbers(frames)
    for size in (1e-30, 1e30):
        with pytest.raises(InputError, match="largest number in the frames"):
            check_numbers(frames * np.float32(size))
    frames[7, 1], frames[9, 0] = np.nan, np.inf
    with pytest.raises(InputError, match="2 of 50 frames hold NaN"):
        check_numbers(frames)
