#!/usr/bin/env python3
"""Recipe for task adaptive pretraining (TAPT) on CORPUS.

TAPT of Chen and Rudnicky, https://arxiv.org/abs/2110.06309: wav2vec 2.0 goes
on with its own pretraining on the training part, then it is fine-tuned as in
train_vft.py.

To run this recipe, do the following:
> python train_tapt.py hparams/train_tapt.yaml --data_folder=/path/to/CORPUS

Authors
 * The ser_brain developers, 2026
"""

import sys

import speechbrain as sb
from emotion_data import emotion_dataset, length_buckets
from hyperpyyaml import load_hyperpyyaml
from speechbrain.nnet.schedulers import update_learning_rate
from train_vft import fine_tune, fine_tuning_datasets


class ContrastiveBrain(sb.Brain):
    """Goes on with the pretraining of wav2vec 2.0."""

    def compute_forward(self, batch, stage):
        """The loss, summed over masked frames, and its details."""
        batch = batch.to(self.device)
        wavs, wav_lens = batch.sig
        return self.modules.pretraining(wavs, wav_lens)

    def compute_objectives(self, predictions, batch, stage):
        """Mean over masked frames."""
        loss, self.details = predictions
        return loss / self.details["masked_frames"]

    def on_fit_batch_start(self, batch, should_step):
        """Rate and Gumbel temperature follow the updates."""
        rate = self.hparams.lr_schedule(
            self.optimizer_step, self.hparams.optimizer_step_limit
        )
        update_learning_rate(self.optimizer, rate)
        self.hparams.pretraining.set_temperature(self.optimizer_step)

    def on_stage_end(self, stage, stage_loss, epoch=None):
        """Keeps the last epoch."""
        self.hparams.train_logger.log_stats(
            {"epoch": epoch, "steps": self.optimizer_step},
            train_stats={
                "loss": stage_loss,
                "accuracy": float(self.details["accuracy"]),
            },
        )
        self.checkpointer.save_and_keep_only(meta={"epoch": epoch})


def adapt(section, train, run_opts):
    """Goes on with the pretraining on the training part.

    Arguments
    ---------
    section : dict
        ``adaptation`` of the yaml.
    train : DynamicItemDataset
        The training part, cut at random.
    run_opts : RunOptions
        Of the command line.

    Returns
    -------
    torch.nn.Module
        The adapted model of transformers.
    """
    brain = ContrastiveBrain(
        modules={"pretraining": section["pretraining"]},
        opt_class=section["opt_class"],
        hparams=section,
        run_opts=run_opts,
        checkpointer=section["checkpointer"],
    )
    sampler = length_buckets(
        train, section["max_seconds"], **section["dynamic_batch_sampler"]
    )
    loader = {"batch_sampler": sampler, **section["train_dataloader_opts"]}
    brain.fit(section["epoch_counter"], train, train_loader_kwargs=loader)
    return section["pretraining"].model.wav2vec2


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
    crops = emotion_dataset(
        hparams["train_annotation"], hparams, hparams["max_seconds"], "random"
    )
    adapted = adapt(hparams["adaptation"], crops, run_opts)
    fine_tune(
        hparams["fine_tuning"],
        fine_tuning_datasets(hparams),
        run_opts,
        hparams["new_wav2vec2"](adapted),
    )
