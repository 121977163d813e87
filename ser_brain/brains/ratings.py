"""Regression of an utterance's ratings, as valence, arousal, dominance."""

import torch

from ser_brain.brains.utterance import UtteranceBrain
from ser_brain.nnet.losses import concordance_loss


class RatingBrain(UtteranceBrain):
    """One less the concordance correlation, the mean over the targets.

    Modules: encoder (``lobes.encoder.Encoder``), head (``UtteranceHead`` with
    one output for each target). More in ``hparams``: augment, lr_decay, and
    target_mean and target_scale, each of shape (targets,), by which the head's
    outputs become ratings. The concordance of an update that is computed in
    several parts, or by several ranks, is the mean of the parts', by their
    numbers of utterances.
    """

    def denominators(self, utterances):
        """Utterances of the batch."""
        return torch.tensor([float(len(utterances))])

    def compute_objectives(self, outputs, batch, stage):
        """Mean over the targets of one less the concordance."""
        mean, scale = self.target_statistics(outputs)
        wanted = (batch.target.to(outputs) - mean) / scale
        loss = concordance_loss(outputs, wanted).mean()
        return self.mean(loss[None] * len(outputs), batch)

    def posteriors_of(self, outputs):
        """The ratings of a test, in place of posteriors."""
        mean, scale = self.target_statistics(outputs)
        return outputs.float() * scale.float() + mean.float()

    def target_statistics(self, outputs):
        """Mean and scale on the outputs' device."""
        found = (self.hparams.target_mean, self.hparams.target_scale)
        return (each.to(outputs) for each in found)
