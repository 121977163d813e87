"""A head on audio and text, from cached features."""

import torch

from ser_brain.brains.frozen import FrozenBrain, with_more


class BimodalBrain(FrozenBrain):
    """Train a ``BimodalHead``; neither encoder is run.

    Each member of the head is trained with its own weighted cross-entropy; a
    test uses the mean of their posteriors.

    Module: head (``BimodalHead``). More in ``hparams``: class_weights,
    layer_features and speeds as for ``FrozenBrain``, and text_features (from
    an utterance's id to the states of its tokens).
    """

    def with_features(self, utterance, speed):
        """An utterance with its cached frames and tokens."""
        audio = self.hparams.layer_features(utterance.id, speed)[:, 0]
        text = self.hparams.text_features(utterance.id)
        more = {"features": audio, "frames": len(audio)}
        return with_more(utterance, text=text, tokens=len(text), **more)

    def denominators(self, utterances):
        """Sum of the class weights of the batch."""
        labels = torch.tensor([one.label for one in utterances])
        return self.hparams.class_weights.cpu()[labels].sum()[None]

    def compute_forward(self, batch, stage):
        """Compute log-posteriors of the members (batch, members, classes)."""
        audio = batch.features.float(), batch.frames
        return self.modules.head(*audio, batch.text.float(), batch.tokens)

    def compute_objectives(self, members, batch, stage):
        """Cross-entropies of the members."""
        losses = self.layer_terms(members, batch.label)
        return self.mean(losses[None], batch)

    def posteriors_of(self, members):
        """The mean of the members' posteriors."""
        return self.bare("head").fuse(members).exp()
