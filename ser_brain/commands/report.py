"""``ser-brain report FOLDER…``: a report page of run folders."""

from pathlib import Path

from ser_brain.commands import options

HELP = "run folders to a page, tables and pictures"
EXAMPLES = (
    "ser-brain report results/SAVEE",
    "ser-brain report results/SAVEE/vft results/SAVEE/tapt --scale "
    "nano --output report",
)
COMPLETE, INCOMPLETE = 0, 1


def add_arguments(sub):
    """Add the command's arguments to its own parser."""
    sub.add_argument(
        "folders",
        metavar="FOLDER",
        nargs="+",
        type=Path,
        help="run folders, or folders that hold such: results/SAVEE",
    )
    sub.add_argument(
        "--output",
        type=Path,
        help="folder of the page and pictures (default: FOLDER/report)",
    )
    sub.add_argument(
        "--scale", help="only runs of this scale, where FOLDER holds several"
    )
    sub.add_argument(
        "--variants",
        action="store_true",
        help="runs of variants as rows of their own, beside P-TAPT and V-FT",
    )
    options.add_resamples(sub)


def run(arguments):
    """Write the report and print its tables.

    Returns 1 if something that was planned is missing, else 0.

    Raises
    ------
    InputError
        If there is no run, a run was edited, or the runs cannot be combined.
    """
    from ser_brain.reporting.report import write_report

    options.check_resamples(arguments.resamples)
    folders = arguments.folders
    output = arguments.output or folders[0] / "report"
    text, page, missing = write_report(
        folders,
        output,
        arguments.scale,
        arguments.resamples,
        arguments.variants,
    )
    print(text)
    print(page)
    return INCOMPLETE if missing else COMPLETE
