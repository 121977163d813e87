"""The console command ``ser-brain``; :mod:`ser_brain.commands` does the work."""

import argparse
import difflib
import sys
from importlib import import_module

from ser_brain import __version__
from ser_brain.commands import COMMANDS
from ser_brain.errors import InputError, exit_code


def main(argv=None):
    """Run ``ser-brain``.

    Arguments
    ---------
    argv : list of str, optional
        The arguments after the command's name; the process's own by default.

    Returns
    -------
    int
        0, 1 if something is missing or failed, or the result of
        :func:`ser_brain.errors.exit_code`.

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
    return exit_code(lambda: carry_out(arguments))


def carry_out(arguments):
    """Execute the command; report a misspelt option as such.

    Raises
    ------
    InputError
        As for the command.
    """
    try:
        return arguments.command(arguments)
    except InputError as error:
        # An UnknownSetting has a key; settings do not know the options.
        key = getattr(error, "key", "").replace("-", "_")
        near = difflib.get_close_matches(key, vars(arguments), 1, cutoff=0.8)
        if not near:
            raise
        raise InputError(
            f"--{error.key} is neither an option nor a setting: did you mean "
            f"--{near[0]}?"
        ) from error


def build_parser():
    """Build the parser of ``ser-brain``, with one subparser per command."""
    parser = argparse.ArgumentParser(
        "ser-brain", description="Speech emotion recognition: ser_brain."
    )
    parser.add_argument("--version", action="version", version=__version__)
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")
    for name in COMMANDS:
        command = import_module(f"ser_brain.commands.{name}")
        takes_settings = getattr(command, "TAKES_SETTINGS", False)
        # If settings are accepted, --fold is not an abbreviation of --folds.
        sub = subparsers.add_parser(
            name, help=command.HELP, allow_abbrev=not takes_settings
        )
        command.add_arguments(sub)
        sub.set_defaults(command=command.run)
        if takes_settings:
            sub.set_defaults(overrides=[])
    return parser


if __name__ == "__main__":
    sys.exit(main())
