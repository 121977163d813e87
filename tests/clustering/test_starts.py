"""First centres: distinct, repeatable, spread."""

import numpy as np
import pytest
import torch
from hypothesis import (
    given,
    settings,
    strategies as st,
)

from ser_brain.clustering.starts import distinct_frames, spread_frames
from ser_brain.errors import InputError


@pytest.mark.parametrize("choose", [distinct_frames, spread_frames])
@settings(deadline=None, max_examples=40)
@given(
    rows=st.lists(st.integers(-2, 2), min_size=1, max_size=12),
    seed=st.integers(0, 99),
)
def test_the_start_is_distinct_and_the_largest_k_is_named(choose, rows, seed):
    frames = torch.tensor(rows).float().unsqueeze(-1)
    frames = torch.where(frames == 0, -frames, frames)
    largest = len(set(rows))
    start = choose(frames, largest, seed)
    assert sorted(start.flatten().tolist()) == sorted(set(rows))
    with pytest.raises(InputError, match=f"largest possible k is {largest},"):
        choose(frames, largest + 1, seed)


def test_fewer_first_frames_are_the_first_of_more():
    frames = torch.randn(100, 4, generator=torch.Generator().manual_seed(0))
    more = distinct_frames(frames, 30, seed=5)
    assert torch.equal(more[:10], distinct_frames(frames, 10, seed=5))
    assert not torch.equal(more, distinct_frames(frames, 30, seed=6))


def test_numpy_and_torch_frames_give_the_same_start():
    frames = np.random.default_rng(0).normal(size=(40, 3)).astype("f4")
    for choose in (distinct_frames, spread_frames):
        one, other = choose(frames, 5, 1), choose(torch.tensor(frames), 5, 1)
        assert torch.equal(one, other)
        assert one.dtype == torch.float32


def test_spread_frames_find_every_far_group():
    generator = torch.Generator().manual_seed(0)
    groups = 1000.0 * torch.arange(6)
    frames = groups.repeat(50)[:, None]
    frames = frames + torch.randn(300, 1, generator=generator)
    for seed in range(5):
        start = spread_frames(frames, 6, seed).flatten()
        assert (start / 1000).round().unique().numel() == 6
