"""Predictions printed to stdout, each as soon as it is known."""

import sys

from ser_brain.errors import printable


class Table:
    """Aligned columns for a terminal, in percent, and warnings on stderr.

    Arguments
    ---------
    files : list of str
        The files that will be printed.
    classes : list of str
        A column each.
    errors : bool
        Whether there is a column ``error``, for files that are skipped.

    Example
    -------
    >>> table = Table(["a.wav"], ["calm", "sad"], errors=False)
    >>> shares = {"calm": 0.25, "sad": 0.75}
    >>> table.write({"file": "a.wav", "label": "sad", "posteriors": shares})
    file   label   calm    sad
    a.wav  sad     25.0   75.0
    """

    def __init__(self, files, classes, errors=False):
        self.classes, self.errors = classes, errors
        names = ["file", *map(printable, files)]
        self.widths = [max(map(len, names))]
        self.widths += [max(map(len, ["label", *classes]))]
        self.widths += [max(len(name), len("100.0")) for name in classes]
        self.head = ["file", "label", *classes] + ["error"] * errors

    def write(self, record):
        """Print the row of a record, with its warnings on stderr."""
        from ser_brain.inference.warning_rules import sentences

        if self.head:
            show(self._row(self.head))
            self.head = None
        shares = record.get("posteriors")
        cells = [printable(record["file"]), record.get("label", "")]
        cells += [
            f"{100 * shares[name]:.1f}" if shares else ""
            for name in self.classes
        ]
        cells += [printable(record.get("error", ""))] * self.errors
        show(self._row(cells))
        for sentence in sentences(record):
            show(f"warning: {printable(sentence)}", sys.stderr)

    def _row(self, cells):
        """Align names to the left and numbers to the right."""
        aligned = [
            cell.ljust(width) if number < 2 else cell.rjust(width)
            for number, (cell, width) in enumerate(zip(cells, self.widths))
        ]
        return "  ".join(aligned + cells[len(self.widths) :])


class Csv:
    """A line of column names, then one line per file."""

    def __init__(self, files, classes, errors=False):
        from ser_brain.inference.records import CsvRows

        self.rows = CsvRows(classes, errors)
        self.begun = False

    def write(self, record):
        """Print the line of a record."""
        if not self.begun:
            show(self.rows.head, end="")
        self.begun = True
        show(self.rows.line(record), end="")


class JsonList:
    """A JSON list with one line per file, which ends after the last one."""

    def __init__(self, files, classes, errors=False):
        self.left = len(files)
        self.before = "[\n"

    def write(self, record):
        """Print the line of a record."""
        from ser_brain.inference.records import as_json

        self.left -= 1
        after = "," if self.left else "\n]"
        show(self.before + as_json(record) + after)
        self.before = ""


FORMS = {"table": Table, "csv": Csv, "json": JsonList}


def show(text, stream=None, end="\n"):
    """Print at once, above a progress bar if there is one."""
    from tqdm import tqdm

    stream = stream or sys.stdout
    tqdm.write(text, file=stream, end=end)
    stream.flush()
