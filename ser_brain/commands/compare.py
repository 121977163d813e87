"""``ser-brain compare A B``: two runs, or two folders of runs."""

from ser_brain.commands import options

HELP = "two runs, or two folders of runs, on the clips that both tested"
EXAMPLES = (
    "ser-brain compare results/SAVEE/vft/nano results/SAVEE/ptapt/nano",
    "ser-brain compare results/SAVEE/vft/nano/fold_JE/seed_1 "
    "results/SAVEE/vft/nano/fold_JE/seed_2",
)


def add_arguments(sub):
    """Add the command's arguments to its own parser."""
    for name in "AB":
        sub.add_argument(
            name.lower(),
            metavar=name,
            help="a run folder, or a folder with runs of one procedure and "
            "scale",
        )
    options.add_resamples(sub)


def run(arguments):
    """Print scores with intervals, paired tests and recall by class.

    Returns 0.

    Raises
    ------
    InputError
        If the runs cannot be compared.
    """
    from ser_brain.reporting.compare import compare
    from ser_brain.reporting.table import markdown

    options.check_resamples(arguments.resamples)
    tables = compare(arguments.a, arguments.b, arguments.resamples)
    print("\n\n".join(markdown(table) for table in tables))
    return 0
