"""Heads on a frozen encoder's layers, from cached features."""

from types import SimpleNamespace

import torch
from speechbrain import Stage

from ser_brain.brains.base import ObjectiveBrain
from ser_brain.nnet.losses import IGNORED, weighted_cross_entropy_terms


def with_more(utterance, **more):
    """A copy of an utterance with more to it."""
    return SimpleNamespace(**vars(utterance), **more)


class FrozenBrain(ObjectiveBrain):
    """Train a head over an encoder's layers; the encoder is not run.

    With ``PosteriorFusionHead`` the classifier of each layer is trained
    separately, and the weights of the layers on speakers unseen by the
    classifiers (``CrossFitting``). Weights that are learned on the
    classifiers' own utterances prefer the low layers, which separate few
    speakers very well. With ``FrameFusionHead`` (Pepino et al.) everything is
    learned jointly.

    Module: heads (``CrossFitting``). Also expects in ``hparams``:
    class_weights, layer_features (from an utterance's id and a speed to its
    cached features), speeds, groups (id to the number of its group of
    speakers).
    """

    def ready(self, utterances, stage):
        """Take features at a random speed in training, else at the test's."""
        if stage == Stage.TRAIN:
            return super().ready(utterances, stage)
        return [self.with_features(one, self.test_speed) for one in utterances]

    def crop_samples(self, utterances):
        """No limit: features are those of whole utterances."""
        return None

    def drawn(self, utterance, samples, generator):
        """Draw the features of an utterance at one of the speeds."""
        return self.with_features(utterance, self.drawn_speed(generator))

    def with_features(self, utterance, speed):
        """An utterance with its kept features and its group."""
        features = self.hparams.layer_features(utterance.id, speed)
        group = self.hparams.groups.get(utterance.id, -1)
        more = {"features": features, "frames": len(features), "group": group}
        return with_more(utterance, **more)

    def denominators(self, utterances):
        """Sums of class weights: all, then those that each witness learns."""
        labels = torch.tensor([one.label for one in utterances])
        groups = torch.tensor([one.group for one in utterances])
        weights = self.hparams.class_weights.cpu()[labels]
        witnesses = range(len(self.bare("heads").witnesses))
        learned = [weights[groups != group].sum() for group in witnesses]
        return torch.stack([weights.sum(), *learned])

    def compute_forward(self, batch, stage):
        """Run ``CrossFitting``; in a test return the head's posteriors."""
        if stage == Stage.TRAIN:
            return self.modules.heads(batch.features, batch.frames, batch.group)
        return self.bare("heads").head.from_kept(batch.features, batch.frames)

    def compute_objectives(self, outputs, batch, stage):
        """Return the cross-entropies, weighted by class."""
        if stage != Stage.TRAIN:
            return self.mean(self.terms(outputs, batch.label)[None], batch)
        own, witnessed, fused = outputs
        whole = self.terms(fused, batch.label)
        if own is not None:
            whole = whole + self.layer_terms(own, batch.label)
        numerators = [whole]
        for group, heard in enumerate(witnessed):
            labels = batch.label.masked_fill(batch.group == group, IGNORED)
            numerators.append(self.layer_terms(heard, labels))
        return self.mean(torch.stack(numerators), batch)

    def layer_terms(self, log_posteriors, labels):
        """Sum over layers of each layer's own cross-entropies."""
        layers = log_posteriors.shape[1]
        labels = labels[:, None].expand(-1, layers)
        return self.terms(log_posteriors, labels)

    def terms(self, log_posteriors, labels):
        """Summed cross-entropies, each times the weight of its class."""
        return weighted_cross_entropy_terms(
            log_posteriors, labels, self.hparams.class_weights
        )[0]

    def posteriors_of(self, outputs):
        """Return posteriors, of which the head returns the logarithms."""
        return outputs.exp()
