"""``ser-brain table N``: a table of the paper beside our figures."""

import sys
from itertools import takewhile

from ser_brain.commands import options
from ser_brain.errors import InputError

HELP = "a table of the paper beside ours"
EXAMPLES = (
    "ser-brain table 2 --scale nano --runs 5 --workers 2",
    "ser-brain table 1 --dry_run",
    "ser-brain table 3 SAVEE=/path/to/SAVEE --scale nano",
)
TAKES_SETTINGS = True
NUMBERS = ("1", "2", "3", "4", "5")


def add_arguments(sub):
    """Add the command's arguments.

    Arguments
    ---------
    sub : argparse.ArgumentParser
        The subparser of ``table``. Words that it does not know are the
        folders of table 3 or settings of each run.

    Example
    -------
    >>> import argparse
    >>> parser = argparse.ArgumentParser()
    >>> add_arguments(parser)
    >>> arguments, rest = parser.parse_known_args(["3", "A=b", "--seed", "2"])
    >>> arguments.number, rest
    ('3', ['A=b', '--seed', '2'])
    """
    sub.add_argument(
        "number",
        metavar="N",
        help="1 IEMOCAP, 2 SAVEE, 3 NAME=FOLDER … (pretraining loss of "
        "folders of audio), 4 data sizes, 5 other systems",
    )
    options.add_plan_arguments(sub)


def run(arguments):
    """Run the missing runs of a table, print it and write its files.

    Returns 0, 1 if the table is incomplete, or 130 if it was stopped.

    Raises
    ------
    InputError
        If there is no such table, or its settings or folders are invalid.
    """
    if arguments.number not in NUMBERS:
        raise InputError(
            f"There is no table {arguments.number!r}: give one of "
            f"{', '.join(NUMBERS)}, as the paper numbers them."
        )
    words = arguments.overrides
    folders = list(takewhile(lambda word: not word.startswith("--"), words))
    overrides = words[len(folders) :]
    if arguments.number == "3":
        return _run_loss_table(arguments, folders, overrides)
    if folders:
        raise InputError(
            f"table {arguments.number} takes no {folders[0]!r}: name the "
            "corpus by --data_folder; folders are for table 3."
        )
    return _run_accuracy_table(int(arguments.number), arguments, overrides)


def _run_accuracy_table(number, arguments, overrides):
    """Plan and execute the runs of a table of accuracies, then publish it."""
    from ser_brain.plans import paper

    engine = options.choose_engine(arguments, overrides)
    overrides = [*overrides, *paper.mini_words(number, overrides)]
    parts = paper.make_parts(
        number, overrides=overrides, **options.plan_choices(arguments)
    )
    if arguments.dry_run:
        print(paper.dry_run(parts, getattr(engine, "workers", 1)))
        return options.COMPLETE
    if options.run_all(_announced(number, parts), engine) is None:
        return options.INTERRUPTED
    table, lacking = paper.filled(number, parts, overrides)
    plan = parts[-1].plan
    name = f"table_{number}-{plan.outline.scale}"
    _publish(table, plan.folder.parents[1] / name, number)
    return options.FAILED if lacking else options.COMPLETE


def _announced(number, parts):
    """Yield the plans of a table, and print the name of each."""
    for place, part in enumerate(parts, start=1):
        told = f"table {number}, plan {place} of {len(parts)}: {part.name}"
        print(told, file=sys.stderr, flush=True)
        yield part.plan


def _run_loss_table(arguments, folders, overrides):
    """Compute the table of pretraining losses and publish it."""
    if (arguments.runs, arguments.folds) != (None, "all"):
        raise InputError(
            "table 3 trains nothing: leave --runs out, and --folds."
        )
    if arguments.dry_run:
        raise InputError("table 3 has no runs: leave --dry_run out.")
    from ser_brain.experiment.loss_table import measured_losses

    _publish(*measured_losses(folders, overrides), 3)
    return options.COMPLETE


def _publish(table, folder, number):
    """Print a table, write its files, and name them."""
    from ser_brain.reporting.table import markdown, write_table

    print(markdown(table))
    for path in write_table(table, folder, f"table_{number}"):
        print(path)
