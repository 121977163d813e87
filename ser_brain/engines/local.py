"""Runs on this machine: one per GPU, or some on the CPU."""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass

from ser_brain.engines.process import start, stop
from ser_brain.engines.runs import Outcome, last_error
from ser_brain.errors import InputError

POLL_SECONDS = 0.2


@dataclass
class LocalEngine:
    """Execute runs on this machine, several at a time.

    Arguments
    ---------
    workers : int, optional
        Runs at a time. By default one per GPU, or one on the CPU.
    devices : sequence of str, optional
        GPUs as CUDA_VISIBLE_DEVICES names them; by default all that are
        visible. Runs are spread over them. With an empty list, the command
        line decides, and the CPU's threads are divided among the runs.

    Raises
    ------
    InputError
        If workers is below 1.

    Example
    -------
    >>> LocalEngine(workers=2, devices=["0", "1"]).environment(slot=1)
    {'CUDA_VISIBLE_DEVICES': '1'}
    """

    workers: int | None = None
    devices: Sequence[str] | None = None

    def __post_init__(self):
        if self.devices is None:
            self.devices = visible_devices()
        if self.workers is None:
            self.workers = max(1, len(self.devices))
        if self.workers < 1:
            raise InputError(
                f"--workers is {self.workers}: give 1 or more runs at a time."
            )

    def environment(self, slot):
        """Environment variables of the run in a slot (0 to workers - 1)."""
        if self.devices:
            device = self.devices[slot % len(self.devices)]
            return {"CUDA_VISIBLE_DEVICES": device}
        if "OMP_NUM_THREADS" in os.environ:
            return {}
        threads = max(1, usable_cores() // self.workers)
        return {"OMP_NUM_THREADS": str(threads)}

    def execute(self, runs):
        """See :class:`ser_brain.engines.runs.Engine`."""
        waiting = list(runs)
        slots = {}
        try:
            while waiting or slots:
                for slot in range(self.workers):
                    if waiting and slot not in slots:
                        slots[slot] = self._begin(waiting.pop(0), slot)
                ended = [s for s in slots if slots[s][1].poll() is not None]
                for slot in ended:
                    run, process, begun = slots.pop(slot)
                    error = last_error(run.log, process.returncode)
                    seconds = time.monotonic() - begun
                    yield Outcome(run, process.returncode, error, seconds)
                if not ended:
                    time.sleep(POLL_SECONDS)
        finally:
            for _, process, _ in slots.values():
                stop(process)

    def _begin(self, run, slot):
        process = start(run, self.environment(slot))
        return run, process, time.monotonic()


def usable_cores():
    """Number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count()


def visible_devices():
    """GPUs visible to a process, as CUDA_VISIBLE_DEVICES names them."""
    import torch

    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is None:
        return [str(number) for number in range(torch.cuda.device_count())]
    return [name for name in named.split(",") if name]
