"""Records of classified files, and their lines in CSV and JSON."""

import csv
import io
import json

from ser_brain.dataio.audio import SAMPLE_RATE
from ser_brain.inference.warning_rules import answer_warnings, sound_warnings


def records_of(classes, answers, wavs, samples):
    """Build the records of a batch.

    Arguments
    ---------
    classes : list of str
        In the order of the posteriors.
    answers : tuple
        What ``classify_batch`` returns.
    wavs : torch.Tensor
        The padded waveforms, shape (batch, samples).
    samples : sequence of int
        Samples of each utterance.

    Returns
    -------
    list of dict
        With ``label``, ``score`` (its probability), ``duration`` (in seconds),
        ``posteriors`` (probability by class name) and ``warnings`` (see
        :mod:`ser_brain.inference.warning_rules`).

    Example
    -------
    >>> import torch
    >>> shares = torch.tensor([[0.9, 0.1]])
    >>> answers = (shares, shares[:, 0], torch.tensor([0]), ["calm"])
    >>> wavs = torch.ones(1, 16000)
    >>> record = records_of(["calm", "sad"], answers, wavs, [16000])[0]
    >>> record["label"], record["duration"], record["warnings"]
    ('calm', 1.0, [])
    """
    posteriors, score, _, label = answers
    rows = zip(label, score.tolist(), posteriors.tolist(), wavs, samples)
    return [
        {
            "label": name,
            "score": best,
            "duration": count / SAMPLE_RATE,
            "posteriors": dict(zip(classes, shares)),
            "warnings": sound_warnings(wav[:count]) + answer_warnings(shares),
        }
        for name, best, shares, wav, count in rows
    ]


def as_json(record):
    """A record as JSON on one line.

    Example
    -------
    >>> as_json({"file": "a.wav", "error": "a.wav is empty"})
    '{"file": "a.wav", "error": "a.wav is empty"}'
    """
    return json.dumps(record, ensure_ascii=False, allow_nan=False)


class CsvRows:
    """Records as rows of a CSV file.

    Arguments
    ---------
    classes : list of str
        A column each, after file, label and score.
    errors : bool
        Whether there is a column ``error``, for files that are skipped.
    model : str, optional
        Content of a last column ``model``.

    Example
    -------
    >>> rows = CsvRows(["calm", "sad"], errors=False)
    >>> print(",".join(rows.columns))
    file,label,score,calm,sad,warnings
    >>> shares = {"calm": 0.25, "sad": 0.75}
    >>> record = {"file": "a.wav", "label": "sad", "score": 0.75}
    >>> record |= {"posteriors": shares, "warnings": ["quiet"]}
    >>> print(rows.line(record), end="")
    a.wav,sad,0.750000,0.250000,0.750000,quiet
    """

    def __init__(self, classes, errors, model=None):
        self.classes, self.errors, self.model = classes, errors, model
        self.columns = ["file", "label", "score", *classes, "warnings"]
        self.columns += ["error"] * errors
        self.columns += ["model"] * (model is not None)

    @property
    def head(self):
        """The first line."""
        return csv_line(self.columns)

    def line(self, record):
        """The line of a record."""
        if "error" in record:
            known = [""] * (3 + len(self.classes))
        else:
            shares = [record["posteriors"][name] for name in self.classes]
            numbers = [f"{each:.6f}" for each in (record["score"], *shares)]
            known = [record["label"], *numbers, " ".join(record["warnings"])]
        row = [record["file"], *known]
        row += [record.get("error", "")] * self.errors
        return csv_line(row + [self.model] * (self.model is not None))


def csv_line(cells):
    r"""A line of a CSV file.

    Example
    -------
    >>> csv_line(["a, b.wav", "sad"])
    '"a, b.wav",sad\n'
    """
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue()
