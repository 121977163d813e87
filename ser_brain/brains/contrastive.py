"""Task adaptive pretraining with wav2vec 2.0's own objective (TAPT)."""

from types import SimpleNamespace

import torch
from speechbrain import Stage

from ser_brain.brains.base import ObjectiveBrain
from ser_brain.dataio.utterances import micro_batches, padded, random_crop
from ser_brain.lobes.wav2vec2.codebook import diversity_shares
from ser_brain.lobes.wav2vec2.pretraining import draw_negatives


class ContrastiveBrain(ObjectiveBrain):
    """Continues the pretraining on the task's audio.

    Module: objective (``Wav2Vec2Pretraining``). The loss is the mean over
    the masked frames of the batch. The codebook's diversity, which is not a
    sum over frames, is that of each micro-batch, weighted by its masked
    frames: of all losses, only this one depends slightly on how an update is
    split. Several ranks use the micro-batches that one process would make, for
    which they run the CNN twice.
    """

    details = {}

    def drawn(self, utterance, samples, generator):
        """Draw a crop, its mask, its negatives and the seed of its noise."""
        objective = self.bare("objective")
        utterance = random_crop(utterance, samples, generator)
        lengths = [objective.frame_lengths(len(utterance.signal))]
        mask = objective.draw_mask(lengths, generator)
        utterance.time_mask = mask[0]
        utterance.negatives = draw_negatives(
            mask, objective.num_negatives, generator
        )[0]
        # The noise itself is drawn on the device, where that is fast.
        utterance.noise_seed = int(
            torch.randint(2**63 - 1, (), generator=generator)
        )
        return utterance

    def denominators(self, utterances):
        """Number of masked frames in the batch."""
        return sum(one.time_mask.sum() for one in utterances).float()[None]

    def drawn_update(self, utterances):
        """Also set each utterance's share of the codebook's diversity."""
        utterances, totals = super().drawn_update(utterances)
        if self.world > 1:
            self.share_diversity(utterances)
        return utterances, totals

    def share_diversity(self, utterances):
        """Give utterances their share of the diversity over all ranks."""
        objective = self.bare("objective")
        count = self.number_parts(utterances)
        quantizer = objective.model.quantizer
        shape = (count, quantizer.num_groups, quantizer.num_vars)
        used = torch.zeros(shape, device=self.device)
        frames = torch.zeros(count, device=self.device)
        for part in micro_batches(utterances, self.budget.seconds):
            batch = padded(part, self.device)
            with self.training_ctx:
                usage = objective.usage(
                    batch.wavs, batch.wav_lens, batch.time_mask
                )
            clips = usage.split(batch.time_mask.sum(1).tolist())
            for one, clip in zip(part, clips):
                used[one.part] += clip.sum(0) * self.weight
                frames[one.part] += len(clip) * self.weight
        used, frames = self.over_ranks(used), self.over_ranks(frames)
        means = used / frames.clamp(min=1)[:, None, None]
        shares = [diversity_shares(mean) for mean in means.cpu()]
        for one in utterances:
            one.diversity_slopes, rest = shares[one.part]
            one.diversity_rest = rest[None]

    def number_parts(self, utterances):
        """Set ``part``, the micro-batch that a single process would use.

        Returns
        -------
        int
            Number of micro-batches.
        """
        size = len(self.hparams.sampler.batches()[self.step - 1])
        places = range(self.process_rank, self.world + size, self.world)
        lengths = torch.zeros(self.world + size, dtype=torch.int64)
        for place, one in zip(places, utterances):
            lengths[place] = len(one.signal)
        lengths = self.over_ranks(lengths.to(self.device)).tolist()
        seconds = self.budget.seconds or float("inf")
        seconds = torch.tensor(seconds, device=self.device)
        parts = micro_batches(
            [
                SimpleNamespace(signal=range(length), place=place)
                for place, length in enumerate(lengths[:size])
            ],
            float(self.over_ranks(seconds, "MIN")),
        )
        numbers = {
            one.place: number
            for number, part in enumerate(parts)
            for one in part
        }
        for place, one in zip(places, utterances):
            # A lent utterance does not count.
            one.part = numbers.get(place, 0)
        return len(parts)

    def compute_forward(self, batch, stage):
        """Compute the summed loss and its details."""
        objective = self.bare("objective")
        if stage == Stage.TRAIN:
            objective.set_temperature(self.update)
        return self.modules.objective(
            batch.wavs,
            batch.wav_lens,
            time_mask=batch.time_mask,
            negatives=batch.negatives,
            noise=objective.draw_noise(
                batch.time_mask.sum(1).tolist(), batch.noise_seed.tolist()
            ),
            keep=self.keep_layers(objective.encoder, stage),
            shares=self.shares(batch),
        )

    def shares(self, batch):
        """Shares set by ``share_diversity`` for the batch, if any."""
        if not hasattr(batch, "diversity_slopes"):
            return None
        return batch.diversity_slopes, batch.diversity_rest[:, 0]

    def compute_objectives(self, outputs, batch, stage):
        """Return the mean over masked frames."""
        loss, self.details = outputs
        return self.mean(loss[None], batch)

    def train_details(self):
        """Accuracy and codebook use in the last part of the last batch."""
        names = ("accuracy", "perplexity")
        return {name: float(self.details[name]) for name in names}
