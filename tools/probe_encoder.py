"""Accuracy of a linear probe on each layer of a frozen encoder.

    python tools/probe_encoder.py --data_folder /path/to/SAVEE [SOURCE ...]

The probe is a logistic regression (C = 0.01, equal class weights) on the
standardised mean and standard deviation over time of a layer's frames, leaving
one speaker out. A source is a folder or hub name that ``load_encoder`` takes,
or a wav2vec 1.0; by default the embedded ones. Prints a Markdown table of UA.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tqdm import tqdm

from ser_brain.assets import folder
from ser_brain.corpora import folds, prepare
from ser_brain.dataio.audio import read_audio
from ser_brain.evaluation.metrics import unweighted_accuracy
from ser_brain.lobes import load_encoder
from ser_brain.lobes.wav2vec import Wav2Vec

EMBEDDED = ("whisper_tiny_en", "nano_wav2vec2", "nano_wav2vec")


def read_corpus(data_folder, scratch):
    """SAVEE's manifest and waveforms.

    Arguments
    ---------
    data_folder : str
        The folder of SAVEE.
    scratch : str
        A folder for the manifest's file.

    Returns
    -------
    tuple
        The manifest, and a list of waveforms in its order.
    """
    path = Path(scratch, "manifest.json")
    manifest = prepare("SAVEE", data_folder, path)
    paths = [
        entry["wav"].replace("{data_root}", data_folder)
        for entry in manifest.values()
    ]
    return manifest, [read_audio(path) for path in tqdm(paths, desc="decoding")]


def loaded(source):
    """From a waveform (1, samples) to layers (layers, 1, frames, dim)."""
    config = Path(source, "config.json")
    if config.is_file() and "model_type" not in config.read_text():
        encoder = Wav2Vec(source).eval()
        return lambda wav: encoder(wav)[None]
    return load_encoder(source).eval().layers


@torch.no_grad()
def statistics(layers, wav):
    """Mean and deviation over time of each layer, (layers, 2 * dim)."""
    frames = layers(wav[None])[:, 0]
    deviation = frames.std(1, correction=0)
    return torch.cat([frames.mean(1), deviation], dim=1).numpy()


def features(layers, wavs):
    """Statistics of all utterances, (utterances, layers, 2 * dim)."""
    bar = tqdm(wavs, leave=False, dynamic_ncols=True)
    return np.stack([statistics(layers, wav) for wav in bar])


def probe(rows, manifest):
    """UA of each fold, in percent."""
    ids = list(manifest)
    labels = np.array([manifest[key]["emotion"] for key in ids])
    scores = []
    for fold in folds(manifest, "speaker").values():
        test = np.isin(ids, fold.test)
        model = make_pipeline(
            StandardScaler(),
            LogisticRegression(C=0.01, max_iter=2000, class_weight="balanced"),
        ).fit(rows[~test], labels[~test])
        prediction = model.predict(rows[test])
        scores.append(100 * unweighted_accuracy(labels[test], prediction))
    return scores


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--data_folder", required=True)
    parser.add_argument("sources", nargs="*", metavar="SOURCE")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        manifest, wavs = read_corpus(args.data_folder, scratch)
    names = list(folds(manifest, "speaker"))
    print(f"| encoder | layer | {' | '.join(names)} | mean |")
    print("|---" * (len(names) + 3) + "|")
    for source in args.sources or map(folder, EMBEDDED):
        rows = features(loaded(source), wavs)
        for layer in range(rows.shape[1]):
            scores = probe(rows[:, layer], manifest)
            cells = " | ".join(f"{score:.1f}" for score in scores)
            name, mean = Path(source).name, np.mean(scores)
            print(f"| {name} | {layer} | {cells} | {mean:.1f} |", flush=True)


if __name__ == "__main__":
    main()
