#!/usr/bin/env python3
"""Recipe for fine-tuning wav2vec 2.0 for emotion recognition on CORPUS.

V-FT of Chen and Rudnicky, https://arxiv.org/abs/2110.06309: the CNN stays
frozen; the transformer and a linear layer over the mean of its output learn
the emotion of the utterance. The last epoch is tested on the speakers that
are left out.

To run this recipe, do the following:
> python train_vft.py hparams/train_vft.yaml --data_folder=/path/to/CORPUS

Authors
 * The ser_brain developers, 2026
"""

import sys

import speechbrain as sb
import torch
from emotion_data import class_weights, emotion_dataset
from hyperpyyaml import load_hyperpyyaml
from speechbrain.lobes.models.ptapt.lengths import sample_counts
from speechbrain.lobes.models.ptapt.losses import weighted_cross_entropy_terms
from speechbrain.utils.metric_stats import ClassificationStats


class EmotionBrain(sb.Brain):
    """Learns the emotion of the utterance (V-FT, and P4 of P-TAPT)."""

    def compute_forward(self, batch, stage):
        """Logits of the utterances, shape (batch, classes)."""
        batch = batch.to(self.device)
        wavs, wav_lens = batch.sig
        states = self.modules.wav2vec2(wavs, wav_lens)
        lengths = self.hparams.wav2vec2.frame_lengths(
            sample_counts(wavs, wav_lens)
        )
        return self.modules.head(states, lengths)

    def compute_objectives(self, logits, batch, stage):
        """Cross-entropy, weighted by the class."""
        labels = torch.as_tensor(batch.emo_encoded, device=self.device)
        if stage == sb.Stage.TEST:
            names = self.hparams.labels
            self.stats.append(
                batch.id,
                predictions=[names[i] for i in logits.argmax(1).tolist()],
                targets=[names[i] for i in labels.tolist()],
            )
        loss, weight = weighted_cross_entropy_terms(
            logits, labels, self.hparams.class_weights
        )
        return loss / weight

    def on_stage_start(self, stage, epoch=None):
        """Starts a test without answers."""
        if stage == sb.Stage.TEST:
            self.stats = ClassificationStats()

    def on_stage_end(self, stage, stage_loss, epoch=None):
        """Keeps the last epoch; reports the test."""
        if stage == sb.Stage.TRAIN:
            self.hparams.train_logger.log_stats(
                {"epoch": epoch}, train_stats={"loss": stage_loss}
            )
            self.checkpointer.save_and_keep_only(meta={"epoch": epoch})
            return
        summary = self.stats.summarize()
        recalls = list(summary["classwise_accuracy"].values())
        self.hparams.train_logger.log_stats(
            {"epoch loaded": self.hparams.epoch_counter.current},
            test_stats={
                "loss": stage_loss,
                "UA": 100 * sum(recalls) / len(recalls),
                "WA": 100 * summary["accuracy"],
            },
        )
        with open(self.hparams.test_stats_file, "w", encoding="utf-8") as w:
            self.stats.write_stats(w)


def fine_tune(section, datasets, run_opts, wav2vec2):
    """Trains the classifier and tests its last epoch.

    Arguments
    ---------
    section : dict
        ``fine_tuning`` of the yaml.
    datasets : tuple of DynamicItemDataset
        The training and the test part.
    run_opts : RunOptions
        Of the command line.
    wav2vec2 : torch.nn.Module
        The encoder to start from.
    """
    train, test = datasets
    modules = {"wav2vec2": wav2vec2, "head": section["head"]}
    section["checkpointer"].add_recoverables(modules)
    brain = EmotionBrain(
        modules=modules,
        opt_class=section["opt_class"],
        hparams={**section, "wav2vec2": wav2vec2},
        run_opts=run_opts,
        checkpointer=section["checkpointer"],
    )
    weights = class_weights(train, section["labels"])
    brain.hparams.class_weights = weights.to(brain.device)
    brain.fit(
        section["epoch_counter"],
        train,
        train_loader_kwargs=section["train_dataloader_opts"],
    )
    brain.evaluate(test, test_loader_kwargs=section["test_dataloader_opts"])


def fine_tuning_datasets(hparams):
    """The training part, cut to its first seconds, and the whole test part.

    Arguments
    ---------
    hparams : dict
        The hyperparameters.

    Returns
    -------
    tuple of DynamicItemDataset
        Training and test.
    """
    return (
        emotion_dataset(
            hparams["train_annotation"], hparams, hparams["max_seconds"]
        ),
        emotion_dataset(hparams["test_annotation"], hparams),
    )


if __name__ == "__main__":
    hparams_file, run_opts, overrides = sb.parse_arguments(sys.argv[1:])
    sb.utils.distributed.ddp_init_group(run_opts)
    with open(hparams_file, encoding="utf-8") as fin:
        hparams = load_hyperpyyaml(fin, overrides)
    sb.create_experiment_directory(
        experiment_directory=hparams["output_folder"],
        hyperparams_to_save=hparams_file,
        overrides=overrides,
    )

    from corpus_prepare import prepare_corpus  # noqa E402

    if not hparams["skip_prep"]:
        sb.utils.distributed.run_on_main(
            prepare_corpus,
            kwargs={
                "data_folder": hparams["data_folder"],
                "test_fold": hparams["test_fold"],
                "save_json_train": hparams["train_annotation"],
                "save_json_test": hparams["test_annotation"],
            },
        )
    fine_tune(
        hparams["fine_tuning"],
        fine_tuning_datasets(hparams),
        run_opts,
        hparams["wav2vec2"],
    )
