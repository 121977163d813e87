"""The user's own corpus: a CSV or JSON table of clips.

The columns are `path, emotion, speaker` and, where wanted, `session`, `fold`
and `text` (what is said); others are left alone. Paths are relative to the table's folder, or
absolute. A JSON table is a list of objects, or `{id: object}`.
"""

import csv
import io
import json
import math
import os
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ser_brain.corpora.corpus import Clip, Reading
from ser_brain.errors import InputError
from ser_brain.files import is_file

NEEDED = ("path", "emotion", "speaker")
OPTIONAL = ("session", "fold", "text")
# What other programs put between columns.
DELIMITERS = {";": "semicolons", "\t": "tabs", "|": "bars"}


@dataclass(frozen=True)
class Row:
    """One line of a table: its position, its id if given, its values.

    ``record`` has all columns, as they stand there.
    """

    where: str
    id: str | None
    values: dict
    record: dict


class RepeatedKey(Exception):
    """A JSON object has a repeated key."""


def read_table(table):
    """Read a table of the user's own clips.

    Arguments
    ---------
    table : str or pathlib.Path
        A .csv or .json file.

    Returns
    -------
    Reading
        Clips with audio paths relative to the table's folder. Without a
        session column the speaker is the session. Ids are the names of the
        files, with as much of their paths as needed to make them unique.

    Raises
    ------
    InputError
        If the table is missing, empty or of another form, or a line lacks a
        value, repeats a path, or names a file that does not exist.

    Example
    -------
    >>> read_table("/nowhere/my.csv")
    Traceback (most recent call last):
    ...
    ser_brain.errors.InputError: /nowhere/my.csv does not exist: ...
    """
    table = Path(table)
    rows = _read_rows(table)
    if not rows:
        raise InputError(f"{table} lists no clip: add a line for each clip.")
    _check_rows(rows, table.parent)
    wavs = [_relative(row.values["path"], table.parent) for row in rows]
    names = zip(_ids(rows, wavs), wavs, rows, strict=True)
    return Reading(tuple(_clip(*each) for each in names), label_files=(table,))


def read_numbers(table, columns):
    """Numeric columns of a table that ``read_table`` has read.

    Arguments
    ---------
    table : str or pathlib.Path
        A .csv or .json file.
    columns : sequence of str
        Names of the columns.

    Returns
    -------
    dict
        From id to ``{column: number}``.

    Raises
    ------
    InputError
        If a column is missing, or a line has no finite number in it.
    """
    table = Path(table)
    rows = _read_rows(table)
    for name in columns:
        if not any(name in row.record for row in rows):
            raise InputError(
                f"{table} has no column {name!r}, whose numbers the settings "
                "ask for: add it."
            )
    wavs = [_relative(row.values["path"], table.parent) for row in rows]
    return {
        key: {name: _number(row, name) for name in columns}
        for key, row in zip(_ids(rows, wavs), rows, strict=True)
    }


def _number(row, name):
    """A number of a line."""
    given = row.record.get(name)
    try:
        number = float(given)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        told = "no" if given in (None, "") else repr(given) + " as"
        raise InputError(
            f"{row.where} has {told} {name}: give a number, or take the clip "
            "out of the table."
        )
    return number


def _ids(rows, wavs):
    """Ids as given, or the names of the files."""
    ids = [row.id for row in rows]
    return unique_names(wavs) if None in ids else ids


def unique_names(paths):
    """Name files by their stems, or by more of their paths if necessary.

    Arguments
    ---------
    paths : list of str
        Distinct paths with forward slashes.

    Returns
    -------
    list of str
        Distinct names: all stems, or all paths without suffix with "_" for
        "/", or all paths unchanged.

    Example
    -------
    >>> unique_names(["a/1.wav", "a/2.wav"])
    ['1', '2']
    >>> unique_names(["a/1.wav", "b/1.wav"])
    ['a_1', 'b_1']
    >>> unique_names(["a/1.wav", "a/1.flac"])
    ['a/1.wav', 'a/1.flac']
    """
    pure = [PurePosixPath(path) for path in paths]
    stems = [path.stem for path in pure]
    joined = ["_".join(path.with_suffix("").parts) for path in pure]
    for names in (stems, joined):
        if len(set(names)) == len(names):
            return names
    return list(paths)


def _read_rows(table):
    """Read the table's lines as strings, in either format."""
    readers = {".csv": _csv_rows, ".json": _json_rows}
    if not table.is_file():
        raise InputError(f"{table} does not exist: give a .csv or .json file.")
    if table.suffix.lower() not in readers:
        raise InputError(
            f"{table} is neither .csv nor .json: save it as one of these."
        )
    try:
        # Spreadsheets write a byte-order mark, which utf-8-sig removes.
        text = table.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{table} is not UTF-8 text (byte {error.start}): save it as UTF-8."
        ) from error
    return readers[table.suffix.lower()](table, text)


