"""The page: one HTML file that asks for nothing from anywhere."""

from itertools import groupby
from operator import attrgetter
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from ser_brain.reporting.published import SOURCE
from ser_brain.reporting.report_tables import notices, title

HERE = Path(__file__).parent
SECTIONS = {
    "accuracy": "Accuracy",
    "comparisons": "Comparisons",
    "recall": "Classes",
    "confusion": "Confusions",
    "speakers": "Speakers",
    "learning": "Learning curves",
    "protocol": "Runs and machines",
}


def render_page(analysis, tables, pictures, warnings=()):
    """The report as one HTML page.

    Arguments
    ---------
    analysis : Analysis
        The numbers.
    tables : dict
        As :func:`ser_brain.reporting.report_tables.all_tables` returns
        them.
    pictures : dict
        As :func:`ser_brain.reporting.figures.all_pictures` gives
        them.
    warnings : sequence of str
        Sentences to stand at the top, beside those that any report has.

    Returns
    -------
    str
        HTML; styles and pictures are part of it.
    """
    environment = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )
    shown = {*tables, *filter(pictures.get, pictures), "protocol"}
    matrices = groupby(pictures["confusion"], attrgetter("group"))
    told = notices(analysis.corpus, analysis.scale)
    style = (HERE / "style.css").read_text(encoding="utf-8")
    return environment.get_template("page.html").render(
        title=title(analysis),
        summary=_summary(analysis),
        notices=[*told, *warnings],
        missing=analysis.missing,
        sections=[pair for pair in SECTIONS.items() if pair[0] in shown],
        tables=tables,
        pictures=pictures,
        confusions=[(name, list(members)) for name, members in matrices],
        source=SOURCE if analysis.published else "",
        style=Markup(style),
    )


def _summary(analysis):
    """How much stands behind the page."""
    runs = sum(len(p.runs) for p in analysis.procedures)
    widest = max(analysis.procedures, key=lambda p: len(p.folds)).clips
    clips = len(widest[["fold", "clip"]].drop_duplicates())
    return (
        f"{', '.join(p.title for p in analysis.procedures)}: {runs} runs, "
        f"{len(analysis.folds)} folds, {clips} clips of "
        f"{len(analysis.speakers)} speakers, {len(analysis.classes)} classes. "
        "Unweighted accuracy (UA) is the mean of the classes' recalls."
    )
