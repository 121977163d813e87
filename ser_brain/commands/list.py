"""``ser-brain list [FOLDER]``: the runs of a results folder."""

import json
import sys
from collections import Counter

from ser_brain.commands.options import add_forms
from ser_brain.errors import printable
from ser_brain.reporting.formats import counted, percent, shown, spoken

HELP = "the runs of a results folder, one line each"
EXAMPLES = (
    "ser-brain list",
    "ser-brain list results/SAVEE --scale nano",
    "ser-brain list results --csv > runs.csv",
)
HEADER = ("corpus", "procedure", "scale", "fold", "seed", "state")
HEADER += ("UA", "WA", "time", "when")
ALIGNED = ("left",) * 4 + ("right", "left") + ("right",) * 3 + ("left",)

MORE = "with unrounded figures and the runs' folders"
FORMS = {"csv": f"one row per run, {MORE}", "json": f"a list, {MORE}"}


def add_arguments(sub):
    """Add the command's arguments to its own parser."""
    sub.add_argument(
        "folder",
        metavar="FOLDER",
        nargs="?",
        default="results",
        help="a folder of runs, at any depth (results)",
    )
    sub.add_argument("--scale", help="only runs of this scale")
    add_forms(sub, FORMS)


def run(arguments):
    """Print one line per run to stdout, and a summary to stderr.

    Returns 0, or 1 if the files of a run are broken.

    Raises
    ------
    InputError
        If there is no run.
    """
    from ser_brain.results.listing import BROKEN, STATES, list_runs

    runs, errors = list_runs(arguments.folder, arguments.scale)
    if arguments.form == "csv":
        print(runs.to_csv(index=False, lineterminator="\n"), end="")
    elif arguments.form == "json":
        rows = runs.to_dict("records")
        print(json.dumps(rows, indent=2, ensure_ascii=False))
    else:
        print(as_table(runs))
    for sentence in errors:
        print(f"warning: {sentence}", file=sys.stderr)
    counts = Counter(runs["state"])
    told = [f"{counts[name]} {name}" for name in STATES if counts[name]]
    print(f"{counted(len(runs), 'run')}: {', '.join(told)}", file=sys.stderr)
    return 1 if counts[BROKEN] else 0


def as_table(runs):
    """Format runs for a terminal: scores in percent, times in a fit unit.

    Arguments
    ---------
    runs : pandas.DataFrame
        As :func:`ser_brain.results.listing.list_runs` returns them.

    Returns
    -------
    str
        Aligned columns. There is a column CCC if a run predicts ratings.
    """
    from tabulate import tabulate

    rated = bool(runs["CCC"].notna().any())
    lines = [_cells(row, rated) for row in runs.to_dict("records")]
    header, aligned = list(HEADER), list(ALIGNED)
    if rated:
        header.insert(8, "CCC")
        aligned.insert(8, "right")
    return tabulate(
        lines,
        header,
        tablefmt="plain",
        colalign=aligned,
        disable_numparse=True,
    )


def _cells(row, rated):
    """The cells of a run as text."""
    names = ["" if row[n] is None else printable(row[n]) for n in HEADER[:6]]
    scores = [percent(row["UA"]), percent(row["WA"])]
    scores += [shown(row["CCC"], decimals=3)] * rated
    seconds, when = row["seconds"], row["when"]
    return [
        *names,
        *scores,
        "" if seconds is None else spoken(seconds),
        "" if when is None else when[:16].replace("T", " "),
    ]