def _csv_rows(table, text):
    """Rows of a CSV text, identified by line number."""
    reader = csv.DictReader(io.StringIO(text), skipinitialspace=True)
    try:
        names = [name.strip() for name in reader.fieldnames or ()]
        _check_columns(table, names)
        reader.fieldnames = names
        return _csv_records(table, reader)
    except csv.Error as error:
        raise InputError(
            f"{table}, line {reader.reader.line_num}, cannot be read ({error}): is a "
            'quote left open? A " within a value is written twice.'
        ) from error


def _check_columns(table, names):
    """Check that the first line names the columns, separated by commas."""
    lacking = [name for name in NEEDED if name not in names]
    if not lacking:
        return
    for delimiter, called in DELIMITERS.items():
        if any(delimiter in name for name in names):
            raise InputError(
                f"{table}, line 1, has {called} between its columns: save it "
                "with commas."
            )
    raise InputError(
        f"{table}, line 1, lacks the column {lacking[0]!r}: it must name "
        f"{', '.join(NEEDED)} (and may name {', '.join(OPTIONAL)})."
    )


def _csv_records(table, reader):
    """The lines below the first."""
    rows = []
    for record in reader:
        where = f"{table}, line {reader.line_num},"
        if None in record:
            raise InputError(
                f"{where} has more values than line 1 has columns: put "
                "values that hold a comma in quotes."
            )
        rows.append(Row(where, None, _strings(record), record))
    return rows


def _json_rows(table, text):
    """Rows of a JSON text, identified by id or position."""
    try:
        data = json.loads(text, object_pairs_hook=_without_repeats)
    except RepeatedKey as error:
        raise InputError(
            f"{table} has {error} twice in one object: keep one of them."
        ) from error
    except RecursionError as error:
        raise InputError(
            f"{table} is nested too deeply: write a list of objects with "
            f"{', '.join(NEEDED)}."
        ) from error
    except json.JSONDecodeError as error:
        raise InputError(
            f"{table}, line {error.lineno}, is not JSON ({error.msg}): fix "
            "that line."
        ) from error
    if isinstance(data, dict):
        named = [(f"{table}, clip {id!r},", id, v) for id, v in data.items()]
    elif isinstance(data, list):
        named = [
            (f"{table}, clip {n},", None, v) for n, v in enumerate(data, 1)
        ]
    else:
        named = [(f"{table}", None, data)]
    for where, _, record in named:
        if not isinstance(record, dict):
            raise InputError(
                f"{where} is not an object with {', '.join(NEEDED)}: write a "
                "list of such objects, or {id: object}."
            )
    return [
        Row(where, id, _strings(record), record) for where, id, record in named
    ]


def _without_repeats(pairs):
    """Refuse repeated keys, of which JSON would keep the last."""
    record = {}
    for key, value in pairs:
        if key in record:
            raise RepeatedKey(repr(key))
        record[key] = value
    return record


def _strings(record):
    """Known columns only; an absent value is an empty string."""
    values = {name: record.get(name) for name in NEEDED + OPTIONAL}
    return {
        name: "" if value is None else str(value).strip()
        for name, value in values.items()
    }


def _check_rows(rows, folder):
    """Refuse the first row that lacks, repeats or misnames something."""
    folds_given = any(row.values["fold"] for row in rows)
    needed = (*NEEDED, "fold") if folds_given else NEEDED
    first_row = {}
    for row in rows:
        for name in needed:
            if not row.values[name]:
                raise InputError(f"{row.where} has no {name}: give one.")
        _check_printable(row)
        path = folder / row.values["path"]
        if not is_file(path):
            raise InputError(
                f"{row.where} names {str(path)[:300]}, which does not exist: "
                "fix the path; relative ones start at the table's folder."
            )
        other = first_row.setdefault(path.resolve(), row)
        if other is not row:
            raise InputError(
                f"{row.where} names {path} again, after {other.where} did: "
                "keep one of them."
            )


def _check_printable(row):
    """Refuse values that could control a terminal, or end a line."""
    for name, value in {"id": row.id or "", **row.values}.items():
        bad = [each for each in value if not each.isprintable()]
        if bad:
            raise InputError(
                f"{row.where} has the character {bad[0]!r} in its {name}: "
                "take it out."
            )


def _relative(path, folder):
    """The path relative to the folder, so that a manifest is portable."""
    if not os.path.isabs(path):
        return Path(path).as_posix()
    if Path(path).is_relative_to(folder.absolute()):
        return Path(path).relative_to(folder.absolute()).as_posix()
    # ".." is the parent of where a link leads, so links go first.
    resolved = os.path.relpath(Path(path).resolve(), folder.resolve())
    return Path(resolved).as_posix()


def _clip(id, wav, row):
    """Turn a row into a clip."""
    values = row.values
    return Clip(
        id=id,
        wav=wav,
        emotion=values["emotion"],
        speaker=values["speaker"],
        session=values["session"] or values["speaker"],
        fold=values["fold"] or None,
        text=values["text"] or None,
    )
