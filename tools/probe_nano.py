"""Shows what the nano models learned: a linear probe of frozen features.

    python tools/probe_nano.py --data_folder /path/to/SAVEE

Mean and deviation over time of the frozen model's output, standardised, then
logistic regression, one speaker out: for the trained nano models and for the
same architectures with random weights. Prints a Markdown table of UA.
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
from transformers import Wav2Vec2Config, Wav2Vec2Model

from ser_brain.assets import folder
from ser_brain.corpora import folds, prepare
from ser_brain.dataio.audio import read_audio
from ser_brain.evaluation.metrics import unweighted_accuracy
from ser_brain.lobes.wav2vec import Wav2Vec
from ser_brain.lobes.wav2vec2 import Wav2Vec2


def encoders():
    """Name, encoder for the trained and the untrained models."""
    torch.manual_seed(0)
    config = Wav2Vec2Config.from_pretrained(folder("nano_wav2vec2"))
    yield "wav2vec 2.0, untrained", Wav2Vec2(Wav2Vec2Model(config))
    yield "wav2vec 2.0, pretrained", Wav2Vec2(folder("nano_wav2vec2"))
    trained = Wav2Vec(folder("nano_wav2vec"))
    untrained = Wav2Vec.from_options(trained.options.to_dict())
    yield "wav2vec 1.0, untrained", untrained
    yield "wav2vec 1.0, pretrained", trained


@torch.no_grad()
def features(encoder, wavs):
    """Mean and deviation over time, shape (utterances, 2 * dim)."""
    rows = []
    for wav in tqdm(wavs, leave=False):
        frames = encoder.eval()(wav[None])[0]
        rows.append(torch.cat([frames.mean(0), frames.std(0)]).numpy())
    return np.stack(rows)


def probe(rows, manifest):
    """UA of each fold, in percent."""
    ids = list(manifest)
    labels = np.array([manifest[key]["emotion"] for key in ids])
    scores = []
    for fold in folds(manifest, "speaker").values():
        test = np.isin(ids, fold.test)
        model = make_pipeline(
            StandardScaler(),
            LogisticRegression(C=0.1, max_iter=2000, class_weight="balanced"),
        ).fit(rows[~test], labels[~test])
        prediction = model.predict(rows[test])
        scores.append(100 * unweighted_accuracy(labels[test], prediction))
    return scores


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--data_folder", required=True)
    data_folder = parser.parse_args().data_folder
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch, "manifest.json")
        manifest = prepare("SAVEE", data_folder, path)
    paths = [
        entry["wav"].replace("{data_root}", data_folder)
        for entry in manifest.values()
    ]
    wavs = [read_audio(path) for path in tqdm(paths, desc="decoding")]
    names = list(folds(manifest, "speaker"))
    print(f"| frozen features | {' | '.join(names)} | mean |")
    print("|---" * (len(names) + 2) + "|")
    for name, encoder in encoders():
        scores = probe(features(encoder, wavs), manifest)
        cells = " | ".join(f"{score:.1f}" for score in scores)
        print(f"| {name} | {cells} | {np.mean(scores):.1f} |", flush=True)


if __name__ == "__main__":
    main()
