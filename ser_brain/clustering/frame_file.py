"""The frames of many utterances in one memory-mapped file.

``frames.f32`` holds the frames one after another, float32, little-endian;
``frames.txt`` has one line per utterance: its number of frames and their
CRC-32. A line is written after its frames, and both are compared when the
files are opened again, so that the work of a process that was killed, or lost
its power, is kept up to its last complete utterance.
"""

import logging
import re
import shutil
import zlib
from pathlib import Path

import numpy as np

from ser_brain.errors import InputError

logger = logging.getLogger(__name__)

BYTES = 4


class FrameFile:
    """Frames that are written once, utterance by utterance, and then read.

    Arguments
    ---------
    folder : str or pathlib.Path
        Its folder; the file of a killed process is continued.
    dim : int
        Number of features per frame.

    Example
    -------
    >>> import tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> file = FrameFile(folder.name, dim=3)
    >>> file.append([np.ones((2, 3)), np.ones((1, 3))])
    >>> FrameFile(folder.name, dim=3).counts
    [2, 1]
    >>> file.open().shape
    (3, 3)
    >>> folder.cleanup()
    """

    def __init__(self, folder, dim):
        self.folder = Path(folder)
        self.dim = dim
        self.path = self.folder / "frames.f32"
        self.counts_path = self.folder / "frames.txt"
        self.counts = self._left_counts()

    def _left_counts(self):
        """Number of frames of each complete utterance in the file."""
        if not (self.path.is_file() and self.counts_path.is_file()):
            return []
        # The text after the last newline is incomplete.
        lines = self.counts_path.read_bytes().split(b"\n")[:-1]
        counts = []
        with self.path.open("rb") as frames:
            for line in lines:
                told = re.fullmatch(rb"(\d{1,9}) (\d{1,10})", line)
                if told is None:
                    break
                count, found = map(int, told.groups())
                if zlib.crc32(frames.read(self._size(count))) != found:
                    break
                counts.append(count)
        return counts

    def _size(self, frames):
        """Size of a number of frames in bytes."""
        return frames * self.dim * BYTES

    def announce(self, frames):
        """Log the size of the file, and check that the disk has room.

        Arguments
        ---------
        frames : int
            Total number of frames, including existing ones.

        Raises
        ------
        InputError
            If there is not enough disk space.
        """
        size = self._size(frames)
        self.folder.mkdir(parents=True, exist_ok=True)
        logger.info(
            f"{frames} frames take {size / 1e6:.0f} MB in {self.path} until "
            "their clusters are known."
        )
        missing = size - self._size(sum(self.counts))
        free = shutil.disk_usage(self.folder).free
        if missing > free:
            raise InputError(
                f"{self.path} needs {missing / 1e6:.0f} MB more, but "
                f"{free / 1e6:.0f} MB are free: free some space or choose "
                "another folder."
            )

    def append(self, utterances):
        """Write the frames of further utterances.

        Arguments
        ---------
        utterances : iterable of numpy.ndarray
            Each of shape (frames, dim).

        Raises
        ------
        InputError
            If the disk is full; complete utterances are kept.
        """
        try:
            self._cut()
            with (
                self.path.open("ab") as frames,
                self.counts_path.open("a", encoding="ascii") as counts,
            ):
                for utterance in utterances:
                    block = np.asarray(utterance, "<f4").tobytes()
                    frames.write(block)
                    frames.flush()
                    counts.write(f"{len(utterance)} {zlib.crc32(block)}\n")
                    counts.flush()
                    self.counts.append(len(utterance))
        except OSError as error:
            raise InputError(
                f"{self.path} cannot be written ({error.strerror or error}): "
                "free some space or choose another folder."
            ) from error

    def _cut(self):
        """Truncate both files after the last complete utterance."""
        self.folder.mkdir(parents=True, exist_ok=True)
        lines = self.counts_path.read_bytes() if self.counts else b""
        kept = lines.splitlines(keepends=True)[: len(self.counts)]
        self.counts_path.write_bytes(b"".join(kept))
        with self.path.open("ab") as stream:
            stream.truncate(self._size(sum(self.counts)))

    def open(self):
        """Open all frames, memory-mapped for reading.

        Returns
        -------
        frames : numpy.ndarray
            float32, shape (frames, dim).

        Raises
        ------
        InputError
            If the file's size differs from what was written to it.
        """
        shape = sum(self.counts), self.dim
        found = self.path.stat().st_size
        if found != self._size(shape[0]):
            raise InputError(
                f"{self.path} has {found} bytes instead of "
                f"{self._size(shape[0])}: start the same command again."
            )
        if not shape[0]:
            return np.zeros(shape, "<f4")
        return np.memmap(self.path, dtype="<f4", mode="r", shape=shape)

    def sample(self, share, seed):
        """Some frames of every utterance, drawn at random.

        Arguments
        ---------
        share : float
            Of an utterance's frames, in (0, 1]; rounded down, but at least
            one frame. All of them stay in the file.
        seed : int
            Of the draws.

        Returns
        -------
        frames : numpy.ndarray
            float32, shape (frames, dim), in the order of the file: in memory,
            or memory-mapped if ``share`` is 1.

        Raises
        ------
        InputError
            If the share is out of its range, or the file is not whole.

        Example
        -------
        >>> import tempfile
        >>> folder = tempfile.TemporaryDirectory()
        >>> file = FrameFile(folder.name, dim=1)
        >>> file.append([np.zeros((10, 1)), np.ones((2, 1))])
        >>> file.sample(0.2, seed=1).ravel().tolist()
        [0.0, 0.0, 1.0]
        >>> folder.cleanup()
        """
        if not 0 < share <= 1:
            raise InputError(
                f"--kmeans_share is {share}: give a share of each clip's "
                "frames above 0, at most 1."
            )
        frames = self.open()
        if share == 1:
            return frames
        generator = np.random.default_rng(seed)
        rows, begin = [], 0
        for count in self.counts:
            drawn = generator.choice(
                count, min(count, max(1, int(share * count))), replace=False
            )
            rows.append(begin + np.sort(drawn))
            begin += count
        return frames[np.concatenate(rows)]
