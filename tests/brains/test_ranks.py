"""Data-parallel ranks draw together what one process draws."""

import copy
import random

import numpy as np
import pytest
import torch
from speechbrain import Stage
from speechbrain.augment.augmenter import Augmenter
from speechbrain.augment.time_domain import AddNoise, DropChunk, SpeedPerturb
from test_brains import OBJECTIVES

from ser_brain.dataio.front_end import MemoryCache
from ser_brain.dataio.utterances import padded


@pytest.fixture
def augment():
    """Draws from the global generators of Python and torch."""
    return Augmenter(
        min_augmentations=1,
        max_augmentations=3,
        shuffle_augmentations=True,
        augmentations=[
            SpeedPerturb(orig_freq=16000, speeds=[90, 110]),
            AddNoise(snr_low=10, snr_high=30),
            DropChunk(drop_length_low=100, drop_length_high=200),
        ],
    )


@pytest.fixture
def make_drawing(make_brain, start, augment):
    """A Brain that draws all that it knows, crops included."""

    def make(objective, **changes):
        changes = {"max_seconds": 0.3, "augment": augment, **changes}
        return start(make_brain(objective, **changes))

    return make


def ready(brain, update, rank=0, world=1):
    """What a rank makes of its share of a batch."""

    def over_ranks(tensor, operation="SUM"):
        assert operation == "MIN"
        shortest = min(len(one.signal) for one in update)
        return torch.full_like(tensor, shortest)

    brain.process_rank, brain.world = rank, world
    brain.over_ranks = over_ranks
    share = [copy.copy(one) for one in update[rank::world]]
    return brain.ready(share, Stage.TRAIN)


def assert_same(one, other):
    """Two ready utterances are equal, tensor by tensor."""
    assert vars(one).keys() == vars(other).keys()
    for name, value in vars(one).items():
        if isinstance(value, torch.Tensor):
            assert torch.equal(value, getattr(other, name)), name
        else:
            assert value == getattr(other, name), name


@pytest.mark.parametrize("world", [2, 3, 7])
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_ranks_draw_what_one_process_draws(
    objective, world, make_drawing, update
):
    """Seven utterances, which neither two nor three ranks share evenly."""
    alone = ready(make_drawing(objective), update)
    found = {}
    for rank in range(world):
        # What was drawn before on this machine must not matter.
        torch.manual_seed(rank)
        random.seed(rank)
        share = ready(make_drawing(objective), update, rank, world)
        found.update({one.id: one for one in share})
    assert len(found) == len(alone) == 7
    for one in alone:
        assert_same(found[one.id], one)


@pytest.mark.parametrize("objective", ["clusters", "utterance"])
def test_ranks_keep_the_same_front_end(objective, make_drawing, update):
    def make():
        cache = MemoryCache(1)
        return make_drawing(objective, front_end=cache, augment=None)

    alone = ready(make(), update)
    for rank in range(2):
        for one, other in zip(ready(make(), update, rank, 2), alone[rank::2]):
            assert_same(one, other)
            assert one.features.shape[0] == one.time_mask.shape[0]


DRAWN = {
    "emotion_states": ["start", "signal", "time_mask", "feature_mask"],
    "transformer_states": ["start", "signal", "time_mask", "feature_mask"],
    "contrastive": ["start", "time_mask", "negatives", "noise_seed"],
    "clusters": ["start", "time_mask", "targets"],
    "segments": ["signal"],
    "utterance": ["signal", "time_mask", "feature_mask"],
}


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_each_place_has_its_own_draws(objective, make_drawing, update):
    """The same utterance several times in a batch, and a shorter one."""
    longest = max(update, key=lambda one: len(one.signal))
    shortest = min(update, key=lambda one: len(one.signal))
    brain = make_drawing(objective)
    *same, _ = ready(brain, [longest] * 6 + [shortest])
    again = ready(make_drawing(objective), [longest] * 6 + [shortest])
    for one, other in zip(same, again):
        assert_same(one, other)
    for name in DRAWN[objective]:
        values = [getattr(one, name) for one in same]
        values = [torch.as_tensor(value).tolist() for value in values]
        assert any(value != values[0] for value in values), name


@pytest.mark.parametrize("objective", ["contrastive", "clusters"])
def test_a_validation_draws_alike_in_every_epoch(
    objective, make_brain, start, update
):
    brain = start(make_brain(objective))
    brain.modules.eval()
    losses = []
    for epoch, step in ((1, 1), (2, 3)):
        brain.epoch, brain.step = epoch, step
        losses.append(brain.evaluate_batch(update, Stage.VALID))
    assert torch.isfinite(losses[0])
    assert losses[0] == losses[1]


@pytest.mark.parametrize("objective", ["emotion_states", "utterance"])
def test_whole_clips_are_evaluated(objective, make_drawing, update):
    whole = make_drawing(objective).ready(update, Stage.VALID)
    pairs = zip(whole, update, strict=True)
    assert all(one.signal is other.signal for one, other in pairs)


def test_augmentation_leaves_the_global_generators(make_drawing, update):
    brain = make_drawing("utterance")
    before = random.getstate(), np.random.get_state(), torch.get_rng_state()
    ready(brain, update)
    python, numpy, cpu = before
    assert random.getstate() == python
    assert np.random.get_state()[2] == numpy[2]
    assert np.array_equal(np.random.get_state()[1], numpy[1])
    assert torch.equal(torch.get_rng_state(), cpu)


def test_emotion_states_are_cut_to_the_shortest_of_all_ranks(
    make_drawing, update
):
    shortest = min(len(one.signal) for one in update)
    shares = [
        ready(make_drawing("emotion_states"), update, rank, 3)
        for rank in range(3)
    ]
    lengths = {len(one.signal) for share in shares for one in share}
    assert lengths == {shortest}


def test_gumbel_noise_goes_by_the_utterance(make_drawing, update):
    """However an update is cut, a clip's quantizer sees the same noise."""
    brain = make_drawing("contrastive")
    objective = brain.modules.objective
    utterances = ready(brain, update)

    def noise(part):
        counts = [int(one.time_mask.sum()) for one in part]
        batch = padded(part, "cpu")
        drawn = objective.draw_noise(counts, batch.noise_seed.tolist())
        return drawn.split(counts)

    together = noise(utterances)
    for number, one in enumerate(utterances):
        assert torch.equal(noise([one])[0], together[number])
    assert not torch.equal(together[0][0], together[1][0])


def test_ranks_add_up_their_losses(make_brain, start, update, monkeypatch):
    """What the log says of an update is the loss of the whole batch."""
    brain = start(make_brain("utterance"))
    reduced = []

    def all_reduce(tensor, operation):
        reduced.append((operation, tensor.clone()))

    monkeypatch.setattr(torch.distributed, "all_reduce", all_reduce)
    brain.distributed_launch = True
    loss = brain.fit_batch(update)
    operations, tensors = zip(*reduced)
    assert set(operations) == {torch.distributed.ReduceOp.SUM}
    assert torch.equal(tensors[0], brain.denominators(update))
    assert torch.equal(tensors[1], loss)
