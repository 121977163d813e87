"""The report page: one self-contained HTML file."""

from itertools import groupby
from operator import attrgetter
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from ser_brain.reporting.formats import counted
from ser_brain.reporting.published import SOURCE
from ser_brain.reporting.report_tables import title
from ser_brain.reporting.texts import notices

HERE = Path(__file__).parent


def render_page(analysis, tables, pictures, warnings=()):
    """Render the report as one HTML page.

    Arguments
    ---------
    analysis : Analysis
        The figures of the report.
    tables : dict
        As :func:`ser_brain.reporting.report_tables.all_tables` returns
        them.
    pictures : dict
        As :func:`ser_brain.reporting.figures.all_pictures` returns them.
    warnings : sequence of str
        Sentences for the top of the page, in addition to the usual ones.

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
    environment.filters["counted"] = counted
    matrices = groupby(pictures["confusion"], attrgetter("group"))
    widest = max(analysis.procedures, key=lambda p: len(p.folds)).clips
    return environment.get_template("page.html").render(
        title=title(analysis),
        analysis=analysis,
        clips=len(widest[["fold", "clip"]].drop_duplicates()),
        notices=[*notices(analysis.corpus, analysis.scale), *warnings],
        tables=tables,
        pictures=pictures,
        confusions=[(name, list(members)) for name, members in matrices],
        source=SOURCE if analysis.published else "",
        style=Markup((HERE / "style.css").read_text(encoding="utf-8")),
    )
