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
from tqdm import tqdm

from ser_brain.clustering.kmeans import distinct_frames, lloyd, nearest_centres
from ser_brain.errors import InputError
from ser_brain.files import write_atomically

FORMAT = "ser_brain-kmeans-ensemble-1"
BACKENDS = ("auto", "sklearn", "torch")


class KMeansEnsemble:
    """K-means at several k: the pseudo-labels of P-TAPT.

    Each k-means starts from k random distinct frames and runs Lloyd's
    iterations (second step of P-TAPT, Chen and Rudnicky). Both backends start
    from the same frames, and `predict` is the same code for both, so the
    same centres always give the same labels.

    Arguments
    ---------
    n_clusters : sequence of int
        The k of each k-means.
    backend : str
        "sklearn" (scikit-learn on the CPU), "torch" (chunked Lloyd on the
        frames' device, or on CUDA if there is a GPU), or "auto": torch if
        there is a GPU, else scikit-learn.
    seed : int
        Of the choice of the first centres. The torch backend repeats its
        centres to the bit; scikit-learn adds up its threads' sums in any
        order, so with more than two threads to rounding.
    iterations : int
        Lloyd's iterations, at most.

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
    ):
        if backend not in BACKENDS:
            raise InputError(
                f"the k-means backend is {backend!r}: it must be one of "
                f"{', '.join(BACKENDS)}."
            )
        self.n_clusters = tuple(_positive("n_clusters", k) for k in n_clusters)
        if not self.n_clusters:
            raise InputError("n_clusters is empty: give at least one k.")
        self.backend = backend
        self.seed = seed
        self.iterations = _positive("iterations", iterations)
        self.centres = None

    def fit(self, frames):
        """Find the centres of every k.

        Arguments
        ---------
        frames : numpy.ndarray or torch.Tensor
            All training frames, float32, shape (n, dim); a memory-mapped
            array (mode "c") will do.

        Returns
        -------
        ensemble : KMeansEnsemble
            Itself; `centres` is a list of float32 tensors (k, dim).

        Raises
        ------
        InputError
            If a k is larger than the number of distinct frames (the sentence
            names the largest possible k), or a frame holds NaN or infinity.
        """
        frames = _as_tensor(frames)
        _check_finite(frames)
        # The largest k first: too few frames shall not cost an hour.
        start = distinct_frames(frames, max(self.n_clusters), self.seed)
        find_centres = self._backend_function()
        self.centres = [
            find_centres(frames, start[:k], self.iterations).cpu()
            for k in tqdm(self.n_clusters, desc="k-means", disable=None)
        ]
        return self

    def _backend_function(self):
        """The function that moves first centres to their final place."""
        automatic = "torch" if torch.cuda.is_available() else "sklearn"
        chosen = automatic if self.backend == "auto" else self.backend
        return _torch_centres if chosen == "torch" else _sklearn_centres

    def predict(self, frames):
        """The nearest centre of each frame, for every k.

        Arguments
        ---------
        frames : numpy.ndarray or torch.Tensor
            float32, shape (frames, dim).

        Returns
        -------
        labels : numpy.ndarray or torch.Tensor
            int64, shape (frames, len(n_clusters)): of the kind, and on the
            device, of the frames.

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
        tensor = _as_tensor(frames)
        _check_finite(tensor)
        self._check_fits(tensor)
        device = _device_for(tensor)
        labels = torch.stack(
            [nearest_centres(tensor, c.to(device)) for c in self.centres],
            dim=-1,
        )
        return labels.numpy() if isinstance(frames, np.ndarray) else labels

    def _check_fitted(self):
        """Raise unless there are centres."""
        if self.centres is None:
            raise InputError("the k-means has no centres yet: fit it first.")

    def _check_fits(self, frames):
        """Raise unless there are centres of the frames' size."""
        self._check_fitted()
        dim = self.centres[0].size(-1)
        if frames.size(-1) != dim:
            raise InputError(
                f"the frames have size {frames.size(-1)} but the k-means "
                f"was fitted to frames of size {dim}: fit it again."
            )

    def save(self, folder):
        """Write the centres (safetensors) and the settings (JSON).

        Arguments
        ---------
        folder : str or pathlib.Path
            It is made if missing; an ensemble already there is replaced.

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
        }
        tensors = {str(i): c for i, c in enumerate(self.centres)}
        # The settings go first and come last: a folder that has them has
        # the centres that belong to them.
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
            As given to `save`.

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
        except (
            OSError,
            SafetensorError,
            ValueError,
            KeyError,
            TypeError,
            AttributeError,
        ) as error:
            raise InputError(
                f"{folder} does not hold a whole k-means ensemble "
                f"({type(error).__name__}: {error}): fit it again."
            ) from error
        return ensemble


def _torch_centres(frames, start, iterations):
    """Final centres by the chunked Lloyd, on the GPU if there is one."""
    return lloyd(frames, start.to(_device_for(frames)), iterations)


def _sklearn_centres(frames, start, iterations):
    """Final centres by scikit-learn, from the same start."""
    kmeans = KMeans(
        n_clusters=len(start),
        init=start.cpu().numpy(),
        n_init=1,
        max_iter=iterations,
        tol=0.0,
        algorithm="lloyd",
    )
    kmeans.fit(frames.cpu().numpy())
    return torch.from_numpy(kmeans.cluster_centers_)


def _device_for(frames):
    """Where to compute: with the frames, or on CUDA if they are not."""
    if frames.device.type == "cpu" and torch.cuda.is_available():
        return torch.device("cuda")
    return frames.device


def _as_tensor(frames):
    """Frames as a float32 tensor (n, dim), sharing memory where it can."""
    if isinstance(frames, np.ndarray):
        frames = torch.from_numpy(np.ascontiguousarray(frames, np.float32))
    if frames.ndim != 2 or len(frames) == 0:
        raise InputError(
            f"the frames have shape {tuple(frames.shape)}: k-means takes "
            "(n, dim) with at least one frame."
        )
    return frames.detach().float()


def _check_finite(frames):
    """Raise if a frame holds NaN or infinity."""
    # The sum of a row is finite only if all of it is; no (n, dim) booleans.
    bad = ~frames.sum(dim=-1, dtype=torch.float64).isfinite()
    if bad.any():
        raise InputError(
            f"{int(bad.sum())} of {len(frames)} frames hold NaN or "
            "infinity: check the model that made them."
        )


def _positive(name, number):
    """`number` as an int, if it is a whole number above zero."""
    if int(number) != number or number < 1:
        raise InputError(
            f"{name} has the value {number!r}: it must be a whole number "
            "of at least 1."
        )
    return int(number)
