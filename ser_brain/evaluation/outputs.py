"""What a run leaves: predictions.csv, metrics.json and the last table."""

import csv
import json
import platform
from importlib.metadata import version
from pathlib import Path

from ser_brain import __version__
from ser_brain.errors import InputError
from ser_brain.files import atomic_path, write_atomically

COLUMNS = ("id", "speaker", "fold", "label", "prediction")
METRICS = (
    "corpus",
    "procedure",
    "scale",
    "fold",
    "seed",
    "UA",
    "WA",
    "macro_f1",
    "recall",
    "n",
    "audio_seconds_per_second",
    "wall_seconds",
)
PACKAGES = ("torch", "torchaudio", "speechbrain", "transformers")


def write_predictions(path, rows):
    """Write ``predictions.csv``, one line a test clip.

    Arguments
    ---------
    path : str or pathlib.Path
        The file to write.
    rows : sequence of dict
        Each with id, speaker, fold, label, prediction (all str) and
        posteriors: class name -> probability, the same classes in every
        row. A class becomes a column with six decimals.

    Raises
    ------
    ValueError
        If there are no rows, the classes differ between rows, or a class
        has the name of another column.
    InputError
        If the file cannot be written.

    Example
    -------
    >>> row = dict(id="DC_a01", speaker="DC", fold="DC", label="anger")
    >>> row |= dict(prediction="fear", posteriors={"anger": 0.4, "fear": 0.6})
    >>> file = getfixture("tmp_path") / "predictions.csv"
    >>> write_predictions(file, [row])
    >>> print(file.read_text().strip())
    id,speaker,fold,label,prediction,anger,fear
    DC_a01,DC,DC,anger,fear,0.400000,0.600000
    """
    if not rows:
        raise ValueError("There are no predictions to write.")
    classes = list(rows[0]["posteriors"])
    if set(classes) & set(COLUMNS):
        raise ValueError(f"A class cannot be called one of {COLUMNS}.")
    if any(list(row["posteriors"]) != classes for row in rows):
        raise ValueError(f"Every row needs the posteriors of {classes}.")
    with atomic_path(path) as temporary:
        with open(temporary, "w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow([*COLUMNS, *classes])
            for row in rows:
                known = [row[column] for column in COLUMNS]
                shares = row["posteriors"].values()
                writer.writerow(known + ["%.6f" % share for share in shares])


def read_predictions(path):
    """Read what :func:`write_predictions` wrote.

    Arguments
    ---------
    path : str or pathlib.Path
        A ``predictions.csv``.

    Returns
    -------
    list of dict
        The rows, as :func:`write_predictions` takes them.

    Raises
    ------
    InputError
        If the file is missing or is not such a file.

    Example
    -------
    >>> row = dict(id="a", speaker="s", fold="1", label="x", prediction="x")
    >>> file = getfixture("tmp_path") / "predictions.csv"
    >>> write_predictions(file, [row | {"posteriors": {"x": 1.0}}])
    >>> read_predictions(file)[0]["posteriors"]
    {'x': 1.0}
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"{path} cannot be read ({error}): give the predictions.csv of "
            "a finished run."
        ) from error
    header, *lines = list(csv.reader(text.splitlines())) or [[]]
    if tuple(header[: len(COLUMNS)]) != COLUMNS:
        raise InputError(
            f"{path} does not begin with the columns {','.join(COLUMNS)}: "
            "give the predictions.csv of a finished run."
        )
    return [
        _prediction_row(path, number, header, line)
        for number, line in enumerate(lines, start=2)
    ]


def _prediction_row(path, number, header, line):
    """One line of predictions.csv as a dict."""
    classes = header[len(COLUMNS) :]
    try:
        shares = [float(cell) for cell in line[len(COLUMNS) :]]
        posteriors = dict(zip(classes, shares, strict=True))
        known = dict(zip(COLUMNS, line[: len(COLUMNS)], strict=True))
    except ValueError as error:
        raise InputError(
            f"{path}, line {number} does not fit the header ({error}): "
            "write the file again by running the recipe's test."
        ) from error
    return {**known, "posteriors": posteriors}


def versions():
    """The versions that a result depends on.

    Returns
    -------
    dict
        python, torch, torchaudio, speechbrain, transformers, ser_brain.

    Example
    -------
    >>> versions()["torch"].split(".")[0]
    '2'
    """
    return {
        "python": platform.python_version(),
        **{package: version(package) for package in PACKAGES},
        "ser_brain": __version__,
    }


def write_metrics(path, metrics):
    """Write ``metrics.json``: what was run, how well, how fast, with what.

    Arguments
    ---------
    path : str or pathlib.Path
        The file to write.
    metrics : dict
        corpus, procedure, scale, fold, seed; UA, WA, macro_f1, recall, n as
        :func:`ser_brain.evaluation.metrics.scores` gives them;
        audio_seconds_per_second (stage -> seconds of audio trained in one
        second) and wall_seconds (stage -> seconds). More keys are kept as
        they are.

    Returns
    -------
    dict
        What was written: the metrics and :func:`versions`.

    Raises
    ------
    ValueError
        If a key is missing or a value is not JSON (NaN is not).
    InputError
        If the file cannot be written.

    Example
    -------
    >>> from ser_brain.evaluation.metrics import scores
    >>> run = dict(corpus="SAVEE", procedure="vft", scale="nano", fold="DC")
    >>> run |= dict(seed=1, audio_seconds_per_second={"classifier": 90.5})
    >>> run |= dict(wall_seconds={"classifier": 60.0})
    >>> file = getfixture("tmp_path") / "metrics.json"
    >>> kept = write_metrics(file, run | scores(["sad"], ["sad"]))
    >>> kept["UA"], "versions" in kept
    (1.0, True)
    """
    missing = [key for key in METRICS if key not in metrics]
    if missing:
        raise ValueError(f"metrics.json needs the keys {missing}.")
    metrics = {**metrics, "versions": versions()}
    text = json.dumps(metrics, indent=2, ensure_ascii=False, allow_nan=False)
    write_atomically(path, text + "\n")
    return metrics


def summary_table(metrics):
    """The table that ends a run: each score against chance, in percent.

    Chance is 100 / classes: what a uniform guess scores in UA, in WA and in
    the recall of every class.

    Arguments
    ---------
    metrics : dict
        UA, WA, macro_f1, recall and n, as
        :func:`ser_brain.evaluation.metrics.scores` gives them.

    Returns
    -------
    str
        Lines of plain text, without a newline at the end.

    Example
    -------
    >>> from ser_brain.evaluation.metrics import scores
    >>> print(summary_table(scores(["sad", "angry"], ["sad", "sad"])))
    2 clips             %   chance
    ------------------------------
    UA               50.0     50.0
    WA               50.0     50.0
    macro F1         33.3
    recall angry      0.0     50.0
    recall sad      100.0     50.0
    """
    recall = metrics["recall"]
    chance = f"{100 / len(recall):9.1f}"
    lines = [
        ("UA", metrics["UA"], chance),
        ("WA", metrics["WA"], chance),
        ("macro F1", metrics["macro_f1"], ""),
        *((f"recall {name}", value, chance) for name, value in recall.items()),
    ]
    width = max(len(name) for name, _, _ in lines)
    head = f"{metrics['n']} clips".ljust(width) + f"{'%':>9}{'chance':>9}"
    body = [
        f"{name:<{width}}{_percent(value):>9}{beside}"
        for name, value, beside in lines
    ]
    return "\n".join([head, "-" * len(head), *body])


def _percent(share):
    """A share as percent; a class without test clips has none."""
    return "no clip" if share is None else f"{100 * share:.1f}"
