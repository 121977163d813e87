"""Updates with non-finite numbers: skipped, saved, and limited in number.

An update whose loss or gradients hold NaN or infinity would turn all weights
into NaN. It is skipped, and everything needed to compute it again is saved in
a folder of its own: no code, only JSON and safetensors.
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
# What an update's random numbers depend on, besides the seed.
POSITION = ("epoch", "step", "process_rank")
NAMED = 8  # clips named in a message; update.json lists all of them

logger = logging.getLogger(__name__)


@register_checkpoint_hooks
class SkippedUpdates:
    """Count the skipped updates of a stage; too many of them end it.

    The count is part of the checkpoint, so that a resumed run does not start
    with a new budget.

    Arguments
    ---------
    most : int
        How many updates a stage may skip (``--max_skipped_updates``).

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
        """Count one update.

        Raises
        ------
        InputError
            If it is one more than allowed.
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
        """Write the count to a checkpoint."""
        path.write_text(json.dumps(self.count), encoding="utf-8")

    @mark_as_loader
    def load(self, path, end_of_epoch):
        """Read the count from a checkpoint."""
        self.count = json.loads(path.read_text(encoding="utf-8"))


class FiniteUpdates:
    """The part of a Brain that skips updates that are not finite.

    Expects ``skipped`` (:class:`SkippedUpdates`) and, in ``hparams``, stage
    and nonfinite_folder.
    """

    def fault(self, total):
        """What is not finite in an update, the same on all ranks; or None."""
        # A gradient scaler overflows by design, and skips the step by itself.
        looks = not self.scaler.is_enabled()
        return fault_of(total, self.modules.parameters() if looks else ())

    def skip(self, fault, own, utterances, totals):
        """Skip an update that is not finite, and save it.

        Arguments
        ---------
        fault : str
            What is not finite: ``loss`` or ``gradient``.
        own : torch.Tensor
            This rank's part of the loss; a rank whose part is finite saves
            nothing.
        utterances, totals
            As ``drawn_update`` returned them.

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
        """Save the update of this rank and return the folder."""
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
        """Compute a saved update again, up to its gradients.

        Arguments
        ---------
        folder : str or Path
            The folder that ``skip`` names.

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
        """Refuse to choose among checkpoints by a loss that is not finite."""
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
        Loss of the whole update, a scalar.
    parameters : iterable of torch.nn.Parameter
        With their gradients; empty if the gradients are not checked.

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
    """Save what is needed to compute an update again.

    Arguments
    ---------
    folder : str or Path
        Created if missing; ``update.json`` is written last.
    record : dict
        The update: seed, epoch, step, ..., all JSON values.
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
    """Copies on the CPU that share no memory, as safetensors requires."""
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
    """The clips of an update, for a message.

    Example
    -------
    >>> named([SimpleNamespace(id=n) for n in "ab"])
    'a, b'
    """
    ids = [one.id for one in utterances]
    more = f" and {len(ids) - NAMED} more" if ids[NAMED:] else ""
    return ", ".join(ids[:NAMED]) + more
