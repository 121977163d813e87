"""The emotion states of a recording by the k-means of a P-TAPT run."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import yaml

from ser_brain.clustering import KMeansEnsemble, PseudoLabels
from ser_brain.clustering.leanings import class_shares
from ser_brain.corpora import load_manifest, select_classes
from ser_brain.dataio.audio import read_audio
from ser_brain.errors import MALFORMED, InputError
from ser_brain.inference.checks import (
    CLASSIFIER,
    check_length,
    check_run,
    check_values,
    shortest_clip,
)
from ser_brain.inference.classifier import read_description
from ser_brain.inference.warning_rules import log_sound, sound_warnings
from ser_brain.lobes import load_state_encoder
from ser_brain.results.outputs import read_json

STATES, CLUSTERS = Path("save/emotion_states"), Path("save/clusters")


class PlainLoader(yaml.SafeLoader):
    """Read a yaml file without instantiating its tags."""


PlainLoader.add_multi_constructor("!", lambda loader, suffix, node: None)


@dataclass(frozen=True)
class StateStrip:
    """The states of one recording.

    Arguments
    ---------
    file : str
        The recording.
    signal : numpy.ndarray
        Its samples at 16 kHz, shape (samples,).
    frame_rate : float
        States per second.
    classes : list of str
        The run's classes.
    states : numpy.ndarray
        The cluster of each frame, integers of shape (frames,).
    shares : numpy.ndarray
        Share of each class in each cluster in the training part, shape (k,
        classes).

    Example
    -------
    >>> strip = StateStrip(
    ...     file="a.wav",
    ...     signal=np.zeros(16000),
    ...     frame_rate=50.0,
    ...     classes=["angry", "sad"],
    ...     states=np.array([1, 1, 0]),
    ...     shares=np.array([[0.9, 0.1], [0.2, 0.8]]),
    ... )
    >>> strip.segments()[0]["leans_to"], strip.segments()[0]["end"]
    ('sad', 0.04)
    """

    file: str
    signal: np.ndarray
    frame_rate: float
    classes: list
    states: np.ndarray
    shares: np.ndarray

    def segments(self):
        """Spans of one state each.

        Returns
        -------
        list of dict
            start and end in seconds, state, leans_to (a class) and share
            (of that class in the state).
        """
        changes = np.flatnonzero(np.diff(self.states)) + 1
        edges = [0, *changes.tolist(), len(self.states)]
        found = []
        for first, end in zip(edges, edges[1:]):
            state = int(self.states[first])
            leaning = int(self.shares[state].argmax())
            found.append(
                {
                    "start": round(first / self.frame_rate, 3),
                    "end": round(end / self.frame_rate, 3),
                    "state": state,
                    "leans_to": self.classes[leaning],
                    "share": round(float(self.shares[state, leaning]), 4),
                }
            )
        return found

    def as_json(self):
        """Everything except the signal, for ``json.dumps``."""
        return {
            "file": self.file,
            "frame_rate": self.frame_rate,
            "k": len(self.shares),
            "classes": self.classes,
            "states": self.states.tolist(),
            "shares": self.shares.round(4).tolist(),
            "segments": self.segments(),
        }


class StateReader:
    """P1 and P2 of a finished P-TAPT run, ready for new recordings.

    Arguments
    ---------
    run : str or pathlib.Path
        The run folder. The stages that it shares with its pseudo-labels must
        be where the recipe put them, in ``pseudo/`` beside ``ptapt/``.
    k : int, optional
        Which k-means; by default the one with the fewest clusters.

    Raises
    ------
    InputError
        If a part is missing or damaged, or there is no such k.

    Example
    -------
    >>> StateReader("/nowhere")
    Traceback (most recent call last):
    ...
    ser_brain.errors.InputError: /nowhere is not a folder: give a run ...
    """

    def __init__(self, run, k=None):
        run = Path(run)
        check_run(run)
        run = run.resolve()
        description = read_description(run / CLASSIFIER)
        shared = _shared_folder(run, description.get("adaptation_seed"))
        self.classes = description["classes"]
        try:
            self.encoder = load_state_encoder(shared / STATES).eval()
        except (OSError, ValueError) as error:
            raise InputError(
                f"{shared / STATES} cannot be read ({error}): start the "
                "recipe of this run again."
            ) from error
        self.ensemble = KMeansEnsemble.load(shared / CLUSTERS)
        ks = self.ensemble.n_clusters
        k = min(ks) if k is None else k
        if k not in ks:
            raise InputError(
                f"--k is {k}, but the run clustered with k of "
                f"{', '.join(map(str, ks))}: give one of these."
            )
        self.column = ks.index(k)
        self.shares = self._shares(run, shared)

    def _shares(self, run, shared):
        """Class shares of the clusters in the training part."""
        pseudo = PseudoLabels.load(
            shared / CLUSTERS / "pseudo_labels.safetensors",
            model_key=read_json(shared / STATES / "done.json").get("key"),
            n_clusters=self.ensemble.n_clusters,
        )
        column = self.column * pseudo.top
        emotions = training_emotions(run, self.classes)
        return class_shares(
            [labels[:, column] for labels in pseudo.labels.values()],
            [self.classes.index(emotions[name]) for name in pseudo.labels],
            self.ensemble.n_clusters[self.column],
            len(self.classes),
        )

    @torch.no_grad()
    def read(self, path):
        """The states of a recording.

        Arguments
        ---------
        path : str or pathlib.Path
            An audio file of any sample rate and number of channels.

        Returns
        -------
        StateStrip

        Raises
        ------
        InputError
            If it cannot be read, or is too short for one state.
        """
        signal = read_audio(path)
        check_length(path, len(signal), shortest_clip(self.encoder))
        check_values(path, signal)
        log_sound(path, sound_warnings(signal))
        frames = self.encoder(signal[None])[0].float().numpy()
        return StateStrip(
            file=str(path),
            signal=signal.numpy(),
            frame_rate=self.encoder.frame_rate,
            classes=self.classes,
            states=self.ensemble.predict(frames)[:, self.column],
            shares=self.shares,
        )


def _shared_folder(run, seed):
    """Find where the recipe put P1 and P2 of a run."""
    corpus, *inner = Path(*run.parts[:-4]), *run.parts[-3:-1]
    folder = corpus.joinpath("pseudo", *inner, f"seed_{seed}")
    for part in (STATES, CLUSTERS):
        if seed is None or not (folder / part / "done.json").is_file():
            raise InputError(
                f"{run} has no emotion states (of {folder / part}): give a "
                "finished P-TAPT run, where its recipe left it."
            )
    return folder


def training_emotions(run, classes):
    """Read the class of every clip of a run's corpus.

    Arguments
    ---------
    run : Path
        The run folder, below its corpus's results.
    classes : list of str
        The run's classes.

    Returns
    -------
    dict
        From id to class.
    """
    manifest = load_manifest(run.parents[3] / "manifest.json")
    settings = run / "hyperparams.yaml"
    try:
        text = settings.read_text(encoding="utf-8")
        mapping = yaml.load(text, PlainLoader)["classes"]
    except (OSError, yaml.YAMLError, *MALFORMED) as error:
        raise InputError(
            f"{settings} cannot be read ({error}): start the recipe of this "
            "run again."
        ) from error
    if mapping is None:
        mapping = {name: [name] for name in classes}
    joined = {label for labels in mapping.values() for label in labels}
    present = {entry["emotion"] for entry in manifest.values()}
    chosen = select_classes(manifest, mapping, joined | present)
    return {name: entry["emotion"] for name, entry in chosen.items()}
