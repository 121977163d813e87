"""Compare settings of a probe without the test speaker.

    python tools/inner_probe.py --data_folder /path/to/SAVEE [SOURCE]

For each speaker, only the other speakers are used: a logistic regression on
mean and standard deviation over time is trained on all but one of them and
scored on that one, in turn. The column of a speaker is the mean UA of these
inner folds. Layers, speeds and C vary; C is scikit-learn's times the number of
speeds, because every clip is used once per speed. Prints a Markdown table.
"""

import argparse
import itertools
import tempfile

import numpy as np
from probe_encoder import read_corpus, statistics
from sklearn.linear_model import LogisticRegression
from tqdm import tqdm

from ser_brain.assets import folder
from ser_brain.dataio.audio import played
from ser_brain.evaluation.metrics import unweighted_accuracy
from ser_brain.lobes import load_encoder

# How many of the last layers are concatenated.
LAYERS = (1, 2, 3)
SPEEDS = ((1.0,), (0.9, 1.0, 1.1), (0.8, 0.9, 1.0, 1.1, 1.2))
PENALTIES = (0.003, 0.01, 0.03)


def features(encoder, wavs, speeds):
    """Mean and standard deviation over time at each speed.

    Returns
    -------
    dict
        Speed -> array of shape (utterances, layers, 2 * dim).
    """
    rows = {speed: [] for speed in speeds}
    for wav in tqdm(wavs, desc="encoding", dynamic_ncols=True):
        for speed in speeds:
            row = statistics(encoder.layers, played(wav, speed))
            rows[speed].append(row.astype(np.float64))
    return {speed: np.stack(each) for speed, each in rows.items()}


def last_layers(rows, count):
    """The last layers, concatenated, shape (utterances, count * 2 * dim)."""
    return {
        speed: each[:, -count:].reshape(len(each), -1)
        for speed, each in rows.items()
    }


class Probe:
    """A logistic regression that was trained at some speeds.

    Arguments
    ---------
    rows : dict
        Speed -> array of shape (utterances, features).
    labels : numpy.ndarray
        Shape (utterances,).
    speeds : sequence of float
        Every clip is used at each of them.
    penalty : float
        C times the number of speeds.
    """

    def __init__(self, rows, labels, speeds, penalty):
        learned = np.concatenate([rows[speed] for speed in speeds])
        self.mean, self.scale = learned.mean(0), learned.std(0).clip(1e-5)
        self.model = LogisticRegression(
            C=penalty / len(speeds), class_weight="balanced", max_iter=1000
        ).fit(self.scaled(learned), np.tile(labels, len(speeds)))

    def scaled(self, rows):
        """Standardised by the training part."""
        return (rows - self.mean) / self.scale

    def answers(self, rows, speeds):
        """Predict the class of each clip by posteriors averaged over speeds."""
        posteriors = sum(
            self.model.predict_proba(self.scaled(rows[speed]))
            for speed in speeds
        )
        return self.model.classes_[posteriors.argmax(1)]


def inner_scores(rows, labels, speakers, outer, speeds, penalty):
    """UA in percent of each inner fold, for each choice of test speeds.

    Arguments
    ---------
    rows : dict
        Speed -> array of shape (utterances, features).
    labels, speakers : numpy.ndarray
        Shape (utterances,).
    outer : str
        The speaker who is left out.
    speeds : sequence of float
        Of the training.
    penalty : float
        As for ``Probe``.

    Returns
    -------
    dict
        Test speeds -> list of float.
    """
    scores = {heard: [] for heard in SPEEDS if len(heard) <= len(speeds) + 2}
    for inner in sorted(set(speakers) - {outer}):
        train = (speakers != outer) & (speakers != inner)
        test = speakers == inner
        known = {speed: each[train] for speed, each in rows.items()}
        new = {speed: each[test] for speed, each in rows.items()}
        probe = Probe(known, labels[train], speeds, penalty)
        for heard, each in scores.items():
            answers = probe.answers(new, heard)
            each.append(100 * unweighted_accuracy(labels[test], answers))
    return scores


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--data_folder", required=True)
    parser.add_argument("source", nargs="?", default=folder("whisper_tiny_en"))
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        manifest, wavs = read_corpus(args.data_folder, scratch)
    labels = np.array([each["emotion"] for each in manifest.values()])
    speakers = np.array([each["speaker"] for each in manifest.values()])
    names = sorted(set(speakers))
    encoder = load_encoder(args.source).eval()
    every = features(encoder, wavs, sorted(set(itertools.chain(*SPEEDS))))
    print(f"| last layers | C | trained at | tested at | {' | '.join(names)} |")
    print("|---" * (len(names) + 4) + "|")
    for count in LAYERS:
        rows = last_layers(every, count)
        for penalty, speeds in itertools.product(PENALTIES, SPEEDS):
            found = [
                inner_scores(rows, labels, speakers, name, speeds, penalty)
                for name in names
            ]
            for heard in found[0]:
                means = [np.mean(scores[heard]) for scores in found]
                cells = " | ".join(f"{mean:.1f}" for mean in means)
                head = f"| {count} | {penalty} | {len(speeds)} | {len(heard)}"
                print(f"{head} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
