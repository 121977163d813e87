"""Task adaptive pretraining with wav2vec 2.0's own objective (TAPT)."""

import torch
from speechbrain import Stage

from ser_brain.brains.base import ObjectiveBrain
from ser_brain.dataio.utterances import random_crop
from ser_brain.lobes.wav2vec2.pretraining import draw_negatives


class ContrastiveBrain(ObjectiveBrain):
    """Continues the pretraining on the task's audio.

    Module: objective (``Wav2Vec2Pretraining``). The loss is the mean over
    the masked frames of the batch. The codebook's diversity, which is no sum
    over frames, is that of each micro-batch on each rank, weighted by its
    masked frames: alone among the losses it depends a little on how an
    update is cut.
    """

    details = {}

    def drawn(self, utterance, samples, generator):
        """A crop, its mask, its negatives and the seed of its noise."""
        objective = self.bare("objective")
        utterance = random_crop(utterance, samples, generator)
        lengths = [objective.frame_lengths(len(utterance.signal))]
        mask = objective.draw_mask(lengths, generator)
        utterance.time_mask = mask[0]
        utterance.negatives = draw_negatives(
            mask, objective.num_negatives, generator
        )[0]
        # The noise itself is drawn on the device, where that is quick.
        utterance.noise_seed = int(
            torch.randint(2**63 - 1, (), generator=generator)
        )
        return utterance

    def denominators(self, utterances):
        """Masked frames of the batch."""
        return sum(one.time_mask.sum() for one in utterances).float()[None]

    def compute_forward(self, batch, stage):
        """The summed loss and its details."""
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
        )

    def compute_objectives(self, outputs, batch, stage):
        """Mean over masked frames."""
        loss, self.details = outputs
        return self.mean(loss[None], batch)

    def train_details(self):
        """Accuracy and codebook use of the last batch, if there was one.

        A run that was killed after the last update of an epoch goes on
        without any.
        """
        keys = self.details.keys() & {"accuracy", "perplexity"}
        return {key: float(self.details[key]) for key in sorted(keys)}
