"""Fine-tuning: the emotion of an utterance (V-FT, and P4 of P-TAPT)."""

import torch
from speechbrain import Stage

from ser_brain.brains.base import ObjectiveBrain
from ser_brain.dataio.audio import played
from ser_brain.dataio.batches import global_seed
from ser_brain.dataio.utterances import with_signal
from ser_brain.errors import InputError
from ser_brain.nnet.layer_rates import layer_groups
from ser_brain.nnet.losses import (
    soft_cross_entropy_sum,
    weighted_cross_entropy_terms,
)


class UtteranceBrain(ObjectiveBrain):
    """Weighted cross-entropy on the utterance (Chen and Rudnicky).

    Modules: encoder (``lobes.frame_encoder.FrameEncoder``), head
    (``UtteranceHead``). Also expects in ``hparams``: class_weights, augment (a
    ``speechbrain.augment`` Augmenter or None), lr_decay and head_lr_factor
    (``nnet.layer_rates``).
    """

    def init_optimizers(self):
        """Use one learning rate, or groups of parameters with their own."""
        decay = getattr(self.hparams, "lr_decay", 1.0)
        factor = getattr(self.hparams, "head_lr_factor", 1.0)
        if decay == factor == 1:
            super().init_optimizers()
            return
        if self.remove_vector_weight_decay:
            raise InputError(
                "--remove_vector_weight_decay goes with one learning rate: "
                "leave it, or --lr_decay and --head_lr_factor, out."
            )
        groups = layer_groups(self.modules, self.bare("encoder"), decay, factor)
        self.optimizer = self.opt_class(groups)
        self.optimizers_dict = {"opt_class": self.optimizer}
        if self.checkpointer is not None:
            self.checkpointer.add_recoverable("optimizer", self.optimizer)

    def ready(self, utterances, stage):
        """Truncate, augment and mask in training; else keep it whole."""
        if stage == Stage.TRAIN:
            return super().ready(utterances, stage)
        return [
            with_signal(one, played(one.signal, self.test_speed))
            for one in utterances
        ]

    def augmented(self, signal, generator):
        """Augment a signal of shape (samples,).

        SpeechBrain's augmentations draw from the global generators, which
        are seeded for this utterance. An augmentation that keeps state between
        calls, as ``AddNoise`` does with a ``csv_file``, still depends on
        earlier calls in its process.
        """
        seed = int(torch.randint(2**32, (), generator=generator))
        with global_seed(seed):
            return self.hparams.augment(signal[None], torch.ones(1))[0][0]

    def drawn(self, utterance, samples, generator):
        """Truncate and augment an utterance, and draw its masks."""
        encoder = self.bare("encoder")
        speed = self.drawn_speed(generator)
        signal = played(utterance.signal, speed)[:samples]
        if self.hparams.augment is not None:
            signal = self.augmented(signal, generator)
        utterance = with_signal(utterance, signal)
        if self.hparams.front_end is not None:
            utterance.features = self.frozen_features(utterance, speed=speed)
        if encoder.span_mask is not None:
            lengths = [encoder.frame_lengths(len(signal))]
            time_mask, feature_mask = encoder.span_mask(
                lengths, encoder.dim, generator
            )
            utterance.time_mask = time_mask[0]
            if feature_mask is not None:
                utterance.feature_mask = feature_mask[0]
        return utterance

    def denominators(self, utterances):
        """Sum of the class weights of the batch."""
        weights = self.hparams.class_weights
        if hasattr(utterances[0], "target"):
            shares = torch.stack([one.target for one in utterances])
            return (shares.to(weights) * weights).sum()[None]
        labels = torch.tensor([one.label for one in utterances])
        return weights[labels].sum()[None]

    def frames(self, batch, stage):
        """Compute the encoder's frames (batch, frames, dim) and lengths."""
        masks = (
            getattr(batch, "time_mask", None),
            getattr(batch, "feature_mask", None),
        )
        encoder = self.bare("encoder")
        states = self.modules.encoder(
            batch.wavs,
            batch.wav_lens,
            masks=masks,
            keep=self.keep_layers(encoder, stage),
            features=getattr(batch, "features", None),
        )
        return states, encoder.frame_lengths(batch.samples)

    def compute_forward(self, batch, stage):
        """Compute the logits of each utterance, shape (batch, classes)."""
        return self.modules.head(*self.frames(batch, stage))

    def compute_objectives(self, logits, batch, stage):
        """Return the class-weighted cross-entropy, averaged over the batch.

        Its targets are the classes, or the raters' shares if utterances have
        them.
        """
        if hasattr(batch, "target"):
            numerator = soft_cross_entropy_sum(
                logits, batch.target, self.hparams.class_weights
            )
            return self.mean(numerator[None], batch)
        numerator, _ = weighted_cross_entropy_terms(
            logits, batch.label, self.hparams.class_weights
        )
        return self.mean(numerator[None], batch)
