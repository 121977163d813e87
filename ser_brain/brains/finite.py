"""Updates whose numbers are not finite: skipped, kept, and ended in time.

An update whose loss or gradients hold NaN or infinity would leave weights
that are NaN for good. It is skipped, and all that is needed to compute it
again is kept in a folder of its own: no code, only JSON and safetensors.
"""

import json
import logging
import math
from pathlib import Path
from types import SimpleNamespace

import torch
from safetensors.torch import load_file, save
from speechbrain.utils.checkpoints import (
    mark_as_loader,
    mark_as_saver,
    register_checkpoint_hooks,
)

from ser_brain.errors import InputError
from ser_brain.files import write_atomically

UPDATE, BATCH, WEIGHTS = (
    "update.json",
    "batch.safetensors",
    "weights.safetensors",
)
# On what an update's random numbers depend, beside the seed.
POSITION = ("epoch", "step", "process_rank")
NAMED = 8  # clips in a sentence; update.json has all of them

logger = logging.getLogger(__name__)


@register_checkpoint_hooks
class SkippedUpdates:
    """How many updates of a stage were skipped; more than a few end it.

    The number is part of the checkpoint, so that a killed run does not get
    its budget a second time.

    Arguments
    ---------
    most : int
        How many a stage may skip (``--max_skipped_updates``).

    Example
    -------
    >>> skipped = SkippedUpdates(most=1)
    >>> skipped.add("P1: the loss of update 3 is not finite")
    >>> skipped.add("P1: the loss of update 4 is not finite")
    Traceback (most recent call last):
    ...
    ser_brain.errors.InputError: P1: the loss of update 4 is not finite: ...
    """

    def __init__(self, most):
        self.most = most
        self.count = 0

    def add(self, told):
        """Counts one.

        Raises
        ------
        InputError
            If it is one too many.
        """
        self.count += 1
        if self.count > self.most:
            raise InputError(
                f"{told}: this is number {self.count}, and a stage skips at "
                f"most {self.most} (--max_skipped_updates); give a lower "
                "learning rate, or --precision fp32, or take out the clips "
                "that all of them have in common."
            )
        logger.warning(
            f"{told}: it is skipped, number {self.count} of at most "
            f"{self.most}."
        )

    @mark_as_saver
    def save(self, path):
        """Writes the number into a checkpoint."""
        path.write_text(json.dumps(self.count), encoding="utf-8")

    @mark_as_loader
    def load(self, path, end_of_epoch):
        """Takes the number of a checkpoint."""
        self.count = json.loads(path.read_text(encoding="utf-8"))


class FiniteUpdates:
    """The part of a Brain that leaves out what is not finite.

    Expects ``skipped`` (:class:`SkippedUpdates`) and, in ``hparams``, stage
    and nonfinite_folder.
    """

    def fault(self, total):
        """What is not finite in an update, alike on all ranks; or None."""
        # A scaler overflows by design, and leaves the step out by itself.
        looks = not self.scaler.is_enabled()
        return fault_of(total, self.modules.parameters() if looks else ())

    def skip(self, fault, own, utterances, totals):
        """Leaves out an update that is not finite, and keeps it.

        Arguments
        ---------
        fault : str
            What is not finite: ``loss`` or ``gradient``.
        own : torch.Tensor
            This rank's part of the loss; a rank whose part is finite has
            nothing to keep.
        utterances, totals
            As ``drawn_update`` gave them.

        Raises
        ------
        InputError
            If a stage skips more than ``max_skipped_updates``.
        """
        self.zero_grad(set_to_none=True)
        rate = self.optimizer.param_groups[0]["lr"]
        told = (
            f"{self.hparams.stage}: the {fault} of update {self.step} in "
            f"epoch {self.epoch} is not finite, at the learning rate {rate:g}"
        )
        if fault != "loss" or not own.isfinite():
            folder = self._keep(fault, own, utterances, totals)
            clips = named(utterances)
            told += f", with the clips {clips} (kept in {folder})"
        self.skipped.add(told)

    def _keep(self, fault, own, utterances, totals):
        """Saves the update of this rank; returns the folder."""
        rank = f"_rank_{self.process_rank}" if self.world > 1 else ""
        name = f"epoch_{self.epoch}_update_{self.step}{rank}"
        folder = self.hparams.nonfinite_folder / name
        record = {
            "stage": self.hparams.stage,
            "fault": fault,
            "loss": str(own.item()),
            "learning_rate": self.optimizer.param_groups[0]["lr"],
            "precision": self.precision,
            "seed": self.hparams.seed,
            **{name: getattr(self, name) for name in POSITION},
            "totals": totals.tolist(),
            "micro_batch_seconds": self.budget.seconds,
        }
        save_update(folder, record, utterances, self.modules.state_dict())
        return folder

    def repeated(self, folder):
        """Computes an update again that was kept, up to its gradients.

        Arguments
        ---------
        folder : str or Path
            As ``skip`` names it.

        Returns
        -------
        torch.Tensor
            The loss. The modules then have the weights and the gradients of
            that update.
        """
        record, utterances, weights = load_update(folder)
        self.modules.load_state_dict(weights)
        for name in POSITION:
            setattr(self, name, record[name])
        self.budget.seconds = record["micro_batch_seconds"]
        totals = torch.tensor(record["totals"], device=self.device)
        return self.update_loss(utterances, totals)

    def check_valid(self, epoch, loss):
        """Refuses to choose among checkpoints by what is no number."""
        if not math.isfinite(loss):
            raise InputError(
                f"{self.hparams.stage}: the validation loss of epoch {epoch} "
                "is not finite: give a lower learning rate, or --precision "
                "fp32."
            )


