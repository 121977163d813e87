"""``ser-brain report FOLDER…``: run folders to a page and its pictures."""

from pathlib import Path

from tqdm import tqdm

from ser_brain.errors import InputError

COMPLETE, INCOMPLETE = 0, 1


def add_arguments(sub):
    """Add the command's arguments.

    Arguments
    ---------
    sub : argparse.ArgumentParser
        The sub-parser of ``report``.

    Example
    -------
    >>> import argparse
    >>> parser = argparse.ArgumentParser()
    >>> add_arguments(parser)
    >>> parser.parse_args(["results/SAVEE"]).resamples
    5000
    """
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
        "--resamples",
        type=int,
        default=5000,
        help="draws of the bootstrap and the randomisation test (5000)",
    )


def run(arguments):
    """Write the report and print its tables.

    Arguments
    ---------
    arguments : argparse.Namespace
        As :func:`add_arguments` asks for them.

    Returns
    -------
    int
        0, or 1 where something that was planned is missing.

    Raises
    ------
    InputError
        If there is no run, a run was edited, or runs do not belong together.
    """
    from ser_brain.evaluation.report.summary import all_tables, markdown

    if arguments.resamples < 100:
        raise InputError(
            f"--resamples {arguments.resamples} is too few for a 95 % "
            "interval: give 1000 or more."
        )
    analysis = _analyse(arguments)
    tables = all_tables(analysis)
    text = markdown(analysis, tables)
    output = arguments.output or arguments.folders[0] / "report"
    page = _write(analysis, tables, text, output)
    print(text)
    print(page)
    return INCOMPLETE if analysis.missing else COMPLETE


def _analyse(arguments):
    """Read, check, count."""
    from ser_brain.evaluation.report.analysis import analyse
    from ser_brain.evaluation.report.checks import check_one_protocol
    from ser_brain.evaluation.report.plans import find_plans, what_is_missing
    from ser_brain.evaluation.report.runs import find_runs, find_unfinished

    folders, scale = arguments.folders, arguments.scale
    runs = find_runs(folders, scale)
    plans = find_plans(folders, scale)
    unfinished = find_unfinished(folders, scale)
    if not runs:
        raise InputError(_nothing(folders, scale, plans, unfinished))
    check_one_protocol(runs, plans)
    missing = what_is_missing(runs, plans, unfinished)
    return analyse(runs, plans, missing, arguments.resamples)


def _nothing(folders, scale, plans, unfinished):
    """Why there is nothing to report."""
    where = ", ".join(map(str, folders))
    kind = f" of scale {scale}" if scale else ""
    if plans or unfinished:
        return (
            f"no run{kind} below {where} has finished: let the plan go on by "
            "the command that began it."
        )
    return (
        f"{where} holds no finished run{kind} (no metrics.json): give a "
        "folder that ser-brain run or a recipe wrote its results to."
    )


def _write(analysis, tables, text, output):
    """Page, Markdown and pictures; returns the page's path."""
    from ser_brain.evaluation.report.figures import all_pictures
    from ser_brain.evaluation.report.page import render_page
    from ser_brain.files import write_atomically

    pictures = all_pictures(analysis)
    drawn = [one for some in pictures.values() for one in some]
    for picture in tqdm(
        drawn, "pictures", leave=False, dynamic_ncols=True, disable=None
    ):
        picture.save(output)
    page = output / "report.html"
    write_atomically(output / "report.md", text)
    write_atomically(page, render_page(analysis, tables, pictures))
    return page
