"""Features of a frozen encoder's layers, computed once per corpus."""

import hashlib
import json

import torch
from speechbrain.utils.distributed import run_on_main

from ser_brain.corpora import manifest_key
from ser_brain.dataio.audio import RESAMPLER, played, sample_count
from ser_brain.dataio.front_end_file import FrontEndFile
from ser_brain.errors import InputError
from ser_brain.experiment.settings import fingerprint

FOLDER = "layer_features"


def layer_features(experiment, section, head):
    """Compute the head's features of every utterance, at each speed.

    Arguments
    ---------
    experiment : Experiment
        The run. The features are in ``layer_features/`` of the corpus's
        results, are shared by all folds and seeds, and contain both training
        and test parts: the output of a frozen encoder is not learned from any
        of them.
    section : dict
        The instantiated section: encoder, its ``source`` where that is not
        the setting ``encoder``, and speeds.
    head : LayerHead or BimodalHead
        Defines the features of an utterance's layers.

    Returns
    -------
    callable
        From an utterance's id and a speed to the features, fp16.

    Raises
    ------
    InputError
        If they do not fit ``layer_features_gb`` or the disk, or are not
        finite in fp16.
    """
    encoder = section["encoder"].to(experiment.run_opts.device).eval()
    source = section.get("source") or experiment.settings.value("encoder")
    speeds = sorted({*section["speeds"], *section["test_speeds"]})
    parts = [
        fingerprint(source),
        RESAMPLER,
        manifest_key(experiment.entries(experiment.manifest)),
        json.dumps([speeds, head.kept_form]),
    ]
    key = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]
    folder = experiment.corpus_folder / FOLDER
    width = head.n_layers * head.dim
    if head.keeps_vectors:
        width = head.pooling.output_dim(head.dim)
    file = FrontEndFile(folder, key, width, setting="layer_features_gb")
    ids = list(experiment.manifest)

    def compute():
        device = experiment.run_opts.device
        for (utterance,) in experiment.loader(ids):
            for speed in speeds:
                signal = played(utterance.signal, speed).to(device)
                kept = kept_features(encoder, head, signal)
                yield f"{utterance.id}@{speed}", kept

    args = [compute, rows(experiment, encoder, head) * len(speeds)]
    args += [len(ids) * len(speeds), float(section["layer_features_gb"])]
    run_on_main(file.ensure, args=args)
    features = file.open()

    def kept(name, speed):
        flat = features(f"{name}@{speed}", lambda: None)
        if head.keeps_vectors:
            return flat
        return flat.view(len(flat), head.n_layers, head.dim)

    return kept


@torch.no_grad()
def kept_features(encoder, head, signal):
    """The head's features of one utterance, fp16 on the CPU, 2 dimensions."""
    layers = encoder.layers(signal[None])[:, 0].float()
    kept = head.keep(layers).flatten(1).half().cpu()
    if not bool(kept.isfinite().all()):
        raise InputError(
            "the features of the encoder's layers are not finite in fp16: "
            "give another --encoder."
        )
    return kept


def rows(experiment, encoder, head):
    """Rows of the file at one speed: layers, or about so many frames."""
    entries = experiment.manifest.values()
    if head.keeps_vectors:
        return len(entries) * head.n_layers
    lengths = [sample_count(entry["duration"]) for entry in entries]
    return sum(map(encoder.frame_lengths, lengths))
