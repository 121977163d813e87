"""The budget of micro-batches."""

from types import SimpleNamespace

import pytest
import torch
from speechbrain.utils.checkpoints import Checkpointer

from ser_brain.dataio.budget import MicroBatchBudget, padded_seconds
from ser_brain.errors import InputError


def part_of(*seconds):
    return [
        SimpleNamespace(signal=torch.zeros(round(16000 * each)))
        for each in seconds
    ]


def test_padded_seconds_count_the_padding():
    assert padded_seconds(part_of(1, 3, 0.5)) == 9


@pytest.mark.parametrize("wanted", [0, -1.5, "much", [3]])
def test_no_such_budget(wanted):
    with pytest.raises(InputError, match="above 0, auto, or null"):
        MicroBatchBudget(wanted, "cpu")


def test_half_of_the_largest_part():
    budget = MicroBatchBudget(None, "cpu")
    budget.halve([part_of(3, 3), part_of(2, 2, 2, 1)], "out of memory")
    assert budget.seconds == 4
    budget.halve([part_of(3), part_of(2, 2)], "out of memory")
    assert budget.seconds == 2


def test_one_utterance_that_does_not_fit_is_told():
    budget = MicroBatchBudget(8, "cpu")
    with pytest.raises(InputError, match="utterance of 3.0 s.*no room"):
        budget.halve([part_of(3), part_of(2)], "no\nroom")


def test_a_checkpoint_keeps_the_budget(tmp_path):
    budget = MicroBatchBudget(30, "cpu")
    budget.halve([part_of(10, 10)], "out of memory")
    Checkpointer(tmp_path, {"budget": budget}).save_checkpoint()
    again = MicroBatchBudget(30, "cpu")
    Checkpointer(tmp_path, {"budget": again}).recover_if_possible()
    assert again.seconds == 10


def test_a_gpu_is_filled_after_one_small_update(monkeypatch):
    """Counters of the allocator, by hand: 1 s takes 2, state 100 of 1000."""
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda at: None)
    allocated = iter([100, 150, 200])
    monkeypatch.setattr(
        torch.cuda, "memory_allocated", lambda at: next(allocated)
    )
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda at: 190)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda at: (700, 1000))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda at: 300)
    budget = MicroBatchBudget("auto", "cuda")
    first = budget.seconds
    budget.begin()
    budget.observe([part_of(10, 10), part_of(5)])
    budget.settle()
    # Free: 700 + 300 - 200; gradients take 50; 40 were used by 20 s.
    assert first == 20
    assert budget.seconds == pytest.approx(0.8 * (800 - 50) / 2)
    budget.begin()
    assert budget.seconds == pytest.approx(300)
