"""``ser-brain predict RUN FILE ...``: the emotion of audio files."""

import csv
import io
import json
import os
import sys
import time
from pathlib import Path

from ser_brain.errors import InputError

HELP = "the emotion of audio files, by a trained run"
# What libsndfile opens by its content alone, as people name it.
SUFFIXES = (".wav", ".flac", ".mp3", ".ogg", ".opus", ".aif", ".aiff")
SUFFIXES += (".au", ".caf", ".rf64", ".sph", ".w64")


def add_arguments(sub):
    """Add the command's arguments.

    Arguments
    ---------
    sub : argparse.ArgumentParser
        The sub-parser of ``predict``.

    Example
    -------
    >>> import argparse
    >>> parser = argparse.ArgumentParser()
    >>> add_arguments(parser)
    >>> parser.parse_args(["run", "a.wav", "--csv"]).form
    'csv'
    """
    sub.add_argument("run", metavar="RUN", help="a run folder, .../seed_1")
    sub.add_argument(
        "files",
        metavar="FILE",
        nargs="+",
        help="audio files, or folders with all audio files below them",
    )
    form = sub.add_mutually_exclusive_group()
    for name in ("csv", "json"):
        form.add_argument(
            f"--{name}", dest="form", action="store_const", const=name
        )
    sub.set_defaults(form="table")
    sub.add_argument("--device", default="cpu", help="cpu (default), cuda, …")
    sub.add_argument(
        "--batch_seconds",
        type=float,
        help="padded audio computed at once (default: 15 s on a CPU, else 120)",
    )
    sub.add_argument(
        "--num_workers",
        type=int,
        help="processes that decode (default: 0 on a CPU, else one per core)",
    )


def run(arguments):
    """Print the emotion of each file; nothing, if one file is bad.

    Predictions go to stdout. How long it took, without loading the run, goes
    to stderr.

    Arguments
    ---------
    arguments : argparse.Namespace
        As :func:`add_arguments` asks for them.

    Returns
    -------
    int
        0.

    Raises
    ------
    InputError
        If the run, a file or an option is bad.
    """
    from transformers.utils import logging

    from ser_brain.inference import EmotionRecognizer

    logging.disable_progress_bar()
    logging.set_verbosity_error()
    paths = audio_files(arguments.files)
    recognizer = EmotionRecognizer.from_run(arguments.run, arguments.device)
    begun = time.perf_counter()
    records = recognizer.classify_files(
        paths, arguments.batch_seconds, arguments.num_workers
    )
    seconds = time.perf_counter() - begun
    forms = {"table": as_table, "csv": as_csv, "json": as_json}
    print(forms[arguments.form](records), flush=True)
    print(speed(records, seconds), file=sys.stderr)
    return 0


def audio_files(given):
    """The files as given; a folder stands for all audio files below it.

    Arguments
    ---------
    given : list of str
        Files and folders.

    Returns
    -------
    list of str
        Files. Those of a folder are sorted, and hidden ones left out.

    Raises
    ------
    InputError
        If a folder holds no audio.

    Example
    -------
    >>> folder = getfixture("tmp_path")
    >>> for name in ("b.wav", "a.FLAC", "notes.txt", "._b.wav"):
    ...     (folder / name).touch()
    >>> [Path(path).name for path in audio_files([str(folder), "c.xyz"])]
    ['a.FLAC', 'b.wav', 'c.xyz']
    """
    found = []
    for path in given:
        found += below(path) if os.path.isdir(path) else [path]
    return found


def below(folder):
    """The audio files of a folder and its sub-folders, sorted."""
    found = [
        str(path)
        for path in sorted(Path(folder).rglob("*"))
        if path.suffix.lower() in SUFFIXES
        and not path.name.startswith(".")
        and path.is_file()
    ]
    if not found:
        raise InputError(
            f"{folder} holds no audio files: give one with files that end in "
            f"{', '.join(SUFFIXES)}."
        )
    return found


def speed(records, seconds):
    """How much audio took how long, in one line.

    Example
    -------
    >>> speed([{"duration": 3.0}, {"duration": 9.0}], seconds=0.6)
    '2 files, 12.0 s of audio in 0.6 s: real-time factor 0.05'
    """
    audio = sum(record["duration"] for record in records)
    files = "1 file" if len(records) == 1 else f"{len(records)} files"
    return (
        f"{files}, {spoken(audio)} of audio in {spoken(seconds)}: "
        f"real-time factor {seconds / audio:.2g}"
    )


def spoken(seconds):
    """A stretch of time in the unit that suits it.

    Example
    -------
    >>> spoken(12.34), spoken(1806), spoken(9000)
    ('12.3 s', '30.1 min', '2.5 h')
    """
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s"


def as_table(records):
    """Predictions for the eye: percent, columns aligned."""
    head = ["file", "label", *records[0]["posteriors"]]
    body = [
        [record["file"], record["label"]]
        + [f"{100 * share:.1f}" for share in record["posteriors"].values()]
        for record in records
    ]
    widths = [max(map(len, column)) for column in zip(head, *body)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if number < 2 else cell.rjust(width)
            for number, (cell, width) in enumerate(zip(line, widths))
        )
        for line in [head, *body]
    )


def as_csv(records):
    """Predictions as CSV: file, label, score, one column per class."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["file", "label", "score", *records[0]["posteriors"]])
    for record in records:
        shares = [record["score"], *record["posteriors"].values()]
        cells = [f"{share:.6f}" for share in shares]
        writer.writerow([record["file"], record["label"], *cells])
    return text.getvalue().rstrip("\n")


def as_json(records):
    """Predictions as a JSON list."""
    return json.dumps(records, indent=2, ensure_ascii=False)
