"""Regression of ratings such as valence, arousal and dominance."""

import torch

from ser_brain.brains.utterance import UtteranceBrain
from ser_brain.nnet.losses import concordance_loss


class RatingBrain(UtteranceBrain):
    """Train on 1 - the concordance correlation, averaged over targets.

    Modules: encoder (``lobes.encoder.Encoder``), head (``UtteranceHead`` with
    one output per target). Also expects in ``hparams``: augment, lr_decay, and
    target_mean and target_scale, each of shape (targets,), by which the head's
    outputs become ratings. The concordance of an update that is computed in
    several parts, or by several ranks, is the mean over the parts, weighted by
    their numbers of utterances.
    """

    def denominators(self, utterances):
        """Number of utterances in the batch."""
        return torch.tensor([float(len(utterances))])

    def compute_objectives(self, outputs, batch, stage):
        """Return the mean over the targets of 1 - concordance."""
        mean, scale = self.target_statistics(outputs)
        wanted = (batch.target.to(outputs) - mean) / scale
        loss = concordance_loss(outputs, wanted).mean()
        return self.mean(loss[None] * len(outputs), batch)

    def posteriors_of(self, outputs):
        """Return the ratings of a test, in place of posteriors."""
        mean, scale = self.target_statistics(outputs)
        return outputs.float() * scale.float() + mean.float()

    def target_statistics(self, outputs):
        """Return mean and scale on the outputs' device."""
        found = (self.hparams.target_mean, self.hparams.target_scale)
        return (each.to(outputs) for each in found)
