#!/usr/bin/env python3
"""Recipe for pseudo-label task adaptive pretraining (P-TAPT) on CORPUS.

P-TAPT of Chen and Rudnicky, https://arxiv.org/abs/2110.06309, in four steps:
wav2vec 1.0 learns emotion states (P1) and k-means clusters them (P2), both in
emotion_states.py; wav2vec 2.0 predicts the clusters of masked frames (P3), and
is fine-tuned as in train_vft.py (P4).

To run this recipe, do the following:
> python train_ptapt.py hparams/train_ptapt.yaml --data_folder=/path/to/CORPUS

Authors
 * The ser_brain developers, 2026
"""

import os
import sys

import speechbrain as sb
import torch
from emotion_data import emotion_dataset, length_buckets
from emotion_states import cluster_states, learn_states
from hyperpyyaml import load_hyperpyyaml
from speechbrain.lobes.models.ptapt.lengths import sample_counts
from speechbrain.lobes.models.ptapt.losses import IGNORED, cluster_terms
from speechbrain.lobes.models.ptapt.masking import span_mask
from speechbrain.nnet.schedulers import update_learning_rate
from train_vft import fine_tune, fine_tuning_datasets


class ClusterBrain(sb.Brain):
    """Predicts the pseudo-labels of masked frames (P3)."""

    def compute_forward(self, batch, stage):
        """Logits and pseudo-labels of the masked frames."""
        batch = batch.to(self.device)
        wavs, wav_lens = batch.sig
        lengths = self.hparams.modules["wav2vec2"].frame_lengths(
            sample_counts(wavs, wav_lens)
        )
        mask = span_mask(
            lengths.tolist(),
            self.hparams.mask_prob,
            self.hparams.mask_length,
            self.hparams.min_masks,
        )
        states = self.modules.wav2vec2(wavs, wav_lens, masks=(mask, None))
        targets = self.targets(batch, lengths.tolist(), mask.shape[1])
        logits = self.modules.cluster_heads(states[mask.to(self.device)])
        return logits, targets[mask].to(self.device)

    def targets(self, batch, lengths, frames):
        """Pseudo-labels, shape (batch, frames, k); -100 where is none."""
        kinds = len(self.hparams.n_clusters)
        targets = torch.full((len(lengths), frames, kinds), IGNORED)
        starts = torch.as_tensor(batch.start).tolist()
        rows = zip(batch.id, starts, lengths)
        for row, (name, start, length) in enumerate(rows):
            found = self.pseudo_labels[name][start : start + length]
            targets[row, : len(found)] = found
        return targets

    def compute_objectives(self, predictions, batch, stage):
        """Sum over the k of the mean cross-entropy at masked frames."""
        totals, frames = cluster_terms(*predictions)
        return totals.sum() / frames.clamp(min=1)

    def on_fit_batch_start(self, batch, should_step):
        """The rate follows the updates."""
        rate = self.hparams.lr_schedule(
            self.optimizer_step, self.hparams.optimizer_step_limit
        )
        update_learning_rate(self.optimizer, rate)

    def on_stage_end(self, stage, stage_loss, epoch=None):
        """Keeps the last epoch."""
        self.hparams.train_logger.log_stats(
            {"epoch": epoch, "steps": self.optimizer_step},
            train_stats={"loss": stage_loss},
        )
        self.checkpointer.save_and_keep_only(meta={"epoch": epoch})


def adapt(section, train, pseudo_labels, run_opts):
    """Adapts wav2vec 2.0 by masked cluster prediction.

    Arguments
    ---------
    section : dict
        ``adaptation`` of the yaml.
    train : DynamicItemDataset
        The training part, cut at random.
    pseudo_labels : dict
        What P2 found.
    run_opts : RunOptions
        Of the command line.

    Returns
    -------
    torch.nn.Module
        The adapted encoder.
    """
    brain = ClusterBrain(
        modules=section["modules"],
        opt_class=section["opt_class"],
        hparams=section,
        run_opts=run_opts,
        checkpointer=section["checkpointer"],
    )
    brain.pseudo_labels = pseudo_labels
    sampler = length_buckets(
        train, section["max_seconds"], **section["dynamic_batch_sampler"]
    )
    loader = {"batch_sampler": sampler, **section["train_dataloader_opts"]}
    brain.fit(section["epoch_counter"], train, train_loader_kwargs=loader)
    return section["modules"]["wav2vec2"]


def find_pseudo_labels(states, clusters, dataset, run_opts):
    """Runs P1 and P2, unless their result is there.

    Arguments
    ---------
    states, clusters : dict
        ``emotion_states`` and ``clusters`` of the yaml.
    dataset : DynamicItemDataset
        The training part, whole.
    run_opts : RunOptions
        Of the command line.

    Returns
    -------
    dict
        Pseudo-labels of each utterance, shape (frames, number of k).
    """
    path = clusters["pseudo_labels"]
    if not os.path.exists(path):
        encoder = learn_states(states, dataset, run_opts)
        device = next(encoder.parameters()).device
        found = cluster_states(clusters, dataset, encoder, device)
        sb.utils.distributed.run_on_main(torch.save, args=[found, path])
    return torch.load(path, weights_only=True)


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
    annotation = hparams["train_annotation"]
    pseudo_labels = find_pseudo_labels(
        hparams["emotion_states"],
        hparams["clusters"],
        emotion_dataset(annotation, hparams),
        run_opts,
    )
    crops = emotion_dataset(
        annotation, hparams, hparams["max_seconds"], "random"
    )
    adapted = adapt(hparams["adaptation"], crops, pseudo_labels, run_opts)
    fine_tune(
        hparams["fine_tuning"],
        fine_tuning_datasets(hparams),
        run_opts,
        adapted,
    )
