"""How much padded audio is computed at once, in the memory there is."""

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

# On a CPU small parts are quicker: they hold less padding, and what a layer
# leaves for the next one stays near the processor.
CPU_SECONDS = 15.0
# Of the first update on a GPU, whose use of memory is measured.
PROBE_SECONDS = 20.0
# Of the free memory: allocation leaves gaps.
SHARE = 0.8


def padded_seconds(part):
    """Seconds of audio in a part once it is padded.

    Arguments
    ---------
    part : list of SimpleNamespace
        Utterances; each holds ``signal``, shape (samples,).
    """
    longest = max(len(one.signal) for one in part)
    return len(part) * longest / SAMPLE_RATE


@register_checkpoint_hooks
class MicroBatchBudget:
    """Padded audio in a micro-batch: given, or found from free memory.

    Part of a checkpoint, so that a resumed run cuts its updates as the
    killed one did.

    Arguments
    ---------
    wanted : float, "auto" or None
        Seconds. ``auto``: on a GPU the first update is cut small and its use
        of memory measured, and the next ones fill what is free; on a CPU
        15 s. None: whole batches.
    device : str or torch.device
        Where it is computed.

    Raises
    ------
    InputError
        If ``wanted`` is neither above 0 nor one of the two words.

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
        """After an out-of-memory: half of the largest part.

        Arguments
        ---------
        parts : list of list
            The micro-batches that did not fit.
        reason : str
            What the allocator said.

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
        """Before the gradients of an update that is measured."""
        if self.measures:
            torch.cuda.reset_peak_memory_stats(self.device)
            self.before = torch.cuda.memory_allocated(self.device)

    def observe(self, parts):
        """After them: what a padded second took."""
        if not self.measures:
            return
        after = torch.cuda.memory_allocated(self.device)
        # From the second part on, the gradients lie there all the time.
        base = self.before if len(parts) == 1 else after
        used = torch.cuda.max_memory_allocated(self.device) - base
        self.bytes_a_second = used / max(map(padded_seconds, parts))
        self.gradients = max(after - self.before, 0)

    def settle(self):
        """After the optimizer's first step, whose state stays."""
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
        """Writes the budget into a checkpoint."""
        found = {"seconds": self.seconds, "measures": self.measures}
        path.write_text(json.dumps(found), encoding="utf-8")

    @mark_as_loader
    def load(self, path, end_of_epoch):
        """Takes the budget of a checkpoint."""
        found = json.loads(path.read_text(encoding="utf-8"))
        self.seconds, self.measures = found["seconds"], found["measures"]
