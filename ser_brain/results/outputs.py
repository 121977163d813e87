"""The files of a finished run: predictions.csv and metrics.json."""

import csv
import json
import platform
from importlib.metadata import version
from pathlib import Path

from ser_brain import __version__
from ser_brain.errors import MALFORMED, InputError
from ser_brain.files import atomic_path, write_atomically

COLUMNS = ("id", "speaker", "fold", "label", "prediction")
METRICS = ("corpus", "procedure", "scale", "fold", "seed", "UA", "WA")
METRICS += ("macro_f1", "recall", "n", "audio_seconds_per_second")
METRICS += ("wall_seconds",)
PACKAGES = ("torch", "torchaudio", "speechbrain", "transformers")


def write_predictions(path, rows):
    """Write ``predictions.csv``, one line per test clip.

    Arguments
    ---------
    path : str or pathlib.Path
        The file to write.
    rows : sequence of dict
        Each with id, speaker, fold, label, prediction (all str) and
        posteriors: class name -> probability, the same classes in every
        row. Each class becomes a column with six decimals.

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
    """Read a file that :func:`write_predictions` wrote.

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
        header, *lines = list(csv.reader(text.splitlines())) or [[]]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(
            f"{path} cannot be read ({error}): give the predictions.csv of "
            "a finished run."
        ) from error
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
    """Parse one line of predictions.csv into a dict."""
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
    """Return the versions of software that a result depends on.

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


def read_json(path):
    """Read a file that holds a JSON object.

    Raises
    ------
    InputError
        If it cannot be read or holds anything else.

    Example
    -------
    >>> file = getfixture("tmp_path") / "plan.json"
    >>> _ = file.write_text('{"runs": 5}')
    >>> read_json(file)
    {'runs': 5}
    """
    again = "run the command that wrote it again"
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, *MALFORMED) as error:
        raise InputError(
            f"{path} cannot be read ({error}): {again}."
        ) from error
    if not isinstance(content, dict):
        raise InputError(f"{path} holds no JSON object: {again}.")
    return content


def write_json(path, content):
    """Write a JSON object, indented, completely or not at all.

    Example
    -------
    >>> file = getfixture("tmp_path") / "plan.json"
    >>> write_json(file, {"runs": 5})
    >>> read_json(file)
    {'runs': 5}
    """
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
    write_atomically(path, text + "\n")


def write_metrics(path, metrics):
    """Write ``metrics.json``: what was run, how well, how fast, with what.

    Arguments
    ---------
    path : str or pathlib.Path
        The file to write.
    metrics : dict
        corpus, procedure, scale, fold, seed; UA, WA, macro_f1, recall, n as
        :func:`ser_brain.evaluation.metrics.scores` gives them;
        audio_seconds_per_second (stage -> seconds of audio trained per second)
        and wall_seconds (stage -> seconds). Additional keys are kept.

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
    write_json(path, metrics)
    return metrics


def read_metrics(path):
    """Read a ``metrics.json``, as :func:`write_metrics` returns it.

    Raises
    ------
    InputError
        If the file is missing, broken, or lacks a key.
    """
    metrics = read_json(path)
    again = "run the recipe again to rewrite the file"
    missing = [key for key in METRICS if key not in metrics]
    if missing:
        raise InputError(f"{path} lacks {', '.join(missing)}: {again}.")
    for name, fits in KINDS.items():
        if not fits(metrics.get(name)):
            found = repr(metrics.get(name))[:100]
            raise InputError(f"{path} has {name} = {found}: {again}.")
    return metrics


def _is_text(value):
    return isinstance(value, str)


def _is_score(value):
    return type(value) in (int, float) and 0 <= value <= 1


def _are_numbers(value):
    return isinstance(value, dict) and all(
        type(number) in (int, float) for number in value.values()
    )


def _are_recalls(value):
    # None is the recall of a class that the fold does not test.
    return isinstance(value, dict) and all(
        share is None or _is_score(share) for share in value.values()
    )


# Whether a value of metrics.json can be used in computations.
KINDS = {
    **dict.fromkeys(("corpus", "procedure", "scale"), _is_text),
    **dict.fromkeys(("UA", "WA", "macro_f1"), _is_score),
    "recall": _are_recalls,
    "audio_seconds_per_second": _are_numbers,
    "wall_seconds": _are_numbers,
    "fold": lambda value: isinstance(value, (str, int)),
    "seed": lambda value: type(value) is int,
    "n": lambda value: type(value) is int and value > 0,
    "train_share": lambda value: value is None or _is_score(value),
    "predictions_sha256": lambda value: value is None or _is_text(value),
}
