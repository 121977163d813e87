"""Several k-means over the same frames, coarse to fine."""

import json
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import (
    load as tensors_from_bytes,
    save as to_bytes,
)
from sklearn.cluster import KMeans

from ser_brain.bars import passing_bar
from ser_brain.clustering.kmeans import Labels, check_numbers, lloyd, workers
from ser_brain.clustering.progress import KMeansProgress
from ser_brain.clustering.starts import distinct_frames, spread_frames
from ser_brain.errors import MALFORMED, InputError
from ser_brain.files import write_atomically

FORMAT = "ser_brain-kmeans-ensemble-1"
BACKENDS = ("auto", "torch", "sklearn")
STARTS = {"random": distinct_frames, "k-means++": spread_frames}


class KMeansEnsemble:
    """K-means at several k: the pseudo-labels of P-TAPT.

    Each k-means starts from k distinct frames and runs Lloyd's iterations
    (second step of P-TAPT, Chen and Rudnicky). Both backends start from the
    same frames, and `predict` is the same code for both, so the same centres
    always give the same labels. The frames may be in a memory-mapped file of
    any size: the torch backend reads it once per iteration for all k, and
    holds a few blocks of it and 8 bytes per frame and k in memory.

    Arguments
    ---------
    n_clusters : sequence of int
        The k of each k-means.
    backend : str
        "torch" (on the frames' device, or on CUDA if there is a GPU),
        "sklearn" (scikit-learn on the CPU, all frames in memory), or "auto":
        torch, which was faster wherever both were measured.
    seed : int
        Seed for the choice of the initial centres. The torch backend
        reproduces its centres bit for bit; scikit-learn adds up its threads'
        sums in any order, so with more than two threads its centres are
        reproduced up to rounding.
    iterations : int
        Maximum number of Lloyd's iterations.
    start : str
        "random" frames, as in the released code, or frames chosen by
        "k-means++" from a random sample, which takes longer.

    Raises
    ------
    InputError
        If an argument cannot be used.

    Example
    -------
    >>> frames = torch.tensor([[0.0], [1.0], [8.0], [9.0]])
    >>> ensemble = KMeansEnsemble(n_clusters=(1, 2)).fit(frames)
    >>> labels = ensemble.predict(frames)
    >>> labels[:, 0], labels[0, 1] == labels[1, 1]
    (tensor([0, 0, 0, 0]), tensor(True))
    """

    def __init__(
        self,
        n_clusters=(64, 512, 4096),
        backend="auto",
        seed=0,
        iterations=20,
        start="random",
    ):
        if backend not in BACKENDS:
            raise InputError(
                f"the k-means backend is {backend!r}, but it must be one of "
                f"{', '.join(BACKENDS)}."
            )
        if start not in STARTS:
            raise InputError(
                f"the start of the k-means is {start!r}, but it must be one of "
                f"{', '.join(STARTS)}."
            )
        self.n_clusters = tuple(_positive("n_clusters", k) for k in n_clusters)
        if not self.n_clusters:
            raise InputError("n_clusters is empty: give at least one k.")
        self.backend = backend
        self.start = start
        self.seed = seed
        self.iterations = _positive("iterations", iterations)
        self.centres = None

    def fit(self, frames, checkpoint=None):
        """Find the centres of every k.

        Arguments
        ---------
        frames : numpy.ndarray or torch.Tensor
            All training frames, of any float type, shape (n, dim); a
            memory-mapped array will do.
        checkpoint : str or pathlib.Path, optional
            A file that keeps the centres after each iteration of the torch
            backend: a k-means that was killed continues from there. The caller
            deletes it.

        Returns
        -------
        ensemble : KMeansEnsemble
            Itself; `centres` is a list of float32 tensors (k, dim).

        Raises
        ------
        InputError If a k is larger than the number of distinct frames (the
            message names the largest possible k), or a frame holds NaN or
            infinity.
        """
        _check_shape(frames)
        check_numbers(frames)
        choose = STARTS[self.start]
        # The largest k first, so that too few frames are reported at once.
        found = {
            k: choose(frames, k, self.seed)
            for k in sorted(set(self.n_clusters), reverse=True)
        }
        starts = [found[k] for k in self.n_clusters]
        if self.backend == "sklearn":
            self.centres = [
                _sklearn_centres(frames, start, self.iterations)
                for start in passing_bar(starts, "k-means")
            ]
        else:
            self.centres = self._torch_centres(frames, starts, checkpoint)
        return self

    def _torch_centres(self, frames, starts, checkpoint):
        """Final centres of every k; from a checkpoint, if there is one."""
        device = _device_for(frames)
        done, centres, after = 0, starts, None
        if checkpoint is not None:
            progress = KMeansProgress(checkpoint, starts)
            done, centres = progress.load()
            after = progress.save
        centres = lloyd(
            frames,
            [c.to(device) for c in centres],
            self.iterations,
            after=after,
            first=done,
        )
        return [c.cpu() for c in centres]

    def predict(self, frames):
        """The nearest centre of each frame, for every k.

        Arguments
        ---------
        frames : numpy.ndarray or torch.Tensor
            Of any float type, shape (frames, dim); may be memory-mapped.

        Returns
        -------
        labels : numpy.ndarray or torch.Tensor
            int64, shape (frames, len(n_clusters)); of the same type and on the
            same device as the frames.

        Raises
        ------
        InputError
            If the ensemble has no centres yet, or centres of another size,
            or a frame holds NaN or infinity.

        Example
        -------
        >>> ensemble = KMeansEnsemble(n_clusters=(1,)).fit(np.eye(2))
        >>> ensemble.predict(np.eye(2))
        array([[0],
               [0]])
        """
        _check_shape(frames)
        self._check_fits(frames)
        check_numbers(frames)
        device = _device_for(frames)
        centres = [c.to(device) for c in self.centres]
        found = Labels(frames, centres)
        with workers(device) as spread:
            for _ in found.update(centres, spread):
                pass
        labels = found.labels.long()
        if isinstance(frames, np.ndarray):
            return labels.numpy()
        return labels.to(frames.device)

    def _check_fitted(self):
        """Raise unless there are centres."""
        if self.centres is None:
            raise InputError("the k-means has no centres yet: fit it first.")

    def _check_fits(self, frames):
        """Raise unless there are centres of the frames' size."""
        self._check_fitted()
        dim = self.centres[0].size(-1)
        if frames.shape[-1] != dim:
            raise InputError(
                f"the frames have size {frames.shape[-1]} but the k-means "
                f"was fitted to frames of size {dim}: fit it again."
            )

    def save(self, folder):
        """Write the centres (safetensors) and the settings (JSON).

        Arguments
        ---------
        folder : str or pathlib.Path
            Created if missing; an existing ensemble is replaced.

        Raises
        ------
        InputError
            If the ensemble has no centres yet.

        Example
        -------
        >>> import tempfile
        >>> folder = tempfile.mkdtemp()
        >>> KMeansEnsemble(n_clusters=(2,)).fit(np.eye(2)).save(folder)
        >>> KMeansEnsemble.load(folder).centres[0].shape
        torch.Size([2, 2])
        """
        self._check_fitted()
        folder = Path(folder)
        settings = {
            "format": FORMAT,
            "n_clusters": self.n_clusters,
            "backend": self.backend,
            "seed": self.seed,
            "iterations": self.iterations,
            "start": self.start,
        }
        tensors = {str(i): c for i, c in enumerate(self.centres)}
        # The settings are deleted first and written last: a folder that has
        # settings also has the centres that belong to them.
        (folder / "ensemble.json").unlink(missing_ok=True)
        write_atomically(folder / "centres.safetensors", to_bytes(tensors))
        write_atomically(
            folder / "ensemble.json", json.dumps(settings, indent=2).encode()
        )

    @classmethod
    def load(cls, folder):
        """Read what `save` wrote.

        Arguments
        ---------
        folder : str or pathlib.Path
            The folder given to `save`.

        Returns
        -------
        ensemble : KMeansEnsemble
            Ready to predict.

        Raises
        ------
        InputError
            If the folder holds no finished, sound ensemble.
        """
        folder = Path(folder)
        try:
            settings = json.loads((folder / "ensemble.json").read_bytes())
            content = (folder / "centres.safetensors").read_bytes()
            tensors = tensors_from_bytes(content)
            if settings.pop("format") != FORMAT:
                raise ValueError("of another format")
            ensemble = cls(**settings)
            ensemble.centres = [
                tensors[str(i)] for i in range(len(ensemble.n_clusters))
            ]
            sizes = tuple(len(centres) for centres in ensemble.centres)
            if sizes != ensemble.n_clusters:
                raise ValueError(f"its centres are {sizes}")
        except (OSError, SafetensorError, *MALFORMED) as error:
            raise InputError(
                f"{folder} does not hold a whole k-means ensemble "
                f"({type(error).__name__}: {error}): fit it again."
            ) from error
        return ensemble


def _sklearn_centres(frames, start, iterations):
    """Final centres by scikit-learn."""
    kmeans = KMeans(
        n_clusters=len(start),
        init=start.numpy(),
        n_init=1,
        max_iter=iterations,
        tol=0.0,
        algorithm="lloyd",
    )
    if isinstance(frames, torch.Tensor):
        frames = frames.detach().cpu().numpy()
    kmeans.fit(np.asarray(frames, np.float32))
    return torch.from_numpy(kmeans.cluster_centers_)


def _device_for(frames):
    """The device to compute on: that of the frames, or CUDA for arrays."""
    if isinstance(frames, torch.Tensor) and frames.device.type != "cpu":
        return frames.device
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _check_shape(frames):
    """Raise unless the frames are (n, dim) and there are some."""
    if len(frames.shape) != 2 or len(frames) == 0:
        raise InputError(
            f"the frames have shape {tuple(frames.shape)}: k-means takes "
            "(n, dim) with at least one frame."
        )


def _positive(name, number):
    """`number` as an int, if it is a whole number above zero."""
    if int(number) != number or number < 1:
        raise InputError(
            f"{name} has the value {number!r}: it must be a whole number "
            "of at least 1."
        )
    return int(number)
