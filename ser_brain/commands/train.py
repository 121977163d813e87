"""``ser-brain train TABLE --output MODEL``: train on labelled clips."""

import shlex
import sys
from pathlib import Path

from ser_brain.errors import InputError
from ser_brain.reporting.formats import DIVIDED, counted

HELP = "a table of labelled clips to a cross-validated model"
EXAMPLES = (
    "ser-brain train calls.csv --output model",
    "ser-brain train calls.csv --output model --scale nano --device cpu",
    "ser-brain train calls.csv --output model --head_lr 0.003",
)
TAKES_SETTINGS = True
INTERRUPTED = 130
# Settings that the command itself decides for each run.
OWN = ("--manifest", "--fold", "--fold_by", "--results", "--data_folder")


def add_arguments(sub):
    """Add the command's arguments.

    Arguments
    ---------
    sub : argparse.ArgumentParser
        The subparser of ``train``. Words that it does not know override
        hparams/frozen.yaml.

    Example
    -------
    >>> import argparse
    >>> parser = argparse.ArgumentParser()
    >>> add_arguments(parser)
    >>> words = ["calls.csv", "--output", "model", "--head_lr", "0.003"]
    >>> arguments, overrides = parser.parse_known_args(words)
    >>> arguments.scale, overrides
    ('small', ['--head_lr', '0.003'])
    """
    sub.add_argument(
        "table",
        metavar="TABLE",
        help=".csv or .json: path, emotion, speaker and, if wanted, fold",
    )
    sub.add_argument(
        "--output", required=True, metavar="MODEL", help="folder to make"
    )
    sub.add_argument(
        "--scale",
        default="small",
        help="the encoder: small (default, Whisper tiny.en), nano or full",
    )
    sub.add_argument("--encoder", help="folder or hub name of another encoder")
    sub.add_argument(
        "--classes", help="choose or join labels: '{calm: [calm, neutral]}'"
    )
    sub.add_argument("--seed", help="of the training (1)")
    sub.add_argument("--device", help="cpu, cuda, … (a GPU if there is one)")


def run(arguments):
    """Train, and print the scores on unseen speakers.

    Arguments
    ---------
    arguments : argparse.Namespace
        With the options of :func:`add_arguments`, and ``overrides``.

    Returns
    -------
    int
        0, or 130 after an interrupt.

    Raises
    ------
    InputError
        If the table, a file in it, a setting or the folder is invalid.
    """
    from ser_brain.experiment.table_model import train_table

    _check_overrides(arguments.overrides)
    words = _words(arguments, "scale", "encoder", "seed", "device")
    try:
        scores = train_table(
            arguments.table,
            arguments.output,
            [*words, *arguments.overrides],
            _words(arguments, "classes"),
            _warn,
        )
    except KeyboardInterrupt:
        print("interrupted: run the same command to continue", file=sys.stderr)
        return INTERRUPTED
    print(summary(scores, Path(arguments.output)))
    return 0


def _words(arguments, *names):
    """The given options, as words for the recipe."""
    given = {name: getattr(arguments, name) for name in names}
    return [
        word
        for name, value in given.items()
        if value is not None
        for word in (f"--{name}", value)
    ]


def _check_overrides(overrides):
    """Refuse words that are not settings, and settings given to each run."""
    for word in overrides:
        name = word.split("=")[0]
        if name in OWN:
            raise InputError(
                f"{name} is given to each run by ser-brain train itself: leave "
                "it out; a column fold in the table chooses the folds."
            )
    if overrides and not overrides[0].startswith("--"):
        raise InputError(
            f"{overrides[0]!r} is not a setting: give one table and then --key "
            "value."
        )


def _warn(sentence):
    """Print a warning at once, on stderr."""
    print(f"warning: {sentence}", file=sys.stderr, flush=True)


def summary(scores, output):
    """Summarise the scores for printing.

    Arguments
    ---------
    scores : dict
        The content of ``cross_validation.json``.
    output : Path
        The model's folder.

    Returns
    -------
    str
        Lines of text.
    """
    clips, speakers = (scores["intervals"][n] for n in ("clips", "speakers"))
    head = ", ".join(counted(scores[f"{n}s"], n) for n in ("clip", "speaker"))
    lines = [
        f"{head}: {DIVIDED[scores['folds_by']]} was tested by a model trained "
        f"on the others ({counted(len(scores['folds']), 'fold')}).",
        "",
        _row("", "%", "95 % over clips", "95 % over speakers"),
        _row("UA", scores["UA"], clips["UA"], speakers and speakers["UA"]),
        _row("log-mel baseline", scores["baseline_UA"]),
        _row("chance", scores["chance"]),
    ]
    for name, value in scores["recall"].items():
        ends = (each and each["recall"][name] for each in (clips, speakers))
        lines.append(_row(f"recall {name}", value, *ends))
    lines += [
        "",
        f"model   {output}",
        f"scores  {output / 'cross_validation.json'}",
        f"page    {output / 'report.html'}",
        f"use it  ser-brain predict {shlex.quote(str(output))} a.wav",
    ]
    return "\n".join(lines)


def _row(name, *cells):
    """A line of the table; fractions become percent, pairs intervals."""
    widths = (6, 17, 20)
    texts = (f"{_cell(c):>{width}}" for c, width in zip(cells, widths))
    return f"{name:<20}{''.join(texts)}".rstrip()


def _cell(value):
    """Percent, an interval in percent, a heading, or nothing."""
    if value is None or isinstance(value, str):
        return value or ""
    if isinstance(value, float):
        return f"{100 * value:.1f}"
    return " to ".join(f"{100 * end:.1f}" for end in value)
