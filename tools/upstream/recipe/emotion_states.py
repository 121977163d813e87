"""Emotion states of wav2vec 1.0 and their clusters (P1 and P2 of P-TAPT).

Authors
 * The ser_brain developers, 2026
"""

import speechbrain as sb
import torch
from emotion_data import class_weights, split_dataset
from speechbrain.dataio.dataloader import make_dataloader
from speechbrain.lobes.models.ptapt.lengths import sample_counts, valid_frames
from speechbrain.lobes.models.ptapt.losses import (
    IGNORED,
    weighted_cross_entropy_terms,
)
from speechbrain.nnet.schedulers import update_learning_rate
from tqdm import tqdm


def crop_to_shortest(wavs, wav_lens):
    """Cuts every utterance of a batch, at random, to the shortest one.

    Arguments
    ---------
    wavs : torch.Tensor
        Shape (batch, samples).
    wav_lens : torch.Tensor
        Relative lengths, shape (batch,).

    Returns
    -------
    torch.Tensor
        Shape (batch, samples of the shortest).
    """
    counts = sample_counts(wavs, wav_lens).tolist()
    shortest = min(counts)
    crops = []
    for wav, count in zip(wavs, counts):
        start = int(torch.randint(count - shortest + 1, ()))
        crops.append(wav[start : start + shortest])
    return torch.stack(crops)


class EmotionStateBrain(sb.Brain):
    """Learns the emotion at every frame and over the utterance (P1)."""

    def compute_forward(self, batch, stage):
        """Logits of frames and of utterances, and the frame lengths."""
        batch = batch.to(self.device)
        wavs, wav_lens = batch.sig
        if stage == sb.Stage.TRAIN:
            wavs = crop_to_shortest(wavs, wav_lens)
            wav_lens = torch.ones(len(wavs), device=self.device)
        states = self.modules.encoder(wavs, wav_lens)
        lengths = self.hparams.modules["encoder"].frame_lengths(
            sample_counts(wavs, wav_lens)
        )
        return (
            self.modules.frame_head(states),
            self.modules.utterance_head(states, lengths),
            lengths,
        )

    def compute_objectives(self, predictions, batch, stage):
        """Sum of the two weighted cross-entropies."""
        frame_logits, utterance_logits, lengths = predictions
        labels = torch.as_tensor(batch.emo_encoded, device=self.device)
        inside = valid_frames(lengths, frame_logits.shape[1])
        frame_labels = labels[:, None].where(inside, IGNORED)
        loss = 0
        for logits, targets in (
            (frame_logits, frame_labels),
            (utterance_logits, labels),
        ):
            total, weight = weighted_cross_entropy_terms(
                logits, targets, self.hparams.class_weights
            )
            loss = loss + total / weight
        return loss

    def on_fit_batch_start(self, batch, should_step):
        """The rate follows the updates."""
        rate = self.hparams.lr_schedule(
            self.optimizer_step, self.hparams.optimizer_step_limit
        )
        update_learning_rate(self.optimizer, rate)

    def on_stage_end(self, stage, stage_loss, epoch=None):
        """Keeps the epoch with the best validation loss, and the last."""
        if stage == sb.Stage.TRAIN:
            self.train_loss = stage_loss
            return
        self.hparams.train_logger.log_stats(
            {"epoch": epoch, "steps": self.optimizer_step},
            train_stats={"loss": self.train_loss},
            valid_stats={"loss": stage_loss},
        )
        self.checkpointer.save_and_keep_only(
            meta={"loss": stage_loss}, min_keys=["loss"]
        )


def learn_states(section, dataset, run_opts):
    """Trains the encoder of emotion states (P1).

    Arguments
    ---------
    section : dict
        ``emotion_states`` of the yaml.
    dataset : DynamicItemDataset
        The training part.
    run_opts : RunOptions
        Of the command line.

    Returns
    -------
    torch.nn.Module
        The encoder with the best validation loss.
    """
    train, valid = split_dataset(
        dataset, section["valid_share"], section["seed"]
    )
    brain = EmotionStateBrain(
        modules=section["modules"],
        opt_class=section["opt_class"],
        hparams=section,
        run_opts=run_opts,
        checkpointer=section["checkpointer"],
    )
    weights = class_weights(train, section["labels"])
    brain.hparams.class_weights = weights.to(brain.device)
    brain.fit(
        section["epoch_counter"],
        train,
        valid,
        train_loader_kwargs=section["train_dataloader_opts"],
        valid_loader_kwargs=section["valid_dataloader_opts"],
    )
    brain.checkpointer.recover_if_possible(min_key="loss")
    return section["modules"]["encoder"].eval()


@torch.no_grad()
def cluster_states(section, dataset, encoder, device):
    """Clusters the emotion states of the training part (P2).

    Arguments
    ---------
    section : dict
        ``clusters`` of the yaml.
    dataset : DynamicItemDataset
        The training part.
    encoder : torch.nn.Module
        Of emotion states.
    device : str
        Where it runs.

    Returns
    -------
    dict
        Pseudo-labels of each utterance, shape (frames, number of k).
    """
    frames = {}
    for batch in tqdm(make_dataloader(dataset, batch_size=1)):
        wavs, _ = batch.sig
        frames[batch.id[0]] = encoder(wavs.to(device))[0].cpu()
    everything = torch.cat(list(frames.values())).numpy()
    columns = [
        torch.from_numpy(
            section["kmeans"](n_clusters=k).fit_predict(everything)
        )
        for k in section["n_clusters"]
    ]
    labels = torch.stack(columns, dim=1).long()
    counts = [len(states) for states in frames.values()]
    return dict(zip(frames, labels.split(counts)))
