"""The emotions of a recording over time: steps, segments, text formats."""

import csv
import io
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ser_brain.dataio.audio import SAMPLE_RATE

ENVELOPE_SECONDS = 0.02  # resolution of the drawn waveform


@dataclass(frozen=True)
class Segment:
    """A segment of speech with one emotion.

    Arguments
    ---------
    begin, end : float
        Seconds.
    label : str
        The most likely class.
    score : float
        Its probability.
    posteriors : dict
        Probability by class name.
    speaker : str, optional
        Name, if turns are known.
    """

    begin: float
    end: float
    label: str
    score: float
    posteriors: dict
    speaker: str | None = None


@dataclass(frozen=True, eq=False)
class Timeline:
    """Posteriors over the speech of a recording.

    Arguments
    ---------
    path : str
        The audio file.
    duration : float
        Seconds.
    truncated : bool
        Whether the file ends earlier than its header states.
    classes : tuple of str
        Class names, in the order of the posteriors' columns.
    window, hop : float
        Seconds (see :class:`ser_brain.recordings.windows.Layout`).
    speech : list of (float, float)
        Spans of speech in seconds. Everything else is silence, music or noise,
        and gets no emotion.
    times : numpy.ndarray
        Begin and end of each step in seconds, shape (steps, 2). Steps cover
        the speech, or the turns' part of it, and nothing else.
    posteriors : numpy.ndarray
        Probability of each class, shape (steps, classes).
    speakers : list
        The speaker of each step, or None.
    segments : list of Segment
        Neighbouring steps with the same most likely class, joined (see
        ``segments_of``).
    envelope : numpy.ndarray
        Minimum and maximum of each 20 ms, shape (parts, 2).
    """

    path: str
    duration: float
    truncated: bool
    classes: tuple
    window: float
    hop: float
    speech: list
    times: np.ndarray
    posteriors: np.ndarray
    speakers: list
    segments: list
    envelope: np.ndarray

    def to_json(self):
        """Return everything except the envelope, as JSON text."""
        rows = zip(self.times, self.speakers, self.posteriors.tolist())
        steps = [
            {**_place(*time, speaker), "posteriors": self._named(row)}
            for time, speaker, row in rows
        ]
        content = {
            "file": self.path,
            "duration": round(self.duration, 3),
            "truncated": self.truncated,
            "classes": list(self.classes),
            "window": self.window,
            "hop": self.hop,
            "speech": [[round(t, 3) for t in span] for span in self.speech],
            "segments": [_segment_record(one) for one in self.segments],
            "steps": steps,
        }
        return json.dumps(content, indent=2, ensure_ascii=False)

    def to_csv(self):
        """One row per segment: times, label, score, posteriors, speaker."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        head = ["begin", "end", "speaker", "label", "score", *self.classes]
        writer.writerow(head)
        for one in self.segments:
            shares = [f"{one.posteriors[name]:.6f}" for name in self.classes]
            times = [f"{one.begin:.3f}", f"{one.end:.3f}"]
            score = f"{one.score:.6f}"
            row = [*times, one.speaker or "", one.label, score, *shares]
            writer.writerow(row)
        return text.getvalue().rstrip("\n")

    def to_rttm(self):
        """RTTM: one SPEAKER line per segment, its label as the name.

        With turns the name is ``speaker:label``. The second last field, the
        confidence, is the label's probability.
        """
        file = _word(Path(self.path).stem)
        lines = []
        for one in self.segments:
            named = f"{one.speaker}:{one.label}" if one.speaker else one.label
            length = one.end - one.begin
            lines.append(
                f"SPEAKER {file} 1 {one.begin:.3f} {length:.3f} <NA> <NA> "
                f"{_word(named)} {one.score:.3f} <NA>"
            )
        return "\n".join(lines)

    def to_audacity(self):
        """A label track that Audacity imports: begin, end, text."""
        lines = []
        for one in self.segments:
            who = f"{one.speaker}: " if one.speaker else ""
            text = f"{who}{one.label} {one.score:.0%}"
            lines.append(f"{one.begin:.6f}\t{one.end:.6f}\t{_line(text)}")
        return "\n".join(lines)

    def draw(self, path):
        """Draw waveform, posteriors and segments.

        Arguments
        ---------
        path : str or Path
            A file that ends in .png, .svg or .pdf.

        Raises
        ------
        InputError
            If the ending is another one, or the file cannot be written.
        """
        from ser_brain.recordings.drawing import save_drawing

        save_drawing(self, path)

    def _named(self, row):
        """Posteriors by class name."""
        return {name: round(share, 6) for name, share in zip(self.classes, row)}


def _place(begin, end, speaker):
    """Times and speaker, for JSON."""
    place = {"begin": round(float(begin), 3), "end": round(float(end), 3)}
    return place if speaker is None else {**place, "speaker": speaker}


def _segment_record(one):
    """A segment, for JSON."""
    shares = one.posteriors.items()
    return {
        **_place(one.begin, one.end, one.speaker),
        "label": one.label,
        "score": round(one.score, 6),
        "posteriors": {name: round(share, 6) for name, share in shares},
    }


def _line(text):
    """Text without characters that would end a line or a field."""
    return " ".join(text.split())


def _word(text):
    """Text as one field of RTTM, which has no blanks."""
    return "_".join(text.split())


def segments_of(times, posteriors, speakers, classes):
    """Join neighbouring steps.

    Two steps belong to one segment if the second begins where the first ends,
    both have the same speaker, and the same class is the most likely one in
    both. A segment's posteriors are the mean over its steps, weighted by
    their lengths.

    Arguments
    ---------
    times : numpy.ndarray
        Begin and end of each step in seconds, shape (steps, 2).
    posteriors : numpy.ndarray
        Shape (steps, classes).
    speakers : list
        The speaker of each step, or None.
    classes : sequence of str
        Class names.

    Returns
    -------
    list of Segment
        In the order of the steps.

    Example
    -------
    >>> times = np.array([[0.0, 2.0], [2.0, 4.0], [5.0, 7.0]])
    >>> posteriors = np.array([[0.6, 0.4], [0.8, 0.2], [0.7, 0.3]])
    >>> for one in segments_of(times, posteriors, [None] * 3, ("sad", "calm")):
    ...     print(one.begin, one.end, one.label, round(one.score, 2))
    0.0 4.0 sad 0.7
    5.0 7.0 sad 0.7
    """
    if len(times) == 0:
        return []
    best = posteriors.argmax(axis=1)
    joined = (times[1:, 0] == times[:-1, 1]) & (best[1:] == best[:-1])
    joined &= np.array(speakers[1:]) == np.array(speakers[:-1])
    groups = np.split(np.arange(len(times)), np.flatnonzero(~joined) + 1)
    found = []
    for group in groups:
        lengths = np.diff(times[group], axis=1)
        mean = (posteriors[group] * lengths).sum(axis=0) / lengths.sum()
        label = int(best[group[0]])
        found.append(
            Segment(
                begin=float(times[group[0], 0]),
                end=float(times[group[-1], 1]),
                label=classes[label],
                score=float(mean[label]),
                posteriors=dict(zip(classes, mean.tolist())),
                speaker=speakers[group[0]],
            )
        )
    return found


class Envelope:
    """Minimum and maximum of the waveform in each 20 ms of a stream.

    Example
    -------
    >>> envelope = Envelope()
    >>> envelope.add(np.arange(400, dtype=np.float32))
    >>> envelope.values().tolist()
    [[0.0, 319.0], [320.0, 399.0]]
    """

    size = int(ENVELOPE_SECONDS * SAMPLE_RATE)

    def __init__(self):
        self.parts = []
        self.rest = np.zeros(0, np.float32)

    def add(self, block):
        """Add the next samples."""
        samples = np.concatenate([self.rest, block])
        whole = len(samples) // self.size * self.size
        parts = samples[:whole].reshape(-1, self.size)
        self.parts.append(np.stack([parts.min(1), parts.max(1)], axis=1))
        self.rest = samples[whole:]

    def values(self):
        """Shape (parts, 2); an incomplete part counts as one."""
        last = [[self.rest.min(), self.rest.max()]] if len(self.rest) else []
        return np.concatenate([*self.parts, np.reshape(last, (-1, 2))])
