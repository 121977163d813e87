"""The console command ``ser-brain``.

A sub-command is a function that takes the parsed arguments and returns the
exit code: here, or as ``run`` of a module beside its ``add_arguments``. What
it needs it imports when it is called, so that ``--help`` is quick and the
doctor can look at a broken installation.
"""

import argparse
import sys

from ser_brain import __version__, doctor
from ser_brain.errors import exit_code


def main(argv=None):
    """Run ``ser-brain``.

    Arguments
    ---------
    argv : list of str, optional
        The arguments after the command's name; the process's own by default.

    Returns
    -------
    int
        0, or 1 where something is lacking or failed, or as
        :func:`ser_brain.errors.exit_code` says.

    Example
    -------
    >>> main(["predict", "/nowhere", "a.wav"])
    2
    """
    parser = build_parser()
    arguments, overrides = parser.parse_known_args(argv)
    if "overrides" in arguments:
        arguments.overrides = overrides
    elif overrides:
        parser.error(f"unrecognized arguments: {' '.join(overrides)}")
    return exit_code(lambda: arguments.command(arguments))


def build_parser():
    """The arguments of ``ser-brain``, one sub-parser a sub-command."""
    parser = argparse.ArgumentParser(
        "ser-brain", description="Speech emotion recognition: ser_brain."
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    add = commands.add_parser

    sub = add("doctor", help="what is installed, what is missing, the mend")
    sub.set_defaults(command=doctor.run)

    add_predict(add)

    add_verify(add)
    add_train(add)
    add_baseline(add)
    add_plans(add)
    add_report(add)
    return parser


def add_predict(add):
    """A trained run on new audio. Its room imports torch: not for --help."""
    sub = add("predict", help="the emotion of audio files, by a trained run")
    sub.set_defaults(command=predict)
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
        "--skip_bad",
        action="store_true",
        help="go on after a bad file: its row has an error (exit code 1)",
    )
    sub.add_argument(
        "--batch_seconds",
        type=float,
        help="padded audio computed at once (default: 15 s on a CPU, else 120)",
    )
    sub.add_argument(
        "--num_workers",
        type=int,
        help="processes that decode (default: 0 on a CPU, else one a core)",
    )


def add_verify(add):
    """Is a model's folder as it was written?"""
    from ser_brain.commands import verify

    sub = add("verify", help="whether a model's files are whole and work")
    verify.add_arguments(sub)
    sub.set_defaults(command=verify.run)


def add_train(add):
    """Labelled clips to a model; further words are overrides."""
    from ser_brain.commands import train

    sub = add(
        "train",
        help="a table of labelled clips to a cross-validated model",
        allow_abbrev=False,
    )
    train.add_arguments(sub)
    sub.set_defaults(command=train.run, overrides=[])


def add_baseline(add):
    """What any model has to beat."""
    from ser_brain.commands import baseline

    sub = add("baseline", help="log-mel and logistic regression, all folds")
    baseline.add_arguments(sub)
    sub.set_defaults(command=baseline.run)


def add_plans(add):
    """Commands whose further words are overrides of each run's settings."""
    from ser_brain.protocol import run_command, table_command

    for name, module, purpose in (
        ("run", run_command, "a procedure on all folds, several runs each"),
        ("table", table_command, "a table of the paper beside ours"),
    ):
        # Without abbreviations: --fold is not short for --folds.
        sub = add(name, help=purpose, allow_abbrev=False)
        module.add_arguments(sub)
        sub.set_defaults(command=module.run, overrides=[])


def add_report(add):
    """The report on run folders."""
    from ser_brain.evaluation.report import command

    sub = add("report", help="run folders to a page, tables and pictures")
    command.add_arguments(sub)
    sub.set_defaults(command=command.run)


# ------------------------------------------------------------------ predict
def predict(arguments):
    """Print the emotion of each file."""
    from ser_brain.inference import command

    return command.run(arguments)


if __name__ == "__main__":
    sys.exit(main())
