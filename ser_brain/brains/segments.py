"""Fine-tuning of frames and segments on the utterance's label."""

import torch
from speechbrain import Stage

from ser_brain.brains.utterance import UtteranceBrain
from ser_brain.nnet.losses import IGNORED, weighted_cross_entropy_terms


class SegmentBrain(UtteranceBrain):
    """Weighted cross-entropies of frames and of segments (Xia et al., 2021).

    Modules: encoder (``lobes.frame_encoder.FrameEncoder``), head
    (``SegmentHead``). A test uses the mean of an utterance's frames.
    """

    def denominators(self, utterances):
        """Sums of the class weights: over frames, over segments."""
        head, encoder = self.bare("head"), self.bare("encoder")
        labels = torch.tensor([one.label for one in utterances])
        weights = self.hparams.class_weights.cpu()[labels]
        samples = torch.tensor([len(one.signal) for one in utterances])
        frames = encoder.frame_lengths(samples)
        segments = head.segment_counts(frames)
        return torch.stack(
            [weights @ frames.float(), weights @ segments.float()]
        )

    def compute_forward(self, batch, stage):
        """Training: logits of the frames and their lengths."""
        if stage != Stage.TRAIN:
            return super().compute_forward(batch, stage)
        states, lengths = self.frames(batch, stage)
        return self.modules.head(states, lengths, whole=False), lengths

    def compute_objectives(self, outputs, batch, stage):
        """Sum of the two cross-entropies."""
        if stage != Stage.TRAIN:
            # The loss of a test, which differs, is not used.
            return outputs.new_zeros(())
        logits, lengths = outputs
        pooled, valid = self.bare("head").segments(logits, lengths)
        frames = torch.arange(logits.shape[1], device=lengths.device)
        numerators = [
            self.terms(logits, frames < lengths[:, None], batch.label),
            self.terms(pooled, valid, batch.label),
        ]
        return self.mean(torch.stack(numerators), batch)

    def terms(self, logits, valid, label):
        """Summed cross-entropies of what is valid, shape ()."""
        labels = label[:, None].expand(valid.shape).masked_fill(~valid, IGNORED)
        return weighted_cross_entropy_terms(
            logits, labels, self.hparams.class_weights
        )[0]
