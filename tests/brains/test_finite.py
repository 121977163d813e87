"""An update that is not finite: named, kept, skipped, and ended in time."""

import copy
import json
import math

import pytest
import torch
from speechbrain.utils.checkpoints import Checkpointer

from ser_brain.brains.finite import load_update
from ser_brain.errors import InputError

OBJECTIVES = ("emotion_states", "contrastive", "clusters", "utterance")


@pytest.fixture
def spoilt(update):
    """An update with a sample that is no number, as after bad augmentation."""
    update = copy.deepcopy(update)
    update[2].signal[::100] = torch.nan
    return update


def state(brain):
    """Weights and optimizer state, copied."""
    return copy.deepcopy([brain.modules.state_dict(), brain.optimizer.state])


def same(one, other):
    """Whether two trees of tensors are equal to the last bit."""
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return all(same(a, b) for a, b in zip(one.values(), other.values()))
    if isinstance(one, list):
        return all(same(a, b) for a, b in zip(one, other))
    return one == other


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_it_changes_nothing_and_names_its_clips(
    make_brain, start, update, spoilt, objective, caplog, tmp_path
):
    brain = start(make_brain(objective))
    brain.fit_batch(update)
    before = state(brain)
    brain.step = 2
    assert not brain.fit_batch(spoilt).isfinite()
    assert same(state(brain), before)
    assert all(one.grad is None for one in brain.modules.parameters())
    (told,) = [m for m in caplog.messages if "is not finite" in m]
    ids = ", ".join(one.id for one in spoilt)
    folder = tmp_path / "nonfinite" / "epoch_1_update_2"
    assert told.startswith(f"{objective}: the loss of update 2 in epoch 1 is")
    assert f"with the clips {ids} (kept in {folder}): it is skipped" in told
    brain.step = 3
    assert brain.fit_batch(update).isfinite()
    assert all(one.isfinite().all() for one in brain.modules.parameters())


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_what_is_kept_repeats_the_update(
    make_brain, start, update, objective, tmp_path
):
    brain = start(make_brain(objective, micro_batch_seconds=1.0))
    brain.fit_batch(update)
    brain.step = 2
    utterances, totals = brain.drawn_update(update)
    loss = brain.update_loss(utterances, totals)
    names = [name for name, _ in brain.modules.named_parameters()]
    gradients = [one.grad for one in brain.modules.parameters()]
    brain.skip("gradient", loss, utterances, totals)

    folder = tmp_path / "nonfinite" / "epoch_1_update_2"
    assert {path.suffix for path in folder.iterdir()} == {
        ".json",
        ".safetensors",
    }
    other = start(make_brain(objective))
    assert torch.equal(other.repeated(folder), loss)
    for name, one, wanted in zip(
        names, other.modules.parameters(), gradients, strict=True
    ):
        assert same(one.grad, wanted), name


def test_a_gradient_alone_is_found(make_brain, start, update, caplog):
    brain = start(make_brain("utterance"))
    before = state(brain)
    weight = next(iter(brain.modules["head"].parameters()))
    weight.register_hook(lambda gradient: gradient * math.inf)
    assert brain.fit_batch(update).isfinite()
    assert "utterance: the gradient of update 1" in caplog.text
    assert same(state(brain), before)


def test_a_stage_ends_when_it_skips_too_many(make_brain, start, spoilt):
    brain = start(make_brain("utterance", max_skipped_updates=2))
    for brain.step in (1, 2):
        brain.fit_batch(spoilt)
    brain.step = 3
    with pytest.raises(InputError) as ended:
        brain.fit_batch(spoilt)
    said = str(ended.value)
    assert "update 3 in epoch 1 is not finite, at the learning rate" in said
    assert "clip2" in said and "at most 2 (--max_skipped_updates)" in said


def test_the_count_goes_on_after_a_kill(make_brain, start, spoilt, tmp_path):
    def begin():
        checkpointer = Checkpointer(tmp_path / "checkpoints")
        return start(make_brain("utterance", checkpointer=checkpointer))

    brain = begin()
    brain.fit_batch(spoilt)
    brain.checkpointer.save_checkpoint()
    again = begin()
    again.checkpointer.recover_if_possible()
    assert again.skipped.count == 1


def test_what_is_kept_is_data(make_brain, start, spoilt, tmp_path):
    brain = start(make_brain("contrastive"))
    brain.fit_batch(spoilt)
    folder = tmp_path / "nonfinite" / "epoch_1_update_1"
    record, utterances, weights = load_update(folder)
    assert record["loss"] == "nan" and record["fault"] == "loss"
    assert [one.id for one in utterances] == [one.id for one in spoilt]
    assert utterances[2].signal.isnan().any()
    assert weights.keys() == brain.modules.state_dict().keys()
    json.loads((folder / "update.json").read_text())


def test_a_validation_loss_that_is_no_number(make_brain):
    brain = make_brain("emotion_states")
    with pytest.raises(InputError, match="validation loss of epoch 3 is not"):
        brain.check_valid(3, math.nan)
