"""Pseudo-label files: one label per frame and k.

A file records the model that made it and the values of k, and is refused if
either does not match: training on the labels of another model would fail
silently, with a plausible loss.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as to_bytes

from ser_brain.errors import MALFORMED, InputError
from ser_brain.files import write_atomically

FORMAT = "ser_brain-pseudo-labels-1"
IGNORED = -100


@dataclass
class PseudoLabels:
    """Cluster labels of every utterance's frames (P-TAPT's second step).

    Arguments
    ---------
    n_clusters : tuple of int
        The k of each k-means.
    frame_rate : float
        Frames per second: 50.0, as of the encoder that is adapted.
    model_key : str
        Key of the models (encoder and k-means) that made the labels.
    labels : dict
        From utterance id to an integer array (frames, len(n_clusters)),
        column i in the range 0 ... n_clusters[i] - 1.
    top : int
        Number of clusters that share a frame; above 1 the labels are soft and
        have this many columns per k, the nearest cluster first.
    weights : dict, optional
        For soft labels: from utterance id to float16 shares, in the shape of
        its labels; those of one frame and k sum to 1.

    Raises
    ------
    ValueError
        If an array has another shape or range, or is not of integers.

    Example
    -------
    >>> labels = {"a": np.array([[1, 5], [0, 6]])}
    >>> pseudo = PseudoLabels((2, 8), 50.0, "key of the model", labels)
    >>> pseudo.frames("a", start=1, count=2)
    tensor([[   0,    6],
            [-100, -100]])
    """

    n_clusters: tuple
    frame_rate: float
    model_key: str
    labels: dict
    top: int = 1
    weights: dict | None = None

    def __post_init__(self):
        self.n_clusters = tuple(self.n_clusters)
        if (self.top > 1) != (self.weights is not None):
            raise ValueError("labels have weights if, and only if, top > 1.")
        for name, array in self.labels.items():
            self._check(name, array)

    def _check(self, name, array):
        """Raise unless the array has this file's shape, type and range."""
        shaped = array.ndim == 2 and array.shape[1] == self.columns
        if not shaped or not np.issubdtype(array.dtype, np.integer):
            raise ValueError(
                f"the labels of {name} are {array.dtype} of shape "
                f"{array.shape}: they must be integers of shape "
                f"(frames, {self.columns})."
            )
        ends = np.repeat(self.n_clusters, self.top)
        if ((array < 0) | (array >= ends)).any():
            raise ValueError(
                f"the labels of {name} lie outside n_clusters "
                f"{self.n_clusters}: each must be from 0 to k - 1."
            )

    @property
    def columns(self):
        """Number of labels per frame."""
        return len(self.n_clusters) * self.top

    def frames(self, name, start, count):
        """Return the labels of a crop, with the requested length.

        Near the end of an utterance the encoder of emotion states may give
        fewer frames than the encoder that is adapted, or more: frames beyond
        its last are -100, which losses ignore, and extra labels are cut off.

        Arguments
        ---------
        name : str
            The utterance's id.
        start : int
            First frame, from 0.
        count : int
            Number of frames.

        Returns
        -------
        labels : torch.Tensor
            int64, shape (count, len(n_clusters) * top).

        Raises
        ------
        InputError
            If the utterance has no pseudo-labels.
        ValueError
            If start or count is negative.
        """
        if name not in self.labels:
            raise InputError(
                f"there are no pseudo-labels for {name}: extract them again "
                "from all the training data."
            )
        if start < 0 or count < 0:
            raise ValueError(
                f"the crop of {name} starts at {start} and has {count} "
                "frames: both must be at least 0."
            )
        crop = self.labels[name][start : start + count]
        padded = np.full((count, self.columns), IGNORED, np.int64)
        padded[: len(crop)] = crop
        return torch.from_numpy(padded)

    def shares(self, name, start, count):
        """Return the shares of a crop's clusters, for soft labels.

        Arguments
        ---------
        name, start, count
            As for ``frames``, which checks them.

        Returns
        -------
        shares : torch.Tensor
            float32, shape (count, len(n_clusters) * top); 0 where ``frames``
            has no label.
        """
        crop = self.weights[name][start : start + count]
        padded = np.zeros((count, self.columns), np.float32)
        padded[: len(crop)] = crop
        return torch.from_numpy(padded)

    def check_frame_rate(self, frame_rate):
        """Refuse an encoder with another frame rate.

        Arguments
        ---------
        frame_rate : float
            Frames per second of the encoder that is adapted.

        Raises
        ------
        InputError
            If the labels have another rate.
        """
        if frame_rate != self.frame_rate:
            raise InputError(
                f"there are {self.frame_rate:g} pseudo-labels a second, but "
                f"the encoder that is adapted gives {frame_rate:g} frames: "
                "give an --encoder and a --states_encoder of one frame rate."
            )

    def save(self, path):
        """Write one safetensors file, completely or not at all.

        Arguments
        ---------
        path : str or pathlib.Path
            An older file is replaced.
        """
        none = np.zeros((0, self.columns), np.int32)
        arrays = [array.astype(np.int32) for array in self.labels.values()]
        lengths = [len(array) for array in arrays]
        tensors = {
            "labels": np.concatenate([none, *arrays]),
            "offsets": np.cumsum([0, *lengths], dtype=np.int64),
        }
        metadata = {
            "format": FORMAT,
            "n_clusters": json.dumps(self.n_clusters),
            "frame_rate": json.dumps(self.frame_rate),
            "model_key": self.model_key,
            "ids": json.dumps(list(self.labels)),
        }
        if self.top > 1:
            metadata["top"] = json.dumps(self.top)
            shares = [self.weights[name] for name in self.labels]
            tensors["weights"] = np.concatenate(
                [none.astype(np.float16), *shares]
            )
        write_atomically(path, in_order(to_bytes(tensors, metadata)))

    @classmethod
    def load(cls, path, model_key=None, n_clusters=None):
        """Read a file and check that it is the expected one.

        Arguments
        ---------
        path : str or pathlib.Path
            The file given to `save`.
        model_key : str, optional
            Expected key of the model; any if not given.
        n_clusters : sequence of int, optional
            Expected values of k; any if not given.

        Returns
        -------
        pseudo_labels : PseudoLabels
            The content of the file, in memory.

        Raises
        ------
        InputError
            If the file is missing, damaged, of another kind, or made by
            another model or at other k.
        """
        path = Path(path)
        if not path.is_file():
            raise InputError(
                f"there is no pseudo-label file {path}: extract the "
                "pseudo-labels first."
            )
        try:
            loaded = cls._read(path)
        except (SafetensorError, *MALFORMED) as error:
            raise InputError(
                f"{path} is not a whole pseudo-label file "
                f"({type(error).__name__}: {error}): delete it and extract "
                "the pseudo-labels again."
            ) from error
        if model_key is not None:
            _match(path, "model key", loaded.model_key, model_key)
        if n_clusters is not None:
            _match(path, "k", loaded.n_clusters, tuple(n_clusters))
        return loaded

    @classmethod
    def _read(cls, path):
        """Read the file; many kinds of error if it is not ours."""
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != FORMAT:
                raise ValueError(f"its format is not {FORMAT}")
            labels = file.get_tensor("labels")
            offsets = file.get_tensor("offsets")
            top = json.loads(metadata.get("top", "1"))
            weights = file.get_tensor("weights") if top > 1 else None
        ids = json.loads(metadata["ids"])
        whole = offsets.shape == (len(ids) + 1,) and (
            offsets[0] == 0
            and offsets[-1] == len(labels)
            and (np.diff(offsets) >= 0).all()
        )
        if not whole:
            raise ValueError("its offsets do not fit its labels")
        if weights is not None and weights.shape != labels.shape:
            raise ValueError("its weights do not fit its labels")

        def by_id(array):
            parts = np.split(array, offsets)[1:-1]
            return dict(zip(ids, parts, strict=True))

        return cls(
            n_clusters=json.loads(metadata["n_clusters"]),
            frame_rate=json.loads(metadata["frame_rate"]),
            model_key=metadata["model_key"],
            labels=by_id(labels),
            top=top,
            weights=None if weights is None else by_id(weights),
        )


def in_order(content):
    """Sort the header of a safetensors file: equal content, equal bytes.

    safetensors writes its metadata in a random order.

    Arguments
    ---------
    content : bytes
        The file.

    Returns
    -------
    bytes
        The same file, with its header's keys in alphabetical order.

    Example
    -------
    >>> metadata = {"a": "1", "b": "2", "c": "3"}
    >>> files = [to_bytes({"x": np.zeros(3)}, metadata) for _ in range(9)]
    >>> len({in_order(file) for file in files})
    1
    """
    start = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:start])
    text = json.dumps(header, sort_keys=True, separators=(",", ":")).encode()
    # Tensors begin at a multiple of 8 bytes.
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + content[start:]


def _match(path, what, found, wanted):
    """Raise unless the file was made by what the caller expects."""
    if found != wanted:
        raise InputError(
            f"the pseudo-labels in {path} have the {what} {found}, but "
            f"{wanted} is needed: extract the pseudo-labels again."
        )
