"""Compares rates for a last layer without the speaker who is tested later.

    python tools/inner_fine_tuning.py --data_folder /path/to/SAVEE

For each speaker, the other speakers alone are used: Whisper's last layer and
a probed head learn from all but one of them, as ``--scale small`` does it, and
are scored on that one, in turn. The column of a speaker is the mean UA of
these inner folds, at the clips' own speed. The input of the last layer is kept,
so that the rest of the encoder runs once per clip and speed. Prints a Markdown
table.
"""

import argparse
import copy
import tempfile

import numpy as np
import torch
from probe_encoder import read_corpus
from sklearn.linear_model import LogisticRegression
from torch import nn
from torch.nn.functional import cross_entropy
from torch.nn.utils.rnn import pad_sequence
from tqdm import tqdm

from ser_brain.assets import folder
from ser_brain.dataio.audio import played, sample_count
from ser_brain.evaluation.metrics import unweighted_accuracy
from ser_brain.lobes import load_encoder
from ser_brain.lobes.attention import additive_mask
from ser_brain.nnet.heads import UtteranceHead
from ser_brain.nnet.lengths import valid_frames
from ser_brain.nnet.losses import inverse_frequency_weights
from ser_brain.nnet.pooling import StatisticsPooling
from ser_brain.nnet.schedules import WarmFlatLinear

SPEEDS = (1.0, 0.9, 1.1)
MAX_SECONDS = 10.0
BATCH = 16
PROBE_C = 0.01
HEAD_FACTOR = 0.1


class Top(nn.Module):
    """The last layer of an encoder, its final norm, and a head.

    Arguments
    ---------
    encoder : ser_brain.lobes.whisper.Whisper
        Its last layer is copied.
    n_classes : int
        Number of emotions.
    """

    def __init__(self, encoder, n_classes):
        super().__init__()
        self.layer = copy.deepcopy(encoder.layer_stack[-1])
        self.norm = copy.deepcopy(encoder.model.layer_norm)
        self.norm.requires_grad_(False)
        self.head = UtteranceHead(
            encoder.dim,
            n_classes,
            pooling=StatisticsPooling(),
            relu_pooled=False,
            standardize=True,
        )

    def states(self, kept):
        """Final frames (batch, frames, dim) and lengths, from kept ones."""
        lengths = torch.tensor([len(one) for one in kept])
        x = pad_sequence(kept, batch_first=True).float()
        padding = ~valid_frames(lengths, x.shape[1])
        x = self.layer(x, attention_mask=additive_mask(padding, x.dtype))
        return self.norm(x), lengths

    def forward(self, kept):
        """Logits (batch, classes) of inputs of the last layer."""
        return self.head(*self.states(kept))

    @torch.no_grad()
    def over(self, kept, compute):
        """What ``compute`` gives for many clips, in their order."""
        order = sorted(range(len(kept)), key=lambda place: len(kept[place]))
        rows = {}
        for start in range(0, len(order), BATCH):
            places = order[start : start + BATCH]
            rows.update(zip(places, compute([kept[p] for p in places])))
        return torch.stack([rows[place] for place in range(len(kept))])

    def start_from_probe(self, kept, labels):
        """Sets the head to a logistic regression on the layer as it is."""
        vectors = self.over(
            kept, lambda some: self.head.pooling(*self.states(some))
        ).double()
        mean = vectors.mean(0)
        scale = vectors.std(0, correction=0).clamp(min=1e-5)
        probe = LogisticRegression(
            C=PROBE_C, class_weight="balanced", max_iter=1000
        ).fit(((vectors - mean) / scale).numpy(), labels.numpy())
        self.head.start_from(mean, scale, probe.coef_, probe.intercept_)


@torch.no_grad()
def last_inputs(encoder, wavs):
    """The input of the last layer, one list of speeds per clip, in fp16."""
    longest = sample_count(MAX_SECONDS)
    return [
        [
            encoder.layers(played(wav, speed)[None, :longest])[-2, 0].half()
            for speed in SPEEDS
        ]
        for wav in tqdm(wavs, desc="encoding", dynamic_ncols=True)
    ]


