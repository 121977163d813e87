"""Features on disk: one memory-mapped file per corpus and model.

``<key>.f16`` holds the frames of all utterances one after another, fp16,
little-endian; ``<key>.json`` beside it gives the start of each and the
checksum. It is written last: without it there is no cache. The key is a hash
of the front-end's weights and the manifest's content, so that all folds, seeds
and procedures of a plan share the file.
"""

import hashlib
import json
import logging
import math
import os
import shutil
from pathlib import Path

import numpy as np
import torch

from ser_brain.bars import passing_bar
from ser_brain.errors import InputError
from ser_brain.files import atomic_path, write_atomically
from ser_brain.locks import turn

logger = logging.getLogger(__name__)

BLOCK = 1 << 22


class FrontEndFile:
    """Features of a corpus, cached in a folder from run to run.

    Arguments
    ---------
    folder : str or Path
        The folder with the caches of a corpus.
    key : str
        Hash of all that the features depend on.
    dim : int
        Number of features per frame.
    setting : str
        The setting that limits the folder, for messages.

    Example
    -------
    >>> import tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> file = FrontEndFile(folder.name, "abc", dim=3)
    >>> features = [("a", torch.ones(2, 3).half())]
    >>> file.ensure(lambda: features, frames=2, clips=1, gigabytes=1)
    >>> file.open()("a", None)
    tensor([[1., 1., 1.],
            [1., 1., 1.]], dtype=torch.float16)
    >>> folder.cleanup()
    """

    def __init__(self, folder, key, dim, setting="front_end_cache_gb"):
        self.folder = Path(folder)
        self.dim = dim
        self.setting = setting
        self.index_path = self.folder / f"{key}.json"
        self.path = self.folder / f"{key}.f16"
        self.lock_path = self.folder / f"{key}.lock"

    def ensure(self, compute, frames, clips, gigabytes):
        """Compute the file unless a complete one exists.

        If several processes need it at once, one computes it and the others
        wait. A damaged file is computed again.

        Arguments
        ---------
        compute : callable
            Returns an iterable of ids and features, fp16 on the CPU, shape
            (frames, dim).
        frames : int
            Approximate number of frames, for the message.
        clips : int
            Number of utterances, for the progress bar.
        gigabytes : float
            Limit on the folder's size: the least recently used caches are
            removed to stay below it.

        Raises
        ------
        InputError
            If the file alone exceeds the limit, or the disk is full.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with turn(self.lock_path, str(self.path)):
            if self._is_whole():
                os.utime(self.index_path)
                return
            for name in (self.path, self.index_path):
                name.unlink(missing_ok=True)
            # A file left by a killed process.
            for partial in self.folder.glob(f".{self.path.stem}.*"):
                partial.unlink()
            self._make_room(2 * self.dim * frames, gigabytes)
            logger.info(
                f"{megabytes(2 * self.dim * frames)} of features of {clips} "
                f"utterances are computed once, to {self.path}."
            )
            self._write(passing_bar(compute(), "features", clips))

    def open(self):
        """Open the cache, which is called like ``MemoryCache``."""
        index = json.loads(self.index_path.read_text(encoding="utf-8"))
        return MappedFeatures(self._mapped(index), index["frames"])

    def _is_whole(self):
        """Whether the file exists and is unchanged since it was written."""
        if not self.index_path.is_file():
            return False
        try:
            index = json.loads(self.index_path.read_text(encoding="utf-8"))
            found = checksum(self._mapped(index))
            if found == index["sha256"]:
                return True
            reason = "its checksum differs"
        except (ValueError, KeyError, OSError) as error:
            reason = " ".join(str(error).split())
        logger.warning(
            f"{self.path} is damaged ({reason}): it is computed again."
        )
        return False

    def _mapped(self, index):
        """The frames, memory-mapped, shape (frames, dim)."""
        shape = (sum(index["frames"].values()), self.dim)
        if self.path.stat().st_size != 2 * math.prod(shape):
            raise ValueError(f"{self.path.stat().st_size} bytes long")
        return np.memmap(self.path, dtype="<f2", mode="r", shape=shape)

    def _make_room(self, size, gigabytes):
        """Keep the folder below its limit, and check for free disk space."""
        if size > gigabytes * 1e9:
            raise InputError(
                f"the kept features need {megabytes(size)}, over the "
                f"--{self.setting} {gigabytes:g}: give more"
                f"{self._or_else('off')}."
            )
        others = sorted(
            self.folder.glob("*.json"), key=lambda path: path.stat().st_mtime
        )
        sizes = [file_size(path.with_suffix(".f16")) for path in others]
        while sum(sizes) + size > gigabytes * 1e9:
            oldest = others.pop(0)
            logger.info(
                f"{oldest.with_suffix('.f16')} is removed: the caches would "
                f"pass --{self.setting} {gigabytes:g}."
            )
            # A process that has it open keeps it: only the name is removed.
            oldest.unlink(missing_ok=True)
            oldest.with_suffix(".f16").unlink(missing_ok=True)
            sizes.pop(0)
        free = shutil.disk_usage(self.folder).free
        if size > free:
            raise InputError(
                f"the kept features need {megabytes(size)} in "
                f"{self.folder}, where {megabytes(free)} are free: free some "
                f"space{self._or_else('memory')}."
            )

    def _or_else(self, mode):
        """The alternative mode, if the setting's cache has modes."""
        name = self.setting.removesuffix("_gb")
        return f", or give --{name} {mode}" if name.endswith("cache") else ""

    def _write(self, utterances):
        """Write the frames first, the index when all are there."""
        digest = hashlib.sha256()
        frames = {}
        with atomic_path(self.path) as beside:
            with beside.open("wb") as stream:
                for name, features in utterances:
                    block = features.numpy().astype("<f2").tobytes()
                    digest.update(block)
                    stream.write(block)
                    frames[name] = len(features)
        index = {"sha256": digest.hexdigest(), "frames": frames}
        write_atomically(self.index_path, json.dumps(index))


class MappedFeatures:
    """Read utterances from a memory-mapped file.

    Arguments
    ---------
    features : numpy.ndarray
        All frames, shape (frames, dim).
    frames : dict
        Number of frames of each utterance, in the order of the file.

    Example
    -------
    >>> cache = MappedFeatures(np.arange(6.0).reshape(3, 2), {"a": 1, "b": 2})
    >>> cache("b", None)
    tensor([[2., 3.],
            [4., 5.]], dtype=torch.float64)
    """

    def __init__(self, features, frames):
        self.features = features
        ends = np.cumsum(list(frames.values())).tolist()
        self.places = {
            name: slice(end - count, end)
            for (name, count), end in zip(frames.items(), ends)
        }

    def __call__(self, name, compute):
        """Return features of an utterance; a missing one is computed."""
        if name not in self.places:
            return compute()
        return torch.from_numpy(np.array(self.features[self.places[name]]))


def checksum(features):
    """SHA-256 of the frames, read block by block."""
    digest = hashlib.sha256()
    rows = max(1, BLOCK // features.shape[1])
    for start in range(0, len(features), rows):
        digest.update(features[start : start + rows].tobytes())
    return digest.hexdigest()


def file_size(path):
    """Size of a file in bytes, 0 if another process has just removed it."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def megabytes(size):
    """A human-readable size.

    Example
    -------
    >>> megabytes(92_400_000)
    '92.4 MB'
    """
    return f"{size / 1e6:.1f} MB"
