"""An audio file of any length, read block by block at 16 kHz."""

import logging
from pathlib import Path

import numpy as np
import soundfile
import soxr

from ser_brain.corpora.audio import cut_short
from ser_brain.dataio.audio import SAMPLE_RATE, UNREADABLE, check_rate
from ser_brain.errors import InputError

BLOCK_SECONDS = 10.0

logger = logging.getLogger(__name__)


class Recording:
    """A file that is read as a stream, any number of times.

    Arguments
    ---------
    path : str or Path
        Anything soundfile opens, at any sample rate, with any number of
        channels, which are averaged.

    Attributes
    ----------
    truncated : bool
        Whether the file holds less than its header states; known once
        ``blocks`` has been read to its end.

    Raises
    ------
    InputError
        If the file is missing or not audio, or its rate is below 1000 Hz.

    Example
    -------
    >>> path = getfixture("tmp_path") / "a.wav"
    >>> soundfile.write(path, np.zeros((441000, 2)), 44100)
    >>> recording = Recording(path)
    >>> sum(len(block) for block in recording.blocks(seconds=6))
    160000
    >>> recording.truncated
    False
    """

    def __init__(self, path):
        self.path = Path(path)
        self.truncated = False
        if not self.path.is_file():
            raise InputError(
                f"{path} cannot be read: there is no such file; check its path."
            )
        with self._open() as file:
            check_rate(path, file.samplerate)

    def _open(self):
        """Open the file, or raise an error that explains why not."""
        try:
            return soundfile.SoundFile(self.path)
        except UNREADABLE as error:
            raise self._unreadable(error) from error

    def _unreadable(self, error):
        """The error for a file that soundfile cannot decode."""
        return InputError(
            f"{self.path} cannot be read as audio ({error}): give a file that "
            "soundfile opens, such as wav or flac."
        )

    def blocks(self, seconds=BLOCK_SECONDS):
        """Read the file once, from its beginning.

        Arguments
        ---------
        seconds : float
            Seconds read at a time.

        Yields
        ------
        numpy.ndarray
            The next samples at 16 kHz, mono, float32, in [-1, 1].

        Raises
        ------
        InputError
            If the file holds no samples, NaN or infinite ones, or cannot be
            decoded from its beginning.
        """
        with self._open() as file:
            to_16k = soxr.ResampleStream(
                file.samplerate, SAMPLE_RATE, 1, dtype="float32", quality="HQ"
            )
            read = 0
            for block in self._decoded(file, int(seconds * file.samplerate)):
                read += len(block)
                yield to_16k.resample_chunk(self._mono(block))
            if read == 0:
                raise InputError(
                    f"{self.path} holds no samples: record or copy it again."
                )
            yield to_16k.resample_chunk(np.zeros(0, np.float32), last=True)
            self._check_end(file, read)

    def _decoded(self, file, size):
        """Yield the blocks of the file; a damaged one ends the stream."""
        while True:
            try:
                block = file.read(size, dtype="float32", always_2d=True)
            except UNREADABLE as error:
                if file.tell() <= 0:
                    raise self._unreadable(error) from error
                self.truncated = True
                return
            if len(block) == 0:
                return
            yield block

    def _mono(self, block):
        """The mean over channels, if all samples are finite."""
        wav = block.mean(axis=1)
        if not np.isfinite(wav).all():
            raise InputError(
                f"{self.path} holds NaN or infinite samples: export it again."
            )
        return wav

    def _check_end(self, file, read):
        """Check that the file is as long as its header states."""
        self.truncated = cut_short(file, read) is not None

    def warn(self, seconds):
        """Log a warning if the file is truncated.

        Arguments
        ---------
        seconds : float
            Seconds that could be read.
        """
        if self.truncated:
            logger.warning(
                f"{self.path} is truncated: it can be read for {seconds:.1f} "
                "s, but should be longer; copy it again if you need the rest."
            )