def train(top, kept, labels, lr, epochs, seed):
    """Fine-tunes; yields after each epoch."""
    generator = np.random.default_rng(seed)
    layer, head = top.layer.parameters(), top.head.parameters()
    factors = (1.0, HEAD_FACTOR)
    optimizer = torch.optim.Adam([{"params": layer}, {"params": head}], lr=lr)
    rate = WarmFlatLinear(lr, warm=0.1, flat=0.4)
    counts = torch.bincount(labels).tolist()
    weights = inverse_frequency_weights(counts)
    per_epoch, update = len(kept) // BATCH, 0
    for _ in range(epochs):
        order = generator.permutation(len(kept))
        for batch in np.split(order[: per_epoch * BATCH], per_epoch):
            for group, factor in zip(optimizer.param_groups, factors):
                group["lr"] = factor * rate(update, epochs * per_epoch)
            update += 1
            speeds = generator.integers(len(SPEEDS), size=BATCH)
            logits = top([kept[i][s] for i, s in zip(batch, speeds)])
            loss = cross_entropy(logits, labels[batch], weight=weights)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        yield


def inner_scores(encoder, kept, labels, splits, rates, epochs, seed):
    """UA in percent, before training and after each epoch.

    Arguments
    ---------
    encoder : ser_brain.lobes.whisper.Whisper
        As pretrained.
    kept : list of list of torch.Tensor
        From ``last_inputs``.
    labels : torch.Tensor
        Shape (utterances,).
    splits : list of tuple of numpy.ndarray
        Places of the training and of the scored utterances.
    rates : sequence of float
        Learning rates to try.
    epochs, seed : int
        Of the training.

    Returns
    -------
    numpy.ndarray
        Means over the splits, shape (rates, 1 + epochs).
    """
    found = np.zeros((len(splits), len(rates), 1 + epochs))
    for number, (learned, scored) in enumerate(splits):
        start = Top(encoder, 1 + int(labels.max()))
        every = [kept[i][s] for s in range(len(SPEEDS)) for i in learned]
        start.start_from_probe(every, labels[learned].repeat(len(SPEEDS)))
        for place, lr in enumerate(rates):
            top = copy.deepcopy(start)
            mine = [kept[i] for i in learned]
            steps = train(top, mine, labels[learned], lr, epochs, seed)
            for epoch in range(1 + epochs):
                logits = top.over([kept[i][0] for i in scored], top)
                found[number, place, epoch] = 100 * unweighted_accuracy(
                    labels[scored].tolist(), logits.argmax(1).tolist()
                )
                next(steps, None)
    return found.mean(0)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--data_folder", required=True)
    parser.add_argument("--lr", type=float, nargs="+", default=[1e-5, 1e-3])
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--speakers", nargs="+", help="the columns; all")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        manifest, wavs = read_corpus(args.data_folder, scratch)
    entries = list(manifest.values())
    speakers = np.array([entry["speaker"] for entry in entries])
    classes = sorted({entry["emotion"] for entry in entries})
    labels = torch.tensor([classes.index(e["emotion"]) for e in entries])
    encoder = load_encoder(folder("whisper_tiny_en")).eval()
    kept = last_inputs(encoder, wavs)
    print("| tested later | lr | probe | after each epoch |")
    print("|---|---|---|---|")
    for outer in args.speakers or sorted(set(speakers)):
        splits = [
            (
                np.flatnonzero((speakers != outer) & (speakers != inner)),
                np.flatnonzero(speakers == inner),
            )
            for inner in sorted(set(speakers) - {outer})
        ]
        rows = inner_scores(
            encoder, kept, labels, splits, args.lr, args.epochs, args.seed
        )
        for lr, row in zip(args.lr, rows):
            probe, *after = (f"{score:.1f}" for score in row)
            cells = f"| {outer} | {lr:g} | {probe} | {' '.join(after)} |"
            print(cells, flush=True)


if __name__ == "__main__":
    main()
