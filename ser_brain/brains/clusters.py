"""P3 of P-TAPT: wav2vec 2.0 predicts the pseudo-labels of masked frames."""

import torch

from ser_brain.brains.base import ObjectiveBrain
from ser_brain.dataio.audio import sample_count
from ser_brain.dataio.utterances import random_crop
from ser_brain.nnet.losses import IGNORED, cluster_terms
from ser_brain.nnet.masking import span_mask

HOP = 320


class ClusterBrain(ObjectiveBrain):
    """Masked cluster prediction, one cross-entropy a k.

    Modules: encoder (``Wav2Vec2``), heads (``ClusterHeads``). More in
    ``hparams``: pseudo_labels (``PseudoLabels``), mask_prob, mask_length,
    min_masks.
    """

    def ready(self, utterances, stage, generator):
        """Random crops on the frame grid, with masks and pseudo-labels."""
        return [self.drawn(one, generator) for one in utterances]

    def drawn(self, utterance, generator):
        """One crop, its mask and the labels of its frames."""
        samples = sample_count(self.hparams.max_seconds)
        whole = len(utterance.signal) <= samples
        utterance = random_crop(utterance, samples, generator, grid=HOP)
        if self.hparams.front_end is not None:
            utterance.features = self.frozen_features(utterance, whole)
        frames = self.bare("encoder").frame_lengths(len(utterance.signal))
        utterance.time_mask = span_mask(
            [frames],
            self.hparams.mask_prob,
            self.hparams.mask_length,
            self.hparams.min_masks,
            generator,
        )[0]
        targets = self.hparams.pseudo_labels.frames(
            utterance.id, utterance.start // HOP, frames
        )
        utterance.targets = torch.as_tensor(targets).long()
        return utterance

    def denominators(self, utterances):
        """Masked frames that have pseudo-labels."""
        return sum(
            (one.time_mask & (one.targets != IGNORED).all(-1)).sum()
            for one in utterances
        ).float()[None]

    def compute_forward(self, batch, stage):
        """Logits of the masked frames, one tensor (masked, k) a k."""
        states = self.modules.encoder(
            batch.wavs,
            batch.wav_lens,
            masks=(batch.time_mask, None),
            keep=self.keep_layers(self.bare("encoder"), stage),
            features=getattr(batch, "features", None),
        )
        return self.modules.heads(states[batch.time_mask])

    def compute_objectives(self, logits, batch, stage):
        """Sum over the k of the mean cross-entropy at masked frames."""
        targets = batch.targets[batch.time_mask]
        numerators, _ = cluster_terms(logits, targets)
        return self.mean(numerators, batch)