def fault_of(loss, parameters):
    """What is not finite in an update, or None.

    Arguments
    ---------
    loss : torch.Tensor
        Of the whole update, a scalar.
    parameters : iterable of torch.nn.Parameter
        With their gradients; none where the gradients are not looked at.

    Returns
    -------
    str or None
        ``"loss"``, ``"gradient"``, or None.

    Example
    -------
    >>> weight = torch.nn.Parameter(torch.ones(1))
    >>> weight.grad = torch.tensor([float("inf")])
    >>> fault_of(torch.tensor(1.0), [weight]), fault_of(torch.tensor(1.0), [])
    ('gradient', None)
    """
    if not torch.isfinite(loss):
        return "loss"
    found = [one.grad for one in parameters if one.grad is not None]
    if found and not torch.nn.utils.get_total_norm(found).isfinite():
        return "gradient"
    return None


def save_update(folder, record, utterances, weights):
    """Keeps what is needed to compute an update again.

    Arguments
    ---------
    folder : str or Path
        Made if missing; ``update.json`` is written last.
    record : dict
        The update: seed, epoch, step, ... JSON values.
    utterances : list of SimpleNamespace
        Its utterances, cropped and with their masks drawn.
    weights : dict
        Name to tensor: the state of all modules before the update.

    Example
    -------
    >>> folder = getfixture("tmp_path")
    >>> one = SimpleNamespace(id="a", signal=torch.ones(2), label=1)
    >>> save_update(folder, {"step": 3}, [one], {"w": torch.zeros(1)})
    >>> record, utterances, weights = load_update(folder)
    >>> record["step"], utterances[0], weights
    (3, namespace(id='a', label=1, signal=tensor([1., 1.])), {'w': tensor([0.])})
    """
    folder = Path(folder)
    tensors, plain = {}, []
    for place, one in enumerate(utterances):
        values = vars(one)
        drawn = {n for n, v in values.items() if isinstance(v, torch.Tensor)}
        tensors.update({f"{place}.{n}": values[n] for n in drawn})
        plain.append({n: v for n, v in values.items() if n not in drawn})
    write_atomically(folder / BATCH, save(_apart(tensors)))
    write_atomically(folder / WEIGHTS, save(_apart(weights)))
    record = {**record, "utterances": plain}
    text = json.dumps(record, indent=2, ensure_ascii=False)
    write_atomically(folder / UPDATE, text + "\n")


def _apart(tensors):
    """Copies on the CPU that share no memory, as safetensors wants them."""
    return {
        n: v.detach().cpu().contiguous().clone() for n, v in tensors.items()
    }


def load_update(folder):
    """Reads what :func:`save_update` wrote; nothing in it is executed.

    Arguments
    ---------
    folder : str or Path
        The folder.

    Returns
    -------
    record : dict
        The update.
    utterances : list of SimpleNamespace
        As they were computed.
    weights : dict
        Name to tensor.
    """
    folder = Path(folder)
    record = json.loads((folder / UPDATE).read_text(encoding="utf-8"))
    utterances = [SimpleNamespace(**one) for one in record.pop("utterances")]
    for name, tensor in load_file(folder / BATCH).items():
        place, _, name = name.partition(".")
        setattr(utterances[int(place)], name, tensor)
    return record, utterances, load_file(folder / WEIGHTS)


def named(utterances):
    """The clips of an update, for a sentence.

    Example
    -------
    >>> named([SimpleNamespace(id=n) for n in "ab"])
    'a, b'
    """
    ids = [one.id for one in utterances]
    more = f" and {len(ids) - NAMED} more" if ids[NAMED:] else ""
    return ", ".join(ids[:NAMED]) + more
