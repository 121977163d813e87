"""Functions behind the web page; its layout is in ``web``."""

from pathlib import Path

import pandas

from ser_brain.errors import InputError
from ser_brain.inference.records import records_of
from ser_brain.inference.warning_rules import ABOUT_SOUND, sound_warnings
from ser_brain.serving.upload import decode

REPORT = "report.html"
SEGMENT_COLUMNS = ["begin", "end", "label", "%"]


class Page:
    """Models by name, used within limits.

    Arguments
    ---------
    models : dict
        Name -> EmotionRecognizer.
    limits : ser_brain.serving.upload.Limits
        The largest file that is classified.

    Example
    -------
    >>> from ser_brain.serving.upload import Limits
    >>> Page({}, Limits()).posteriors("a.wav")
    []
    """

    def __init__(self, models, limits):
        self.models = models
        self.limits = limits

    def posteriors(self, path):
        """Compute each model's posteriors of a recording.

        Arguments
        ---------
        path : str
            Of the file.

        Returns
        -------
        list of dict
            Class name -> probability, one per model.

        Raises
        ------
        InputError
            If the file is no audio or exceeds the limits.
        """
        records = (self._record(model, path) for model in self.models.values())
        return [record["posteriors"] for record in records]

    def notes(self, path):
        """Sentences on what is doubtful about a recording, as a list."""
        first = next(iter(self.models.values()))
        wav = decode(Path(path).read_bytes(), self.limits, first.shortest)
        return [
            ABOUT_SOUND[each].format(file="The recording")
            for each in sound_warnings(wav)
        ]

    def _record(self, model, path):
        """As ``records_of`` builds it."""
        content = Path(path).read_bytes()
        wav = decode(content, self.limits, model.shortest)
        answers = model.classify_batch(wav)
        return records_of(model.classes, answers, wav[None], [len(wav)])[0]

    def timeline(self, path, name, picture):
        """Compute the emotions of a recording over time.

        Arguments
        ---------
        path : str
            Of the file.
        name : str
            Of the model.
        picture : str or Path
            A .png to draw to.

        Returns
        -------
        rows : list of list
            Begin and end in seconds, label and percent of each segment.
        note : str
            A sentence about the speech found.

        Raises
        ------
        InputError
            If the file is no audio or exceeds the limits.
        """
        model = self.models[name]
        decode(Path(path).read_bytes(), self.limits, model.shortest)
        timeline = model.timeline(path, progress=False)
        timeline.draw(picture)
        rows = [
            [
                round(one.begin, 2),
                round(one.end, 2),
                one.label,
                round(100 * one.score, 1),
            ]
            for one in timeline.segments
        ]
        spoken = sum(end - begin for begin, end in timeline.speech)
        note = f"{spoken:.1f} s of speech in {timeline.duration:.1f} s."
        if timeline.truncated:
            note += " The file ends before its own end: it was cut short."
        return rows, note

    def table(self, paths):
        """Classify many files with every model.

        Arguments
        ---------
        paths : list of str
            The files.

        Returns
        -------
        pandas.DataFrame
            One row per file and model: file, model, label, score, one column
            per class, and warnings; ``error`` is the third column if a file
            was refused.
        """
        rows = []
        for path in paths:
            for name, model in self.models.items():
                row = {"file": Path(path).name, "model": name}
                try:
                    record = self._record(model, path)
                    row |= {name: record[name] for name in ("label", "score")}
                    row |= record["posteriors"]
                    row["warnings"] = " ".join(record["warnings"])
                except InputError as error:
                    row["error"] = str(error)
                rows.append(row)
        table = pandas.DataFrame(rows)
        if "error" in table:
            table.insert(2, "error", table.pop("error").fillna(""))
        return table


def named(folders):
    """Find the shortest distinct name of each model's folder.

    Arguments
    ---------
    folders : list of str
        As given on a command line.

    Returns
    -------
    dict
        Name -> folder.

    Raises
    ------
    InputError
        If a folder is given twice.

    Example
    -------
    >>> list(named(["a/fold_1/seed_1", "a/fold_2/seed_1"]))
    ['fold_1/seed_1', 'fold_2/seed_1']
    >>> list(named(["models/calls"]))
    ['calls']
    """
    parts = [Path(folder).resolve().parts for folder in folders]
    if len(set(parts)) < len(parts):
        raise InputError("A model is given twice: name each folder once.")
    length = 1
    while len({each[-length:] for each in parts}) < len(parts):
        length += 1
    names = ["/".join(each[-length:]) for each in parts]
    return dict(zip(names, folders))


def reports(folders):
    """Find the training report of each model that has one.

    Arguments
    ---------
    folders : dict
        Name -> folder.

    Returns
    -------
    dict
        Name -> self-contained HTML.

    Example
    -------
    >>> reports({"calls": "/nowhere"})
    {}
    """
    paths = {name: Path(folder, REPORT) for name, folder in folders.items()}
    return {
        name: path.read_text(encoding="utf-8")
        for name, path in paths.items()
        if path.is_file()
    }
