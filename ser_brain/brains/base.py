"""Common base of the objectives: seeds, micro-batches, rates and logs."""

import contextlib
import itertools
import time

import speechbrain as sb
import torch

from ser_brain.brains.finite import FiniteUpdates, SkippedUpdates
from ser_brain.dataio.audio import SAMPLE_RATE, sample_count
from ser_brain.dataio.batches import data_parallel, mixed_seed, seeded
from ser_brain.dataio.budget import MicroBatchBudget
from ser_brain.dataio.front_end import at_speed, encoded
from ser_brain.dataio.utterances import micro_batches, padded
from ser_brain.errors import InputError
from ser_brain.stopping import STOPPING, Stopped

# Independent streams of random numbers within one update.
UTTERANCES, DROPPED_LAYERS, DROPOUT = range(3)


class ObjectiveBrain(FiniteUpdates, sb.Brain):
    """A Brain whose update is that of the whole batch, computed in parts.

    A subclass defines what it draws for an utterance (``drawn``), what the
    batch's losses are divided by (``denominators``), and computes them
    (``compute_forward``, ``compute_objectives`` with ``self.mean``). Crops and
    masks are drawn before the batch is split into micro-batches and depend
    only on the seed, the epoch, the step and the utterance's place in the
    batch, so a killed run continues exactly as if it had not been killed, and
    any number of data-parallel processes makes the same draws. An update that
    does not fit the memory is computed again in smaller parts.

    Expects in ``hparams``: stage, seed, lr_schedule, max_seconds,
    micro_batch_seconds, front_end (a cache of ``dataio.front_end``, or
    None), sampler, updates, updates_per_epoch, validates, train_loggers
    (SpeechBrain's), progress (``experiment.progress``), max_skipped_updates,
    nonfinite_folder (where updates that are not finite are kept).
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.process_rank, self.world = data_parallel()
        self.budget = MicroBatchBudget(
            self.hparams.micro_batch_seconds, self.device
        )
        self.skipped = SkippedUpdates(self.hparams.max_skipped_updates)
        if self.checkpointer is not None:
            kept = {"micro_batches": self.budget, "skipped": self.skipped}
            for name, one in kept.items():
                self.checkpointer.add_recoverable(name, one, optional_load=True)
        self.epoch = 0
        # The signal that asked to end, the same on all ranks.
        self.ending = 0
        self.trained_seconds = 0.0
        self.trained_wall = 0.0
        self.train_loss = 0.0
        # Speeds at which a test plays its utterances.
        self.test_speed = 1.0

    def drawn(self, utterance, samples, generator):
        """Crop an utterance and draw its masks.

        Arguments
        ---------
        utterance : SimpleNamespace
            As returned by the dataset.
        samples : int
            Longest crop.
        generator : torch.Generator
            Generator of this utterance, on the CPU.

        Returns
        -------
        SimpleNamespace
            A copy with everything that ``padded`` needs.
        """
        raise TypeError(f"{type(self).__name__} does not define drawn()")

    def denominators(self, utterances):
        """Return the divisors of an update's losses, shape (losses,)."""
        raise TypeError(f"{type(self).__name__} has no denominators()")

    def bare(self, name):
        """Return a module without its data-parallel wrapper."""
        module = self.modules[name]
        return getattr(module, "module", module)

    def over_ranks(self, tensor, operation="SUM"):
        """Reduce a tensor on the device over the data-parallel ranks."""
        if self.distributed_launch:
            operation = getattr(torch.distributed.ReduceOp, operation)
            torch.distributed.all_reduce(tensor, operation)
        return tensor

    def seeds(self, purpose):
        """Numbers that the draws of this update depend on."""
        return self.hparams.seed, self.epoch, self.step, purpose

    def crop_samples(self, utterances):
        """Maximum number of samples per crop in an update."""
        return sample_count(self.hparams.max_seconds)

    def ready(self, utterances, stage):
        """Draw crops and masks of this rank's utterances of a batch.

        Rank ``r`` of ``n`` holds every ``n``-th utterance, so that its
        ``j``-th has the place ``j * n + r`` in the batch of all ranks. Each
        utterance has a generator that is seeded with its place.

        Arguments
        ---------
        utterances : list of SimpleNamespace
            As returned by the dataset.
        stage : speechbrain.Stage
            Outside of training the draws are the same in every epoch.

        Returns
        -------
        list of SimpleNamespace
            What ``drawn`` returns for each.
        """
        training = stage == sb.Stage.TRAIN
        seeds = self.seeds(UTTERANCES) if training else (self.hparams.seed,)
        places = itertools.count(self.process_rank, self.world)
        samples = self.crop_samples(utterances)
        return [
            self.drawn(one, samples, seeded(*seeds, place))
            for one, place in zip(utterances, places)
        ]

    def drawn_speed(self, generator):
        """Draw one of the speeds at which training plays its utterances."""
        speeds = self.hparams.speeds
        return speeds[int(torch.randint(len(speeds), (), generator=generator))]

    def frozen_features(self, utterance, keeps=True, speed=1):
        """Features of an utterance by the frozen front-end, from its cache.

        Arguments
        ---------
        utterance : SimpleNamespace
            Holds ``id`` and ``signal``.
        keeps : bool
            Whether the signal is the same in every epoch.
        speed : float
            Speed at which the signal is played.

        Returns
        -------
        torch.Tensor
            Features before the projection, fp16 on the CPU, (frames, dim).

        Raises
        ------
        InputError
            If the cache was made from other audio.
        """
        encoder = self.bare("encoder")

        def compute():
            return encoded(encoder, utterance.signal, self.device)

        if not keeps:
            return compute()
        features = self.hparams.front_end(
            at_speed(utterance.id, speed), compute
        )
        frames = encoder.frame_lengths(len(utterance.signal))
        if len(features) != frames:
            raise InputError(
                f"the front-end cache has {len(features)} frames of "
                f"{utterance.id}, whose audio now gives {frames}: remove the "
                "cache's folder, or give --front_end_cache off."
            )
        return features

    def keep_layers(self, encoder, stage):
        """Layers kept by layer drop, the same on all ranks and parts."""
        if stage != sb.Stage.TRAIN:
            return None
        return encoder.keep_layers(seeded(*self.seeds(DROPPED_LAYERS)))

    def mean(self, numerators, batch):
        """Sum of the losses, each over its divisor for the whole update."""
        return (numerators / batch.totals.clamp(min=1e-12)).sum()

    @property
    def weight(self):
        """1, or 0 on a rank for which the batch has no utterance left.

        The sampler lends such a rank the batch's first utterance, because
        all ranks must take part in an update.
        """
        if self.world == 1:
            return 1
        batch = self.hparams.sampler.batches()[self.step - 1]
        return int(self.process_rank < len(batch))

    def drawn_update(self, utterances):
        """Ready utterances of an update, and its divisors over all ranks."""
        utterances = self.ready(utterances, sb.Stage.TRAIN)
        totals = self.denominators(utterances).to(self.device) * self.weight
        return utterances, self.over_ranks(totals)

    def part_loss(self, part, totals):
        """Compute a part's share of the update's loss, with gradients."""
        batch = padded(part, self.device)
        batch.totals = totals
        with self.training_ctx:
            outputs = self.compute_forward(batch, sb.Stage.TRAIN)
            loss = self.compute_objectives(outputs, batch, sb.Stage.TRAIN)
        loss = loss * self.weight
        # DDP averages over ranks; a sum is needed.
        scaled = self.scaler.scale(loss * self.world)
        scaled.backward()
        return loss.detach()

    @contextlib.contextmanager
    def unsynced(self):
        """Leave the exchange of gradients to a later part.

        SpeechBrain's own ``no_sync`` does not switch the exchange on again
        after an exception.
        """
        with contextlib.ExitStack() as stack:
            for module in self.modules.values():
                if hasattr(module, "no_sync"):
                    stack.enter_context(module.no_sync())
            yield

    def parts_loss(self, parts, totals):
        """Compute the gradients of all parts of an update; return its loss."""
        # One dropout mask covers a micro-batch: it cannot be per utterance.
        seeds = self.seeds(DROPOUT)
        torch.manual_seed(mixed_seed(*seeds, self.process_rank))
        total = torch.zeros((), device=self.device)
        for number, part in enumerate(parts, 1):
            is_last = number == len(parts)
            self.exchanges = is_last and self.world > 1
            with contextlib.nullcontext() if is_last else self.unsynced():
                total += self.part_loss(part, totals)
        return total

    def update_loss(self, utterances, totals):
        """Like ``parts_loss``, in parts that fit the memory."""
        while True:
            parts = micro_batches(utterances, self.budget.seconds)
            self.budget.begin()
            try:
                total = self.parts_loss(parts, totals)
                self.budget.observe(parts)
                return total
            except torch.OutOfMemoryError as error:
                # Other ranks have begun to add up this part's gradients.
                if self.exchanges:
                    raise
                reason = str(error)
            # Not in the handler, which still references what did not fit.
            self.zero_grad(set_to_none=True)
            self.budget.halve(parts, reason)

    def fit_batch(self, batch):
        """Run one update: gradients of all parts, exchanged once; one step."""
        begun = time.perf_counter()
        rate = self.hparams.lr_schedule(self.update, self.hparams.updates)
        for group in self.optimizer.param_groups:
            # Layers may have their own learning rates: nnet.layer_rates.
            group["lr"] = rate * group.get("scale", 1.0)
        utterances, totals = self.drawn_update(batch)
        own = self.update_loss(utterances, totals)
        total = self.over_ranks(own.clone())
        fault = self.fault(total)
        if fault is None:
            self.optimizers_step()
            self.budget.settle()
        else:
            self.skip(fault, own, utterances, totals)
        samples = sum(len(one.signal) for one in utterances)
        self.trained_seconds += samples / SAMPLE_RATE
        self.trained_wall += time.perf_counter() - begun
        total = total.cpu()
        mean = self.update_average(total, self.avg_train_loss)
        self.hparams.progress.step(mean)
        return total

    def evaluate_batch(self, batch, stage):
        """Compute the loss of a batch, without gradients."""
        utterances = self.ready(batch, stage)
        whole = padded(utterances, self.device)
        whole.totals = self.denominators(utterances).to(self.device)
        with torch.no_grad(), self.evaluation_ctx:
            outputs = self.compute_forward(whole, stage)
            loss = self.compute_objectives(outputs, whole, stage)
            if stage == sb.Stage.TEST:
                rows = self.posteriors_of(outputs).cpu().tolist()
                self.posteriors.update(zip(whole.id, rows))
                self.hparams.progress.step()
        return loss.detach().cpu()

    def posteriors_of(self, outputs):
        """Convert the output of a test's ``compute_forward`` to posteriors.

        Arguments
        ---------
        outputs : torch.Tensor
            Logits, shape (batch, classes).

        Returns
        -------
        torch.Tensor
            Each row sums to 1, shape (batch, classes).
        """
        return outputs.float().softmax(1)

    @property
    def update(self):
        """Number of this update in its stage, from 0."""
        return (self.epoch - 1) * self.hparams.updates_per_epoch + self.step - 1

    def asked_to_end(self):
        """Number of the signal that asked any of the ranks to end, or 0."""
        wanted = torch.tensor(int(STOPPING.wanted), device=self.device)
        return int(self.over_ranks(wanted, "MAX"))

    def _should_save_intra_epoch_ckpt(self, *since):
        """Save when asked to end, too, but not just before an epoch's own."""
        asked = super()._should_save_intra_epoch_ckpt(*since)
        if self.checkpointer is None:
            return False
        self.ending = self.asked_to_end()
        is_last = self.step == len(self.hparams.sampler)
        return (asked or self.ending > 0) and not is_last

    def _save_intra_epoch_ckpt(self):
        super()._save_intra_epoch_ckpt()
        if self.ending:
            raise Stopped(self.ending)

    def on_stage_start(self, stage, epoch=None):
        """Set the epoch of the sampler and the seeds.

        A test starts without posteriors; afterwards ``posteriors`` holds one
        row per utterance.
        """
        if stage == sb.Stage.TRAIN:
            self.epoch = epoch
            self.hparams.sampler.set_epoch(epoch)
            done = (epoch - 1) * self.hparams.updates_per_epoch + self.step
            self.hparams.progress.begin(epoch, done)
        elif stage == sb.Stage.TEST:
            self.posteriors = {}

    def on_stage_end(self, stage, stage_loss, epoch=None):
        """Log the epoch and save a checkpoint."""
        if stage == sb.Stage.TRAIN:
            self.train_loss = stage_loss
            if not self.hparams.validates:
                self.finish_epoch(epoch, {})
        elif stage == sb.Stage.VALID:
            self.finish_epoch(epoch, {"loss": stage_loss})

    def finish_epoch(self, epoch, valid_stats):
        """Log the epoch, and save a checkpoint."""
        rate = self.optimizer.param_groups[0]["lr"]
        meta = {"epoch": epoch, "lr": rate}
        train_stats = {"loss": self.train_loss, **self.train_details()}
        for each in self.hparams.train_loggers:
            each.log_stats(meta, train_stats, valid_stats or None)
        meta = {"epoch": epoch}
        min_keys = []
        if valid_stats:
            self.check_valid(epoch, valid_stats["loss"])
            meta["valid_loss"] = valid_stats["loss"]
            min_keys = ["valid_loss"]
        # Otherwise SpeechBrain would resume in the middle of this epoch.
        self.step, self.avg_train_loss = 0, 0.0
        # SpeechBrain adds to its default list at every call: with a list of
        # our own, the hundredth checkpoint is as fast as the first.
        self.checkpointer.save_and_keep_only(
            meta=meta, min_keys=min_keys, importance_keys=[], num_to_keep=1
        )
        number = self.asked_to_end()
        if number:
            raise Stopped(number)

    def train_details(self):
        """Additional figures of the epoch for the log."""
        return {}
