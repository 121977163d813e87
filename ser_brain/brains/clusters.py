"""P3 of P-TAPT: the encoder predicts the pseudo-labels of masked frames."""

import torch

from ser_brain.brains.base import ObjectiveBrain
from ser_brain.dataio.utterances import random_crop
from ser_brain.nnet.losses import IGNORED, cluster_terms, soft_cluster_terms
from ser_brain.nnet.masking import span_mask


class ClusterBrain(ObjectiveBrain):
    """Masked cluster prediction, one cross-entropy per k.

    Modules: encoder (``lobes.encoder.Encoder``), heads (``ClusterHeads``).
    Also expects in ``hparams``: pseudo_labels (``PseudoLabels``), mask_prob,
    mask_length, min_masks.
    """

    def drawn(self, utterance, samples, generator):
        """Draw a crop on the frame grid, its mask and its pseudo-labels."""
        whole = len(utterance.signal) <= samples
        encoder = self.bare("encoder")
        hop = encoder.hop
        utterance = random_crop(utterance, samples, generator, grid=hop)
        if self.hparams.front_end is not None:
            utterance.features = self.frozen_features(utterance, whole)
        frames = encoder.frame_lengths(len(utterance.signal))
        utterance.time_mask = span_mask(
            [frames],
            self.hparams.mask_prob,
            self.hparams.mask_length,
            self.hparams.min_masks,
            generator,
        )[0]
        targets = self.hparams.pseudo_labels.frames(
            utterance.id, utterance.start // hop, frames
        )
        utterance.targets = torch.as_tensor(targets).long()
        if self.hparams.pseudo_labels.top > 1:
            utterance.shares = self.hparams.pseudo_labels.shares(
                utterance.id, utterance.start // hop, frames
            )
        return utterance

    def denominators(self, utterances):
        """Number of masked frames with pseudo-labels."""
        return sum(
            (one.time_mask & (one.targets != IGNORED).all(-1)).sum()
            for one in utterances
        ).float()[None]

    def compute_forward(self, batch, stage):
        """Compute logits of masked frames, one tensor (masked, k) per k."""
        states = self.modules.encoder(
            batch.wavs,
            batch.wav_lens,
            masks=(batch.time_mask, None),
            keep=self.keep_layers(self.bare("encoder"), stage),
            features=getattr(batch, "features", None),
        )
        return self.modules.heads(states[batch.time_mask])

    def compute_objectives(self, logits, batch, stage):
        """Sum over all k of the mean cross-entropy at masked frames."""
        targets = batch.targets[batch.time_mask]
        if self.hparams.pseudo_labels.top > 1:
            shares = batch.shares[batch.time_mask]
            numerators, _ = soft_cluster_terms(logits, targets, shares)
        else:
            numerators, _ = cluster_terms(logits, targets)
        return self.mean(numerators, batch)
