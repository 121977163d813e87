"""Results of many files in a file of its own, continued after an interruption.

A result is a line, written as soon as it is known, with the key of the model.
The same command, given again, keeps the complete lines and goes on after them.
"""

import csv
import fcntl
import hashlib
import json
import os
from contextlib import contextmanager, suppress
from pathlib import Path

from ser_brain.errors import MALFORMED, InputError
from ser_brain.files import digest, sync
from ser_brain.inference.records import CsvRows, as_json, csv_line

KEY_DIGITS = 16


def model_key(files):
    """Key of a model: a hash of the files that describe it.

    Arguments
    ---------
    files : list of str or Path
        Such as the ``classifier.json`` of each run, in any order.

    Returns
    -------
    str
        16 hexadecimal digits.

    Example
    -------
    >>> file = getfixture("tmp_path") / "model.onnx"
    >>> _ = file.write_text("weights")
    >>> model_key([file])
    '39c2875015b458ee'
    """
    found = "\n".join(sorted(digest(path) for path in files))
    return hashlib.sha256(found.encode()).hexdigest()[:KEY_DIGITS]


class JsonLines:
    """Results as JSON, one object per line.

    Arguments
    ---------
    classes, errors
        Not needed here, see :class:`CsvForm`.
    model : str
        Value of ``model`` in each line.
    """

    head = ""

    def __init__(self, classes, errors, model):
        self.model = model

    def line(self, record):
        """The line of a record."""
        return as_json({**record, "model": self.model}) + "\n"

    def begins(self, file):
        """What the line of a file begins with."""
        return as_json({"file": file})[:-1] + ", "

    def rows(self, lines):
        """Yield the content of complete lines, as dicts."""
        for line in lines:
            row = json.loads(line)
            yield {name: row.get(name) for name in ("file", "model", "error")}


class CsvForm(CsvRows):
    """Results as CSV, with a line of column names.

    Arguments
    ---------
    classes : list of str
        A column each.
    errors : bool
        Whether there is a column ``error``.
    model : str
        Content of the column ``model``.
    """

    def begins(self, file):
        """What the line of a file begins with."""
        return csv_line([file, ""]).rstrip("\n")

    def rows(self, lines):
        """Yield the content of complete rows after the head, as dicts."""
        for row in csv.reader(lines):
            # The last row is torn at a line break in the file's name.
            if len(row) < len(self.columns) and next(lines, None) is None:
                return
            yield dict(zip(self.columns, row, strict=True))


FORMS = {".jsonl": JsonLines, ".csv": CsvForm}


class _Lines:
    """The complete lines of a binary file, as text."""

    def __init__(self, file):
        self.file, self.end = file, 0

    def __iter__(self):
        return self

    def __next__(self):
        line = self.file.readline()
        if not line.endswith(b"\n"):
            raise StopIteration
        self.end += len(line)
        return line.decode("utf-8", "surrogateescape")


