"""An update that does not fit the memory, and updates in bf16."""

import functools

import pytest
import torch
from test_brains import OBJECTIVES, OBSERVED

from ser_brain.errors import InputError


def fail_above(brain, numel):
    """The memory holds inputs of so many numbers, no more."""

    def check(module, inputs):
        if inputs[0].numel() > numel:
            raise torch.OutOfMemoryError("CUDA out of memory (injected)")

    return brain.modules[next(iter(brain.modules))].register_forward_pre_hook(
        check
    )


def fail_once(brain, call):
    """The memory is full at one call, when others have been computed."""
    calls = iter(range(1, 1000))

    def check(module, inputs):
        if next(calls) == call:
            raise torch.OutOfMemoryError("CUDA out of memory (injected)")

    return brain.modules[next(iter(brain.modules))].register_forward_pre_hook(
        check
    )


def gradients(brain, update):
    """Loss and gradients of one update."""
    loss = brain.fit_batch(update)
    return [loss, *brain.optimizer.last]


def same(found, expected):
    assert len(found) == len(expected)
    for one, other in zip(found, expected):
        assert one is other is None or torch.equal(one, other)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_what_does_not_fit_is_computed_in_smaller_parts(
    objective, make_brain, start, update
):
    """To the last bit the update of that budget, dropout and all."""
    make = functools.partial(make_brain, objective, opt_class=OBSERVED)
    brain = start(make())
    fail_above(brain, 16000)
    found = gradients(brain, update)
    assert brain.budget.seconds is not None

    expected = start(make(micro_batch_seconds=brain.budget.seconds))
    same(found, gradients(expected, update))


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_gradients_of_a_failed_update_are_dropped(
    objective, make_brain, start, update
):
    make = functools.partial(make_brain, objective, opt_class=OBSERVED)
    brain = start(make(micro_batch_seconds=1.1))
    fail_once(brain, call=2)
    found = gradients(brain, update)
    assert brain.budget.seconds < 1.1

    expected = start(make(micro_batch_seconds=brain.budget.seconds))
    same(found, gradients(expected, update))


def test_the_smaller_budget_stays(make_brain, start, update):
    brain = start(make_brain("utterance"))
    hook = fail_above(brain, 16000)
    brain.fit_batch(update)
    chosen = brain.budget.seconds
    hook.remove()
    brain.step += 1
    brain.fit_batch(update)
    assert brain.budget.seconds == chosen


def test_a_memory_without_room_for_one_utterance(make_brain, start, update):
    brain = start(make_brain("utterance"))
    fail_above(brain, 100)
    with pytest.raises(InputError, match="alone does not fit the memory"):
        brain.fit_batch(update)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_bf16_computes_about_the_same(
    objective, make_brain, start, update, sure_wav2vec2
):
    found = []
    for precision in ("fp32", "bf16"):
        brain = make_brain(
            objective,
            folder=sure_wav2vec2,
            opt_class=OBSERVED,
            micro_batch_seconds=2,
            run_opts={"precision": precision},
        )
        start(brain)
        if objective == "contrastive":
            # Whose noise would fall on other codes.
            brain.modules.objective.training = False
        found.append(gradients(brain, update))
    (exact, *expected), (loss, *rounded) = found
    assert loss == pytest.approx(float(exact), rel=0.05)
    for one, other in zip(rounded, expected):
        assert (one is None) == (other is None)
        if one is not None:
            assert one.dtype == torch.float32
            assert bool(one.isfinite().all())
