"""Subcommands of ``ser-brain``: arguments and printing, one file each.

A command is a module of this package that is named in ``COMMANDS``. It has

- ``HELP``, its line in ``ser-brain --help``;
- ``EXAMPLES``, command lines at the end of its own ``--help``;
- ``add_arguments(sub)``, which adds its arguments to its own parser;
- ``run(arguments)``, which does the work and returns the exit code;
- ``TAKES_SETTINGS = True``, if words that it does not know are settings of
  the recipes; ``run`` finds them in ``arguments.overrides``.

A command imports what it needs in ``run``, so that ``--help`` is fast and the
doctor can check a broken installation.
"""

# In the order of ser-brain --help.
COMMANDS = (
    "doctor",
    "predict",
    "timeline",
    "web",
    "serve",
    "states",
    "export",
    "push",
    "verify",
    "check",
    "train",
    "baseline",
    "run",
    "list",
    "table",
    "report",
    "compare",
    "completion",
)
