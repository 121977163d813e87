"""What k-means loses that is trained on a share of each clip's frames.

    python tools/kmeans_share.py SAVEE hparams/pseudo.yaml \
        --scale nano --data_folder /path/to/SAVEE --n_clusters '[64, 512]'

Takes the settings with which ``extract_pseudo.py`` was run, and the emotion
states of one fold whose P1 is finished. For shares of 1 and 0.2 and three
seeds, prints as a Markdown table the inertia per frame over *all* frames of
the training part, to which the labels are given, and over those of the test
part.
"""

import sys
import tempfile

import numpy as np
import torch
from tqdm import tqdm

from ser_brain.clustering import FrameFile, KMeansEnsemble
from ser_brain.dataio.utterances import as_list, utterance_dataset
from ser_brain.errors import InputError
from ser_brain.experiment.chain import SHARED, states_stage
from ser_brain.experiment.outline import Outline
from ser_brain.lobes import load_state_encoder

SHARES, SEEDS = (1.0, 0.2), (1, 2, 3)


@torch.no_grad()
def states(outline, encoder, ids):
    """Emotion states of some clips, each an array (frames, dim)."""
    data = outline.data_folder, outline.classes
    clips = utterance_dataset(outline.manifest, ids, *data)
    for place in tqdm(range(len(clips)), desc="emotion states"):
        [utterance] = as_list([clips[place]])
        yield encoder(utterance.signal[None])[0].numpy()


def inertia(ensemble, frames):
    """Mean squared distance of a frame to its centre, for each k."""
    labels = ensemble.predict(frames)
    means = []
    for place, centres in enumerate(ensemble.centres):
        gap = frames - centres.numpy()[labels[:, place]]
        means.append(float(np.square(gap).sum(1).mean()))
    return means


def rows(file, test, n_clusters):
    """Mean and deviation over seeds, by share and part: lists over k."""
    for share in SHARES:
        found = []
        for seed in SEEDS:
            ensemble = KMeansEnsemble(n_clusters, seed=seed)
            ensemble.fit(file.sample(share, seed))
            parts = (file.open(), test)
            found.append([inertia(ensemble, part) for part in parts])
        means, spread = np.mean(found, 0), np.std(found, 0, ddof=1)
        for part, *cells in zip(("training", "test"), means, spread):
            yield share, part, zip(*cells)


def main(words):
    corpus, *argv = words
    outline = Outline(argv, corpus)
    outline.prepare()
    outline.choose_fold()
    torch.set_num_threads(outline.settings.get("threads") or 1)
    folder = outline.folder_of(SHARED)
    stage = states_stage(outline, "emotion_states", folder)
    if stage.done is None:
        raise InputError(
            f"fold {outline.fold.name} has no finished P1 with these "
            "settings: run extract_pseudo.py first."
        )
    encoder = load_state_encoder(stage.folder).eval()
    n_clusters = outline.settings.value("n_clusters")
    with tempfile.TemporaryDirectory() as folder:
        file = FrameFile(folder, encoder.dim)
        file.append(states(outline, encoder, outline.fold.train))
        test = [*states(outline, encoder, outline.fold.test)]
        table = rows(file, np.concatenate(test), n_clusters)
        names = " | ".join(f"k = {k}" for k in n_clusters)
        print(f"| share | inertia per frame of | {names} |")
        print("|---" * (len(n_clusters) + 2) + "|")
        for share, part, cells in table:
            told = " | ".join(f"{mean:.3f} ± {far:.3f}" for mean, far in cells)
            print(f"| {share:g} | {part} | {told} |", flush=True)


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    try:
        main(sys.argv[1:])
    except InputError as error:
        sys.exit(f"error: {error}")
