"""The sampler: which utterances an update sees."""

import random

import numpy as np
import pytest
import torch
from hypothesis import (
    given,
    settings,
    strategies as st,
)

from ser_brain.dataio.batches import (
    UpdateSampler,
    global_seed,
    mixed_seed,
    seeded,
)
from ser_brain.errors import InputError

DURATIONS = st.lists(st.floats(0.1, 10), min_size=8, max_size=40)
LAWS = st.one_of(
    st.builds(lambda size: {"batch_size": size}, st.integers(1, 8)),
    st.builds(lambda share: {"share": share}, st.floats(0.05, 0.9)),
)


def _sampler(durations, law, **more):
    """A sampler by size, or by a share of all the seconds there are."""
    if "share" in law:
        law = {"batch_seconds": law["share"] * sum(durations)}
    return UpdateSampler(durations, **law, **more)


def _epoch(sampler, epoch):
    sampler.set_epoch(epoch)
    return list(sampler)


@given(DURATIONS, LAWS, st.integers(1, 6), st.integers(0, 99))
@settings(deadline=None)
def test_a_pass_sees_every_utterance_once_at_most(
    durations, law, buckets, seed
):
    sampler = _sampler(durations, law, buckets=buckets, seed=seed)
    batches = _epoch(sampler, 2)
    assert len(batches) == len(sampler) > 0

    seen = [index for batch in batches for index in batch]
    assert len(seen) == len(set(seen))
    assert set(seen) <= set(range(len(durations)))
    if "batch_size" in law:
        assert all(len(batch) == law["batch_size"] for batch in batches)
        assert len(durations) - len(seen) < law["batch_size"]
        return
    budget = sampler.batch_seconds
    for batch in batches:
        seconds = [durations[index] for index in batch]
        assert sum(seconds[:-1]) < budget <= sum(seconds) + 1e-9
    left = set(range(len(durations))) - set(seen)
    assert sum(durations[index] for index in left) < budget


@given(DURATIONS, LAWS, st.integers(1, 6), st.integers(0, 99))
@settings(deadline=None)
def test_an_epoch_is_the_same_whatever_ran_before(
    durations, law, buckets, seed
):
    for plan in ({}, {"updates": 30, "updates_per_epoch": 4}):
        more = {"buckets": buckets, "seed": seed, **plan}
        used = _sampler(durations, law, **more)
        for epoch in (5, 1, 3):
            _epoch(used, epoch)
        fresh = _sampler(durations, law, **more)
        assert _epoch(used, 4) == _epoch(fresh, 4)


@given(
    DURATIONS, LAWS, st.integers(1, 6), st.integers(1, 40), st.integers(1, 12)
)
@settings(deadline=None)
def test_epochs_cut_one_plan_of_updates(
    durations, law, buckets, updates, per_epoch
):
    whole = _sampler(
        durations,
        law,
        buckets=buckets,
        updates=updates,
        updates_per_epoch=updates,
    )
    cut = _sampler(
        durations,
        law,
        buckets=buckets,
        updates=updates,
        updates_per_epoch=per_epoch,
    )
    epochs = -(-updates // per_epoch)
    together = []
    for epoch in range(1, epochs + 1):
        batches = _epoch(cut, epoch)
        assert len(batches) == len(cut)
        together += batches
    assert len(together) == updates
    assert together == _epoch(whole, 1)
    assert _epoch(cut, epochs + 1) == []


@given(DURATIONS, LAWS, st.integers(1, 3), st.integers(0, 9))
@settings(deadline=None)
def test_ranks_share_each_batch(durations, law, world, seed):
    shares = [
        _epoch(_sampler(durations, law, seed=seed, rank=rank, world=world), 1)
        for rank in range(world)
    ]
    batches = _epoch(_sampler(durations, law, seed=seed), 1)
    assert all(len(share) == len(batches) for share in shares)
    for whole, *parts in zip(batches, *shares):
        own = parts[: len(whole)]
        assert max(map(len, own)) - min(map(len, own)) <= 1
        assert sorted(index for part in own for index in part) == sorted(whole)
        # Ranks that the batch is too small for.
        assert parts[len(whole) :] == [whole[:1]] * (world - len(own))


def test_the_ranks_batches_are_those_of_one_process():
    durations = [1.0 + 0.1 * number for number in range(24)]
    alone = _epoch(UpdateSampler(durations, batch_size=6, seed=3), 1)
    ranks = [
        _epoch(
            UpdateSampler(durations, batch_size=6, seed=3, rank=r, world=2), 1
        )
        for r in range(2)
    ]
    for whole, *parts in zip(alone, *ranks):
        assert sorted(whole) == sorted(parts[0] + parts[1])


def test_passes_and_seeds_give_new_orders():
    durations = [1.0] * 30
    sampler = UpdateSampler(durations, batch_size=30)
    other = UpdateSampler(durations, batch_size=30, seed=1)
    orders = [_epoch(sampler, 1)[0], _epoch(sampler, 2)[0], _epoch(other, 1)[0]]
    assert len({tuple(order) for order in orders}) == 3


def test_buckets_keep_like_lengths_together():
    durations = torch.rand(200, generator=seeded(0)).mul(10).tolist()

    def spread(buckets):
        sampler = UpdateSampler(durations, batch_size=10, buckets=buckets)
        lengths = [[durations[i] for i in batch] for batch in sampler]
        return sum(max(batch) - min(batch) for batch in lengths) / len(lengths)

    assert spread(20) < 0.2 * spread(1)
    # Batches themselves come in random order, not from short to long.
    sampler = UpdateSampler(durations, batch_size=10, buckets=20)
    firsts = [durations[batch[0]] for batch in sampler]
    assert firsts != sorted(firsts)


@pytest.mark.parametrize("law", ["batch_size", "batch_seconds"])
def test_a_batch_that_cannot_be_filled_is_refused(law):
    with pytest.raises(InputError, match="--my_batch 9 cannot be .* from 8"):
        UpdateSampler([1.0] * 8, **{law: 9}, setting="my_batch")


@given(st.lists(st.integers(0, 2**40), min_size=2, max_size=4, unique=True))
def test_seeds_depend_on_every_number_and_its_place(numbers):
    seed = mixed_seed(*numbers)
    assert 0 <= seed < 2**63
    assert seed == mixed_seed(*numbers)
    assert seed != mixed_seed(*reversed(numbers))
    assert seed != mixed_seed(*numbers[:-1], numbers[-1] + 1)


def test_global_generators_are_seeded_and_restored():
    def draws():
        return random.random(), np.random.rand(), float(torch.rand(()))

    def seed():
        random.seed(1)
        np.random.seed(1)
        torch.manual_seed(1)

    seed()
    expected = draws()
    seed()
    with global_seed(7):
        first = draws()
    assert draws() == expected
    with pytest.raises(KeyError), global_seed(7):
        assert draws() == first
        raise KeyError
    with global_seed(8):
        others = draws()
    assert all(one != other for one, other in zip(others, first))
    seed()
    with pytest.raises(KeyError), global_seed(7):
        raise KeyError
    assert draws() == expected