class ResultFile:
    """A file with one line per classified file, in the given order.

    Arguments
    ---------
    path : str or Path
        The file to write; its name ends in .jsonl or .csv. If it has results
        of the same model for the first of the files, they are kept.
    files : list of str
        All files that are classified.
    classes : list of str
        The classes of the model.
    model : str
        Its key, see :func:`model_key`.
    errors : bool
        Whether bad files are skipped.

    Attributes
    ----------
    done : int
        How many files have a complete line; a file with none is removed.
    bad : int
        How many of these were bad.

    Raises
    ------
    InputError
        If the name ends differently, the file has other content, another
        process is writing it, or it cannot be written.

    Example
    -------
    >>> path = getfixture("tmp_path") / "a.jsonl"
    >>> files = ["a.wav", "b.wav"]
    >>> with ResultFile(path, files, ["calm"], "1f") as results:
    ...     results.write({"file": "a.wav", "label": "calm"})
    >>> _ = path.write_text(path.read_text() + '{"file": "b.w')
    >>> with ResultFile(path, files, ["calm"], "1f") as results:
    ...     results.done
    1
    >>> print(path.read_text(), end="")
    {"file": "a.wav", "label": "calm", "model": "1f"}
    """

    def __init__(self, path, files, classes, model, errors=False):
        self.path, self.files, self.model = Path(path), files, model
        self.form = form_of(path)(classes, errors, model)
        self.done = self.bad = 0

    def __enter__(self):
        with self._writing():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.file = open(self.path, "a+b")
        try:
            with self._writing():
                self._lock()
                self._begin()
        except BaseException:
            # It tries to write again what could not be written.
            with suppress(OSError):
                self.file.close()
            raise
        return self

    def _begin(self):
        """Keep the complete lines, or write the head of a new file."""
        is_new = os.fstat(self.file.fileno()).st_size == 0
        try:
            kept = self._kept()
            self.file.truncate(kept)
            if kept == 0:
                self._append(self.form.head)
        except BaseException:
            if is_new:
                self.path.unlink()
            raise

    def __exit__(self, *_):
        with self._writing():
            if self.done == 0:
                self.path.unlink()
                self.file.close()
                return
            self.file.close()
            sync(self.path)

    def write(self, record):
        """Write the line of a record, which other programs can read at once."""
        with self._writing():
            self._append(self.form.line(record))
        self.done += 1
        self.bad += "error" in record

    def _append(self, line):
        self.file.write(line.encode("utf-8", "surrogateescape"))
        self.file.flush()

    @contextmanager
    def _writing(self):
        """Turn errors of the operating system into one sentence."""
        try:
            yield
        except OSError as error:
            raise InputError(
                f"{self.path} cannot be written ({error.strerror or error}): "
                "free some space or give another --output."
            ) from error

    def _lock(self):
        """Keep other processes from writing; nothing is left beside the file."""
        try:
            fcntl.flock(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InputError(
                f"{self.path} is being written by another process: wait until "
                "it has ended, or give another --output."
            ) from error

    def _kept(self):
        """Check the complete lines; return the position of their end."""
        self.file.seek(0)
        lines = _Lines(self.file)
        if self.form.head and next(lines, self.form.head) != self.form.head:
            raise self._other("has other columns", number=1)
        kept = lines.end
        try:
            for row in self.form.rows(lines):
                self._check(row)
                self.done += 1
                self.bad += bool(row.get("error"))
                kept = lines.end
        except (*MALFORMED, csv.Error) as error:
            raise self._other("is no result of ser-brain predict") from error
        self._check_rest(kept)
        return kept

    def _check(self, row):
        """Refuse a result of another file or model."""
        wanted = self.files[self.done : self.done + 1]
        if [row["file"]] != wanted:
            now = wanted[0] if wanted else "nothing"
            raise self._other(f"is of {row['file']}, where {now} would be")
        if row["model"] != self.model:
            found = f"{row['model']}, not {self.model}"
            raise self._other(f"is of another model ({found})")

    def _check_rest(self, kept):
        """Refuse an incomplete line that is not the beginning of the next."""
        following = map(self.form.begins, self.files[self.done :][:1])
        torn_head = kept == 0 and self.form.head
        begin = torn_head or next(following, "")
        begin = begin.encode("utf-8", "surrogateescape")
        self.file.seek(kept)
        rest = self.file.read(max(1, len(begin)))
        if not begin.startswith(rest):
            number = 1 if torn_head else None
            raise self._other("is no result of ser-brain predict", number)

    def _other(self, fault, number=None):
        """The refusal of a file with other content in a line."""
        number = number or self.done + 1 + bool(self.form.head)
        return InputError(
            f"{self.path}, line {number}, {fault}: give another --output, or "
            "remove that file."
        )


def form_of(path):
    """The form of a file by the ending of its name.

    Example
    -------
    >>> form_of("a.CSV").__name__
    'CsvForm'
    >>> form_of("a.txt")
    Traceback (most recent call last):
    ...
    ser_brain.errors.InputError: a.txt ends in neither .jsonl nor .csv: ...
    """
    form = FORMS.get(Path(path).suffix.lower())
    if form is None:
        raise InputError(
            f"{path} ends in neither {' nor '.join(FORMS)}: its ending chooses "
            "the form of the results, so give one of these."
        )
    return form
