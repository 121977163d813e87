"""The report: a page with tables and pictures from run folders."""

from ser_brain.bars import passing_bar
from ser_brain.files import write_atomically
from ser_brain.reporting.analysis import analyse
from ser_brain.reporting.figures import all_pictures
from ser_brain.reporting.missing import what_is_missing
from ser_brain.reporting.page import render_page
from ser_brain.reporting.ratings import ratings_table
from ser_brain.reporting.report_tables import all_tables, report_markdown
from ser_brain.reporting.table import markdown
from ser_brain.results.checks import check_one_protocol
from ser_brain.results.records import find_plans
from ser_brain.results.runs import find_runs, find_unfinished, refuse_nothing
from ser_brain.results.variants import (
    plans_by_variant,
    runs_by_variant,
    split_variant,
)


def write_report(folders, output, scale=None, resamples=5000, variants=False):
    """Read and check runs, and write the page, Markdown and pictures.

    Arguments
    ---------
    folders : list of Path
        Run folders, or folders that contain run folders.
    output : Path
        Folder of the page and pictures.
    scale : str, optional
        Only runs of this scale.
    resamples : int
        Draws of the bootstrap and of the randomisation test.
    variants : bool
        Whether variants count as separate procedures.

    Returns
    -------
    text : str
        The tables as Markdown.
    page : Path
        The page.
    missing : list of str
        Sentences about missing runs of unfinished plans.

    Raises
    ------
    InputError
        If there is no run, a run was edited, or the runs cannot be combined.
    """
    runs, plans, unfinished = _found(folders, scale, variants)
    ratings = ratings_table(folders, scale)
    if ratings is not None and not runs:
        text = markdown(ratings, "### {}", "") + "\n"
        write_atomically(output / "report.md", text)
        return text, output / "report.md", []
    if not runs:
        refuse_nothing(folders, scale, plans or unfinished)
    check_one_protocol(runs, plans)
    missing = what_is_missing(runs, plans, unfinished)
    analysis = analyse(runs, plans, missing, resamples)
    tables = all_tables(analysis)
    if ratings is not None:
        tables["ratings"] = ratings
    pictures = all_pictures(analysis)
    drawn = [one for some in pictures.values() for one in some]
    for picture in passing_bar(drawn, "pictures"):
        picture.save(output)
    text = report_markdown(analysis, tables)
    page = output / "report.html"
    write_atomically(output / "report.md", text)
    write_atomically(page, render_page(analysis, tables, pictures))
    return text, page, missing


def _found(folders, scale, variants):
    """Find runs, their plans, and run folders without results."""
    if not variants:
        return (
            find_runs(folders, scale),
            find_plans(folders, scale),
            find_unfinished(folders, scale),
        )
    runs = runs_by_variant(find_runs(folders))
    plans = plans_by_variant(find_plans(folders))
    unfinished = [
        folder
        for folder in find_unfinished(folders)
        if scale in (None, split_variant(folder.resolve().parents[1].name)[0])
    ]
    return (
        [run for run in runs if scale in (None, run.metrics["scale"])],
        [plan for plan in plans if scale in (None, plan.scale)],
        unfinished,
    )
