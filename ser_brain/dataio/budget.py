"""How much padded audio is computed at once in the available memory."""

import json
import logging

import torch
from speechbrain.utils.checkpoints import (
    mark_as_loader,
    mark_as_saver,
    register_checkpoint_hooks,
)

from ser_brain.dataio.audio import SAMPLE_RATE
from ser_brain.errors import InputError

logger = logging.getLogger(__name__)

# On a CPU small parts are faster: they hold less padding, and the output of a
# layer stays in the processor's cache for the next one.
CPU_SECONDS = 15.0
# For the first update on a GPU, whose memory use is measured.
PROBE_SECONDS = 20.0
# Fraction of the free memory to use: allocation leaves gaps.
SHARE = 0.8


def padded_seconds(part):
    """Seconds of audio in a part, padding included.

    Arguments
    ---------
    part : list of SimpleNamespace
        Utterances; each holds ``signal``, shape (samples,).
    """
    longest = max(len(one.signal) for one in part)
    return len(part) * longest / SAMPLE_RATE


@register_checkpoint_hooks
class MicroBatchBudget:
    """Padded audio per micro-batch: given, or found from free memory.

    It is part of a checkpoint, so that a resumed run splits its updates as the
    killed one did.

    Arguments
    ---------
    wanted : float, "auto" or None
        Seconds. ``auto``: on a GPU the first update is split into small parts
        and its memory use measured, and the next ones fill the free memory; on
        a CPU 15 s. None: whole batches.
    device : str or torch.device
        The device of the computation.

    Raises
    ------
    InputError
        If ``wanted`` is neither a number above 0 nor "auto" nor None.

    Example
    -------
    >>> MicroBatchBudget("auto", "cpu").seconds
    15.0
    >>> MicroBatchBudget(None, "cpu").seconds is None
    True
    """

    def __init__(self, wanted, device):
        self.device = torch.device(device)
        self.measures = wanted == "auto" and self.device.type == "cuda"
        if wanted == "auto":
            wanted = PROBE_SECONDS if self.measures else CPU_SECONDS
        is_number = isinstance(wanted, (int, float)) and wanted > 0
        if wanted is not None and not is_number:
            raise InputError(
                f"--micro_batch_seconds is {wanted}: give seconds above 0, "
                "auto, or null for whole batches."
            )
        self.seconds = wanted

    def halve(self, parts, reason):
        """Halve the size after an out-of-memory error.

        Arguments
        ---------
        parts : list of list
            The micro-batches that did not fit.
        reason : str
            The allocator's message.

        Raises
        ------
        InputError
            If each part was a single utterance already.
        """
        largest = max(map(padded_seconds, parts))
        if max(map(len, parts)) == 1:
            raise InputError(
                f"an utterance of {largest:.1f} s alone does not fit the "
                f"memory of {self.device} ({' '.join(reason.split())}): free "
                "some of it, give --precision bf16 or another --device."
            )
        self.measures = False
        self.seconds = largest / 2
        logger.warning(
            "an update does not fit the memory: it is computed again, in "
            f"parts of {self.seconds:.1f} s."
        )
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def begin(self):
        """Call before the gradients of an update that is measured."""
        if self.measures:
            torch.cuda.reset_peak_memory_stats(self.device)
            self.before = torch.cuda.memory_allocated(self.device)

    def observe(self, parts):
        """Call after them: measure the memory per padded second."""
        if not self.measures:
            return
        after = torch.cuda.memory_allocated(self.device)
        # From the second part on, the gradients are always in memory.
        base = self.before if len(parts) == 1 else after
        used = torch.cuda.max_memory_allocated(self.device) - base
        self.bytes_a_second = used / max(map(padded_seconds, parts))
        self.gradients = max(after - self.before, 0)

    def settle(self):
        """Call after the optimizer's first step, with its state in memory."""
        if not self.measures:
            return
        free, _ = torch.cuda.mem_get_info(self.device)
        reserved = torch.cuda.memory_reserved(self.device)
        free += reserved - torch.cuda.memory_allocated(self.device)
        room = SHARE * (free - self.gradients)
        self.seconds = max(room / self.bytes_a_second, PROBE_SECONDS)
        self.measures = False

    @mark_as_saver
    def save(self, path):
        """Write the budget to a checkpoint."""
        found = {"seconds": self.seconds, "measures": self.measures}
        path.write_text(json.dumps(found), encoding="utf-8")

    @mark_as_loader
    def load(self, path, end_of_epoch):
        """Read the budget from a checkpoint."""
        found = json.loads(path.read_text(encoding="utf-8"))
        self.seconds, self.measures = found["seconds"], found["measures"]
