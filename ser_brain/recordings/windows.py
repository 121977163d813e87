"""Windows over speech, and the time steps that they cover."""

from bisect import bisect_right
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ser_brain.dataio.audio import SAMPLE_RATE
from ser_brain.errors import InputError
from ser_brain.recordings.turns import Turn

SHORTEST_WINDOW = 0.25  # seconds
# Shorter parts of a turn are dropped, as voice activity detection drops clicks.
SHORTEST_PIECE = int(0.25 * SAMPLE_RATE)


class Piece(NamedTuple):
    """Speech of one speaker without a pause, in samples at 16 kHz.

    Arguments
    ---------
    begin, end : int
        First sample, and the one after the last.
    first, last : int
        The same with the quiet around it, for windows.
    speaker : str or None
        Name, if turns are known.
    """

    begin: int
    end: int
    first: int
    last: int
    speaker: str | None = None


@dataclass(frozen=True)
class Layout:
    """Placement of windows over a piece of speech.

    A piece that is no longer than ``window``, including the pause around it,
    is one window. A longer one has as few windows of that length as possible,
    evenly spaced from its beginning to its end, with starts at most ``hop``
    apart. Its speech is divided into equal steps of about ``hop``; the
    posteriors of a step are the mean over the windows that contain its middle.

    Arguments
    ---------
    window : float
        Seconds.
    hop : float
        Seconds, at most ``window``.

    Raises
    ------
    InputError
        If a value is out of its range.

    Example
    -------
    >>> layout = Layout(window=4.0, hop=2.0)
    >>> piece = Piece(0, 9 * SAMPLE_RATE, 0, 9 * SAMPLE_RATE)
    >>> (layout.windows(piece) / SAMPLE_RATE).round(2).tolist()
    [[0.0, 4.0], [1.67, 5.67], [3.33, 7.33], [5.0, 9.0]]
    >>> (layout.steps(piece) / SAMPLE_RATE).tolist()
    [[0.0, 2.25], [2.25, 4.5], [4.5, 6.75], [6.75, 9.0]]
    """

    window: float = 4.0
    hop: float = 2.0

    def __post_init__(self):
        if not SHORTEST_WINDOW <= self.window < float("inf"):
            raise InputError(
                f"window is {self.window}: give seconds, at least "
                f"{SHORTEST_WINDOW}."
            )
        if not 0.1 <= self.hop <= self.window:
            raise InputError(
                f"hop is {self.hop}: give seconds, at least 0.1 and at most "
                f"the window, {self.window}."
            )

    def windows(self, piece):
        """First and last sample of each window, shape (windows, 2)."""
        longest = int(self.window * SAMPLE_RATE)
        spare = piece.last - piece.first - longest
        if spare <= 0:
            return np.array([[piece.first, piece.last]])
        count = 1 + -(-spare // int(self.hop * SAMPLE_RATE))
        starts = np.linspace(piece.first, piece.first + spare, count)
        starts = starts.round().astype(int)
        return np.stack([starts, starts + longest], axis=1)

    def steps(self, piece):
        """First and last sample of each step, shape (steps, 2)."""
        size = piece.end - piece.begin
        count = max(1, round(size / (self.hop * SAMPLE_RATE)))
        edges = np.linspace(piece.begin, piece.end, count + 1).round()
        return np.stack([edges[:-1], edges[1:]], axis=1).astype(int)

    def by_step(self, piece, posteriors):
        """Compute the posteriors of each step from those of the windows.

        Arguments
        ---------
        piece : Piece
            The speech.
        posteriors : numpy.ndarray
            Shape (windows, classes).

        Returns
        -------
        numpy.ndarray
            Shape (steps, classes).
        """
        middles = self.steps(piece).mean(axis=1)[:, None]
        begins, ends = self.windows(piece).T
        holds = (begins <= middles) & (middles <= ends)
        return holds @ posteriors / holds.sum(axis=1, keepdims=True)


def pieces_of(speech, samples, margin, turns=None):
    """Divide speech by speakers' turns, and add the pause around it.

    Arguments
    ---------
    speech : list of (int, int)
        Where somebody speaks, in samples at 16 kHz.
    samples : int
        Of the recording.
    margin : int
        Samples of quiet on either side, at most: what is nearer to other
        speech, or not within the turn, does not belong to it.
    turns : list of Turn, optional
        Speech outside of every turn is left out; where turns overlap, each
        has its own piece. Pieces of less than 0.25 s are left out.

    Returns
    -------
    list of Piece
        By their beginning.

    Example
    -------
    >>> from ser_brain.recordings.turns import Turn
    >>> turns = [Turn(0.0, 1.0, "anna"), Turn(1.0, 3.0, "ben")]
    >>> for piece in pieces_of([(8000, 32000)], 60000, 1000, turns):
    ...     print(*piece)
    8000 16000 7000 16000 anna
    16000 32000 16000 33000 ben
    """
    if turns is None:
        turns = [Turn(0.0, samples / SAMPLE_RATE, None)]
    found, ends = [], [end for _, end in speech]
    pauses = zip(ends, (begin for begin, _ in speech[1:]))
    middles = [0, *(sum(pause) // 2 for pause in pauses), samples]
    for turn in turns:
        begins, stops = (round(t * SAMPLE_RATE) for t in turn[:2])
        begins, stops = max(begins, 0), min(stops, samples)
        for place in range(bisect_right(ends, begins), len(speech)):
            begin, end = speech[place]
            if begin >= stops:
                break
            piece = Piece(
                max(begin, begins),
                min(end, stops),
                max(begin - margin, middles[place], begins),
                min(end + margin, middles[place + 1], stops),
                turn.speaker,
            )
            found.append(piece)
    long = [p for p in found if p.end - p.begin >= SHORTEST_PIECE]
    return sorted(long, key=lambda piece: piece.begin)


def cut(blocks, spans):
    """Cut spans out of a stream, with as little as possible in memory.

    Arguments
    ---------
    blocks : iterable of numpy.ndarray
        The stream, in order.
    spans : sequence of (int, int)
        Samples, sorted by their beginning; they may overlap.

    Yields
    ------
    numpy.ndarray
        The samples of each span, in order.

    Example
    -------
    >>> blocks = (np.arange(n, n + 4) for n in (0, 4, 8))
    >>> for part in cut(blocks, [(1, 3), (2, 6), (9, 11)]):
    ...     print(part)
    [1. 2.]
    [2. 3. 4. 5.]
    [ 9. 10.]
    """
    held, first, waiting = np.zeros(0, np.float32), 0, list(spans)[::-1]
    for block in blocks:
        held = np.concatenate([held, block])
        while waiting and waiting[-1][1] <= first + len(held):
            begin, end = waiting.pop()
            yield held[begin - first : end - first]
        if not waiting:
            return
        drop = min(max(waiting[-1][0] - first, 0), len(held))
        held, first = held[drop:], first + drop
