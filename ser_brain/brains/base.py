"""What the four objectives share: seeds, micro-batches, rates and logs."""

import os
import time

import speechbrain as sb
import torch

from ser_brain.dataio.audio import SAMPLE_RATE
from ser_brain.dataio.batches import mixed_seed, seeded
from ser_brain.dataio.utterances import micro_batches, padded

# Streams of random numbers of one update, so that none disturbs another.
CROPS, DROPPED_LAYERS, DROPOUT = range(3)


def audio_seconds(batch):
    """Unpadded audio of a padded batch, in seconds."""
    return float(batch.samples.sum()) / SAMPLE_RATE


class ObjectiveBrain(sb.Brain):
    """A Brain whose update is the batch, in however many parts it is run.

    A sub-class says what it draws for an utterance (``ready``), what the
    batch's losses are divided by (``denominators``), and computes them
    (``compute_forward``, ``compute_objectives`` by ``self.mean``). Crops,
    masks and dropped layers are drawn before the batch is cut into
    micro-batches and depend on the seed, the epoch, the step and the rank
    alone, so a killed run goes on exactly as it would have.

    Expects in ``hparams``: stage, seed, lr_schedule, max_seconds,
    micro_batch_seconds, front_end_cache, sampler, updates,
    updates_per_epoch, validates, file_logger, tensorboard.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.epoch = 0
        self.trained_seconds = 0.0
        self.trained_wall = 0.0
        self.train_loss = 0.0
        self._features = {}

    @property
    def world(self):
        """Data-parallel processes."""
        return int(os.environ.get("WORLD_SIZE", 1))

    def ready(self, utterances, stage, generator):
        """Crops the utterances of an update and draws their masks."""
        raise TypeError(f"{type(self).__name__} does not define ready()")

    def denominators(self, utterances):
        """Divisors of an update's losses, shape (losses,)."""
        raise TypeError(f"{type(self).__name__} has no denominators()")

    def bare(self, name):
        """A module without its data-parallel wrapper."""
        module = self.modules[name]
        return getattr(module, "module", module)

    def stream(self, purpose):
        """A generator for one purpose of this update."""
        rank = 0 if purpose == DROPPED_LAYERS else self.process_rank
        return seeded(self.hparams.seed, self.epoch, self.step, purpose, rank)

    @property
    def process_rank(self):
        """Data-parallel rank of this process."""
        return int(os.environ.get("RANK", 0))

    def frozen_features(self, utterance, keeps=True):
        """What the frozen front-end gives for an utterance, kept in memory.

        Arguments
        ---------
        utterance : SimpleNamespace
            Holds ``id`` and ``signal``.
        keeps : bool
            Whether the signal is the same in every epoch.

        Returns
        -------
        torch.Tensor
            Projected features before dropout, on the CPU, (frames, dim).
        """
        if keeps and utterance.id in self._features:
            return self._features[utterance.id]
        wavs = utterance.signal[None].to(self.device)
        with torch.no_grad(), self.training_ctx:
            features, _ = self.bare("encoder").projected(wavs, None)
        features = features[0].float().cpu()
        if keeps:
            self._features[utterance.id] = features
        return features

    def keep_layers(self, encoder, stage):
        """Layers that layer drop leaves, alike on all ranks and parts."""
        if stage != sb.Stage.TRAIN:
            return None
        return encoder.keep_layers(self.stream(DROPPED_LAYERS))

    def mean(self, numerators, batch):
        """Sum of the losses, each over its divisor of the whole update."""
        return (numerators / batch.totals.clamp(min=1e-12)).sum()

    def parts(self, utterances):
        """Ready, padded micro-batches that share the update's divisors."""
        stage = sb.Stage.TRAIN
        utterances = self.ready(utterances, stage, self.stream(CROPS))
        totals = self.denominators(utterances).to(self.device)
        if self.distributed_launch:
            torch.distributed.all_reduce(totals)
        for part in micro_batches(utterances, self.hparams.micro_batch_seconds):
            batch = padded(part, self.device)
            batch.totals = totals
            yield batch

    def fit_batch(self, batch):
        """One update: gradients of all parts, exchanged once, one step."""
        begun = time.perf_counter()
        seed = (self.hparams.seed, self.epoch, self.step, DROPOUT)
        torch.manual_seed(mixed_seed(*seed, self.process_rank))
        rate = self.hparams.lr_schedule(self.update, self.hparams.updates)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        parts = list(self.parts(batch))
        total = torch.zeros((), device=self.device)
        for number, part in enumerate(parts, 1):
            with self.no_sync(number < len(parts)):
                with self.training_ctx:
                    outputs = self.compute_forward(part, sb.Stage.TRAIN)
                    loss = self.compute_objectives(
                        outputs, part, sb.Stage.TRAIN
                    )
                # DDP averages over ranks what must be a sum.
                scaled = self.scaler.scale(loss * self.world)
                self.check_loss_isfinite(scaled)
                scaled.backward()
            total += loss.detach()
        self.optimizers_step()
        self.trained_seconds += sum(map(audio_seconds, parts))
        self.trained_wall += time.perf_counter() - begun
        return total.cpu()

    def evaluate_batch(self, batch, stage):
        """Loss of a batch of whole utterances, without any draw."""
        utterances = self.ready(batch, stage, seeded(self.hparams.seed))
        whole = padded(utterances, self.device)
        whole.totals = self.denominators(utterances).to(self.device)
        with torch.no_grad(), self.evaluation_ctx:
            outputs = self.compute_forward(whole, stage)
            loss = self.compute_objectives(outputs, whole, stage)
        return loss.detach().cpu()

    @property
    def update(self):
        """Number of this update in its stage, from 0."""
        return (self.epoch - 1) * self.hparams.updates_per_epoch + self.step - 1

    def on_stage_start(self, stage, epoch=None):
        """Tells the sampler and the seeds which epoch it is."""
        if stage == sb.Stage.TRAIN:
            self.epoch = epoch
            self.hparams.sampler.set_epoch(epoch)

    def on_stage_end(self, stage, stage_loss, epoch=None):
        """Logs the epoch and leaves a checkpoint to go on from."""
        if stage == sb.Stage.TRAIN:
            self.train_loss = stage_loss
            if not self.hparams.validates:
                self.finish_epoch(epoch, {})
        elif stage == sb.Stage.VALID:
            self.finish_epoch(epoch, {"loss": stage_loss})

    def finish_epoch(self, epoch, valid_stats):
        """One line in train_log.txt and TensorBoard, one checkpoint."""
        rate = self.optimizer.param_groups[0]["lr"]
        meta = {"epoch": epoch, "lr": rate}
        train_stats = {"loss": self.train_loss, **self.train_details()}
        stage = {"stage": self.hparams.stage}
        self.hparams.file_logger.log_stats(
            {**stage, **meta}, train_stats, valid_stats or None
        )
        self.hparams.tensorboard.log_stats(
            meta, train_stats, valid_stats or None
        )
        meta = {"epoch": epoch}
        min_keys = []
        if valid_stats:
            meta["valid_loss"] = valid_stats["loss"]
            min_keys = ["valid_loss"]
        # SpeechBrain would go on in the middle of this epoch otherwise.
        self.step, self.avg_train_loss = 0, 0.0
        # SpeechBrain adds to its default list at every call: a list of our
        # own keeps the hundredth checkpoint as quick as the first.
        self.checkpointer.save_and_keep_only(
            meta=meta, min_keys=min_keys, importance_keys=[], num_to_keep=1
        )

    def train_details(self):
        """More figures of the epoch for the log."""
        return {}
