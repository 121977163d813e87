"""The console command ``ser-brain``; :mod:`ser_brain.commands` does the work."""

import difflib
import sys

from ser_brain.commands.parser import build_parser
from ser_brain.errors import InputError, exit_code
from ser_brain.words import last_of_each


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
        arguments.overrides = last_of_each(overrides)
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


if __name__ == "__main__":
    sys.exit(main())
