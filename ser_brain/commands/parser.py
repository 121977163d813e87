"""The parser of ``ser-brain`` and its subcommands."""

import argparse
from importlib import import_module

from ser_brain import __version__
from ser_brain.commands import COMMANDS
from ser_brain.words import tell_repeated


class LastValue(argparse.Action):
    """Store a value, and note it in case the option is given again."""

    def __call__(self, parser, namespace, values, option_string=None):
        """Store the value, as argparse does by default."""
        if option_string is not None:
            name = self.option_strings[0]
            parser.given.setdefault(name, []).append(str(values))
        setattr(namespace, self.dest, values)


class Parser(argparse.ArgumentParser):
    """A parser that says which value is used of an option given repeatedly.

    Example
    -------
    >>> parser = Parser("ser-brain", allow_abbrev=False)
    >>> _ = parser.add_argument("--runs", type=int)
    >>> parser.parse_args(["--runs", "3", "--runs", "5"]).runs
    5
    """

    def __init__(self, *args, **kwargs):
        super().__init__(
            *args,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            **kwargs,
        )
        for name in (None, "store"):
            self.register("action", name, LastValue)

    def parse_known_args(self, args=None, namespace=None):
        """Parse as argparse does; each subparser comes here, too."""
        self.given = {}
        found = super().parse_known_args(args, namespace)
        for name, values in self.given.items():
            tell_repeated(name, values)
        return found


def build_parser():
    """Build the parser of ``ser-brain``, with one subparser per command.

    Example
    -------
    >>> build_parser().parse_args(["list", "results/SAVEE"]).folder
    'results/SAVEE'
    """
    parser = Parser(
        "ser-brain",
        description="Speech emotion recognition: ser_brain.",
        epilog="ser-brain COMMAND --help shows examples of a command.",
    )
    parser.add_argument("--version", action="version", version=__version__)
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")
    for name in COMMANDS:
        command = import_module(f"ser_brain.commands.{name}")
        takes_settings = getattr(command, "TAKES_SETTINGS", False)
        # If settings are accepted, --fold is not an abbreviation of --folds.
        sub = subparsers.add_parser(
            name,
            help=command.HELP,
            epilog="\n  ".join(["examples:", *command.EXAMPLES]),
            allow_abbrev=not takes_settings,
        )
        command.add_arguments(sub)
        sub.set_defaults(command=command.run)
        if takes_settings:
            sub.set_defaults(overrides=[])
    return parser
