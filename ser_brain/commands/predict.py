"""``ser-brain predict RUN FILE ...``: the emotion of audio files."""

import io
import os
import sys
import time
from collections import Counter
from pathlib import Path

from ser_brain.commands.forms import FORMS
from ser_brain.commands.options import (
    INTERRUPTED,
    add_forms,
    add_models,
    load_runs,
)
from ser_brain.errors import InputError
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
MACHINE_FORMS = {
    "csv": "one row per file",
    "json": "a list with one object per file",
}


def add_arguments(sub):
    """Add the command's arguments to its own parser."""
    add_models(sub)
    sub.add_argument(
        "files",
        metavar="FILE",
        nargs="+",
        help="audio files, or folders with all audio files below them",
    )
    add_forms(sub, MACHINE_FORMS).add_argument(
        "--output",
        metavar="RESULTS",
        help="write the results to a .jsonl or .csv file, as they come; the "
        "same command goes on with it after an interruption",
    )
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
    """Print or write the emotion of each file as soon as it is known.

    Predictions go to stdout or to a file; the time taken, without loading the
    model, to stderr.

    Returns 0, 1 if a bad file was skipped, or 130 after Ctrl-C.

    Raises
    ------
    InputError
        If the model, a file or an option is invalid.
    """
    paths = audio_files(arguments.files)
    models = [arguments.run, *arguments.others]
    try:
        if arguments.output is None:
            return print_all(models, paths, arguments)
        return write_all(models, paths, arguments)
    except KeyboardInterrupt:
        kept = arguments.output is not None
        again = ": run the same command to continue" if kept else ""
        print(f"stopped{again}", file=sys.stderr)
        return INTERRUPTED


def print_all(models, paths, arguments):
    """Print the predictions to stdout; return the exit code."""
    recognizer = load(models, arguments)
    # A name that is not UTF-8 is printed as its original bytes.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="surrogateescape")
    form = FORMS[arguments.form](paths, recognizer.classes, arguments.skip_bad)
    tally = classify(recognizer, paths, arguments, form.write)
    print(tally.speed(), file=sys.stderr)
    return 1 if tally.bad else 0


def write_all(models, paths, arguments):
    """Write the predictions to a file, or go on; return the exit code."""
    from ser_brain.inference.result_file import ResultFile, form_of, model_key

    form_of(arguments.output)
    recognizer = load(models, arguments)
    results = ResultFile(
        arguments.output,
        paths,
        recognizer.classes,
        model_key(model_files(models, arguments.runtime)),
        arguments.skip_bad,
    )
    with results:
        if results.done:
            told = f"{results.done} of {counted(len(paths), 'file')}"
            print(f"{arguments.output} has {told} already", file=sys.stderr)
        rest = paths[results.done :]
        tally = classify(recognizer, rest, arguments, results.write)
    if rest:
        print(tally.speed(), file=sys.stderr)
    for line in tally.warned():
        print(line, file=sys.stderr)
    return 1 if results.bad else 0


def classify(recognizer, paths, arguments, write):
    """Classify files, and write each record; return a `Tally`."""
    tally = Tally()
    records = recognizer.stream_files(
        paths,
        arguments.batch_seconds,
        arguments.num_workers,
        arguments.skip_bad,
    )
    for record in records:
        write(record)
        tally.add(record)
    return tally


def load(models, arguments):
    """Load the recognizer of runs or of exported files."""
    if arguments.runtime == "torch":
        return load_runs(models, arguments.device)
    from ser_brain.inference.ensemble import Ensemble
    from ser_brain.serving.runtime import OnnxRecognizer

    members = [OnnxRecognizer(model) for model in models]
    return Ensemble(members, models) if len(members) > 1 else members[0]


def model_files(models, runtime):
    """The files that describe models, by their checksums or as a whole."""
    if runtime == "onnx":
        from ser_brain.serving.runtime import onnx_file

        return [onnx_file(model) for model in models]
    from ser_brain.inference.checks import CLASSIFIER
    from ser_brain.inference.ensemble import run_folders

    runs = run_folders(models)
    return [run / CLASSIFIER / "classifier.json" for run in runs]


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


class Tally:
    """What is reported of many records when all are classified.

    Example
    -------
    >>> tally = Tally()
    >>> tally.add({"duration": 3.0, "warnings": ["quiet"]})
    >>> tally.add({"error": "b.wav is empty"})
    >>> tally.speed(0.6)
    '1 file, 3.0 s of audio in 0.6 s: real-time factor 0.2'
    >>> tally.warned()
    ['1 answer has the warning quiet']
    """

    def __init__(self):
        self.begun = time.perf_counter()
        self.good = self.bad = 0
        self.audio = 0.0
        self.warnings = Counter()

    def add(self, record):
        """Count a record."""
        if "error" in record:
            self.bad += 1
            return
        self.good += 1
        self.audio += record["duration"]
        self.warnings.update(record["warnings"])

    def speed(self, seconds=None):
        """How long the audio took, in one line."""
        if not self.good:
            return "no file could be read"
        seconds = seconds or time.perf_counter() - self.begun
        return (
            f"{counted(self.good, 'file')}, {spoken(self.audio)} of audio in "
            f"{spoken(seconds)}: real-time factor {seconds / self.audio:.2g}"
        )

    def warned(self):
        """How often each warning was given, one line each."""
        return [
            f"{counted(number, 'answer')} {'has' if number == 1 else 'have'} "
            f"the warning {name}"
            for name, number in sorted(self.warnings.items())
        ]
