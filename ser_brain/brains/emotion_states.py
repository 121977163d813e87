"""P1 of P-TAPT: an encoder learns states that distinguish emotions."""

import torch
from speechbrain import Stage

from ser_brain.brains.base import ObjectiveBrain
from ser_brain.dataio.utterances import random_crop
from ser_brain.nnet.losses import weighted_cross_entropy_terms


class EmotionStateBrain(ObjectiveBrain):
    """Train frame and utterance classification jointly.

    Modules: encoder (``lobes.state_encoder.StateEncoder``), frame_head
    (``FrameHead``), utterance_head (``UtteranceHead`` over a BiLSTM). Also
    expects class_weights in ``hparams``.
    """

    def crop_samples(self, utterances):
        """Samples in the shortest clip of the batch, over all ranks."""
        shortest = min(len(one.signal) for one in utterances)
        shortest = torch.tensor(shortest, device=self.device)
        return int(self.over_ranks(shortest, "MIN"))

    def ready(self, utterances, stage):
        """Crop to the batch's shortest clip in training, else do not crop."""
        if stage != Stage.TRAIN:
            return utterances
        return super().ready(utterances, stage)

    def drawn(self, utterance, samples, generator):
        """Draw a random crop and the masks of its frames and features."""
        utterance = random_crop(utterance, samples, generator)
        masks = self.bare("encoder").draw_masks(
            len(utterance.signal), generator
        )
        for name, mask in zip(("time_mask", "feature_mask"), masks):
            if mask is not None:
                setattr(utterance, name, mask)
        return utterance

    def denominators(self, utterances):
        """Sums of the class weights, over frames and over utterances."""
        labels = torch.tensor([one.label for one in utterances])
        weights = self.hparams.class_weights[labels]
        frame_lengths = self.bare("encoder").frame_lengths
        frames = torch.tensor(
            [frame_lengths(len(one.signal)) for one in utterances]
        ).to(weights.device)
        return torch.stack([(weights * frames).sum(), weights.sum()])

    def compute_forward(self, batch, stage):
        """Compute logits of frames (batch, frames, classes) and utterances."""
        encoder = self.bare("encoder")
        states = self.modules.encoder(
            batch.wavs,
            batch.wav_lens,
            time_mask=getattr(batch, "time_mask", None),
            feature_mask=getattr(batch, "feature_mask", None),
            keep=self.keep_layers(encoder, stage),
        )
        lengths = encoder.frame_lengths(batch.samples)
        frame_logits = self.modules.frame_head(states)
        utterance_logits = self.modules.utterance_head(states, lengths)
        return frame_logits, utterance_logits, lengths

    def compute_objectives(self, outputs, batch, stage):
        """Return the sum of the two weighted cross-entropies."""
        frame_logits, utterance_logits, lengths = outputs
        frames = torch.arange(frame_logits.shape[1], device=lengths.device)
        labels = batch.label[:, None].expand(-1, len(frames))
        labels = labels.masked_fill(frames >= lengths[:, None], -100)
        weights = self.hparams.class_weights
        numerators = [
            weighted_cross_entropy_terms(frame_logits, labels, weights)[0],
            weighted_cross_entropy_terms(
                utterance_logits, batch.label, weights
            )[0],
        ]
        return self.mean(torch.stack(numerators), batch)
