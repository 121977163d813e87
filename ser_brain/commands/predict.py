"""``ser-brain predict RUN FILE ...``: the emotion of audio files."""

import csv
import io
import json
import os
import sys
import time
from pathlib import Path

from ser_brain.errors import InputError, printable
from ser_brain.reporting.formats import counted, spoken

HELP = "the emotion of audio files, by a trained run"
EXAMPLES = (
    "ser-brain predict results/SAVEE/vft/nano/fold_JE/seed_1 a.wav b.flac",
    "ser-brain predict model recordings --csv --skip_bad > emotions.csv",
    "ser-brain predict model.onnx a.wav --runtime onnx --json",
)
# Usual suffixes of files that libsndfile opens.
SUFFIXES = (".wav", ".flac", ".mp3", ".ogg", ".opus", ".aif", ".aiff")
SUFFIXES += (".au", ".caf", ".rf64", ".sph", ".w64")


def add_arguments(sub):
    """Add the command's arguments to its own parser."""
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
        "--runtime",
        choices=("torch", "onnx"),
        default="torch",
        help="torch (default), or onnx: RUN is what ser-brain export wrote",
    )
    sub.add_argument(
        "--skip_bad",
        action="store_true",
        help="continue after a bad file: its row has an error (exit code 1)",
    )
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
    """Print the emotion of each file; nothing if a bad one is not skipped.

    Predictions are printed to stdout; the time taken, without loading the run,
    to stderr.

    Returns 0, or 1 if a bad file was skipped.

    Raises
    ------
    InputError
        If the run, a file or an option is invalid.
    """
    paths = audio_files(arguments.files)
    recognizer = load(arguments)
    begun = time.perf_counter()
    records = recognizer.classify_files(
        paths,
        arguments.batch_seconds,
        arguments.num_workers,
        arguments.skip_bad,
    )
    seconds = time.perf_counter() - begun
    forms = {"table": as_table, "csv": as_csv, "json": as_json}
    # A name that is not UTF-8 is printed as its original bytes.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="surrogateescape")
    print(forms[arguments.form](records), flush=True)
    good = [record for record in records if "error" not in record]
    print(speed(good, seconds), file=sys.stderr)
    return 0 if len(good) == len(records) else 1


def load(arguments):
    """Load the recognizer of a run or of an exported file."""
    from ser_brain.inference.classifier import quiet_loading

    quiet_loading()
    if arguments.runtime == "onnx":
        from ser_brain.serving.runtime import OnnxRecognizer

        return OnnxRecognizer(arguments.run)
    from ser_brain.inference import EmotionRecognizer

    return EmotionRecognizer.from_run(arguments.run, arguments.device)


def audio_files(given):
    """Expand folders into the audio files below them.

    Arguments
    ---------
    given : list of str
        Files and folders.

    Returns
    -------
    list of str
        Files. Those of a folder are sorted, without hidden ones.

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
    """The audio files of a folder and its subfolders, sorted."""
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
    """Report in one line how long the audio took.

    Example
    -------
    >>> speed([{"duration": 3.0}, {"duration": 9.0}], seconds=0.6)
    '2 files, 12.0 s of audio in 0.6 s: real-time factor 0.05'
    """
    audio = sum(record["duration"] for record in records)
    if not records:
        return "no file could be read"
    files = counted(len(records), "file")
    return (
        f"{files}, {spoken(audio)} of audio in {spoken(seconds)}: "
        f"real-time factor {seconds / audio:.2g}"
    )


def columns(records):
    """The classes, and whether any record is of a bad file."""
    posteriors = (record.get("posteriors", ()) for record in records)
    classes = max(posteriors, key=len, default=())
    return list(classes), any("error" in record for record in records)


def cells(record, classes, form):
    """The posteriors of a record as text; empty for a bad file."""
    if "error" in record:
        return [""] * len(classes)
    return [form.format(record["posteriors"][name]) for name in classes]


def as_table(records):
    """Format predictions for a terminal: percent, aligned columns."""
    classes, errors = columns(records)
    head = ["file", "label", *classes] + ["error"] * errors
    body = [
        [printable(record["file"]), record.get("label", "")]
        + [share.rstrip("%") for share in cells(record, classes, "{:.1%}")]
        + [printable(record.get("error", ""))] * errors
        for record in records
    ]
    widths = [max(map(len, column)) for column in zip(head, *body)]
    return "\n".join(
        "  ".join(
            cell.ljust(width)
            if number < 2 or number > 1 + len(classes)
            else cell.rjust(width)
            for number, (cell, width) in enumerate(zip(line, widths))
        )
        for line in [head, *body]
    )


def as_csv(records):
    """Predictions as CSV: file, label, score, one column per class.

    A last column ``error`` is added if a bad file was skipped.
    """
    classes, errors = columns(records)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    head = ["file", "label", "score", *classes]
    writer.writerow(head + ["error"] * errors)
    for record in records:
        score = f"{record['score']:.6f}" if "score" in record else ""
        row = [record["file"], record.get("label", ""), score]
        row += cells(record, classes, "{:.6f}")
        writer.writerow(row + [record.get("error", "")] * errors)
    return text.getvalue().rstrip("\n")


def as_json(records):
    """Predictions as a JSON list."""
    return json.dumps(records, indent=2, ensure_ascii=False, allow_nan=False)
