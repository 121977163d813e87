"""Tables as Markdown, CSV and LaTeX."""

import html
import re
from dataclasses import dataclass, field
from pathlib import Path

import pandas

from ser_brain.files import write_atomically

MARKUP = re.compile(r"[\\|`*]|\](?=\()")
# What begins or ends a tag or an entity: no sign before or after a space.
TAG = re.compile(r"[&<](?! )|(?<! )>")
LATEX = str.maketrans(
    dict(zip("&%#$_{}", (r"\&", r"\%", r"\#", r"\$", r"\_", r"\{", r"\}")))
    | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}"}
    | {"^": r"\textasciicircum{}", "±": r"$\pm$", "−": r"$-$", "–": "--"}
)
# pandas' own horizontal rules would need the package booktabs.
RULES = [
    {"selector": f"{place}rule", "props": ":hline;"}
    for place in ("top", "mid", "bottom")
]


@dataclass(frozen=True)
class Table:
    """A printed table, and the same figures in machine-readable form.

    Arguments
    ---------
    title : str
        One line.
    header : sequence of str
        Names of the columns.
    rows : sequence of sequence of str
        Cells as printed. The first column names the row.
    notes : sequence of str
        Sentences below the table.
    records : sequence of dict
        The unrounded figures, one dict per figure, all with the same keys: the
        rows of the CSV.
    quiet : tuple of int
        Indices of the rows that were not measured here.

    Example
    -------
    >>> table = Table("T", ("", "1"), (("V-FT", "71.0"),))
    >>> print(markdown(table))
    **T**
    <BLANKLINE>
    |  | 1 |
    |:---|---:|
    | V-FT | 71.0 |
    <BLANKLINE>
    """

    title: str
    header: tuple
    rows: tuple
    notes: tuple = ()
    records: tuple = field(default=(), repr=False)
    quiet: tuple = ()


def markdown(table, heading="**{}**", bullet="- "):
    """Format the table as Markdown, with its notes below it.

    ``DataFrame.to_markdown`` pads every cell to the width of its column, so
    that one long name changes every line. Here cells are not padded.

    Arguments
    ---------
    table : Table
        The table.
    heading : str
        Markup before the title.
    bullet : str
        Text before each note.

    Returns
    -------
    str
    """
    rule = "|:---" + "|---:" * (len(table.header) - 1) + "|"
    title = heading.format(plain_markdown(table.title))
    lines = [title, "", _line(table.header), rule]
    lines += [*map(_line, table.rows), ""]
    notes = (bullet + plain_markdown(note) for note in table.notes)
    return "\n".join([*lines, *notes])


def _line(cells):
    """Join cells with bars."""
    return f"| {' | '.join(map(plain_markdown, cells))} |"


def plain_markdown(text):
    """Escape a text for Markdown, so that it holds no markup, HTML or link.

    Example
    -------
    >>> print(plain_markdown("a|b <script> [x](y)"))
    a\\|b &lt;script&gt; [x\\](y)
    >>> plain_markdown("p < 0.001")
    'p < 0.001'
    """
    text = " ".join(str(text).split())
    text = TAG.sub(lambda sign: html.escape(sign[0]), text)
    return MARKUP.sub(r"\\\g<0>", text)


def csv_text(table):
    """Format the records as CSV; empty if there is no figure.

    Example
    -------
    >>> records = ({"row": "V-FT", "ours": 71.25}, {"row": "a", "ours": None})
    >>> print(csv_text(Table("T", (), (), (), records)), end="")
    row,ours
    V-FT,71.25
    a,
    """
    # As objects, so that a count next to a gap does not become a float.
    frame = pandas.DataFrame(table.records, dtype=object)
    return frame.to_csv(index=False, lineterminator="\n")


def latex(table):
    r"""Format the table as a LaTeX ``table`` that needs no package.

    Example
    -------
    >>> print(latex(Table("50 %", ("", "1"), (("P_T", "3 ± 1"),))), end="")
    \begin{table}
    \centering
    \caption{50 \%}
    \begin{tabular}{lr}
    \hline
     & 1 \\
    \hline
    P\_T & 3 $\pm$ 1 \\
    \hline
    \end{tabular}
    \end{table}
    """
    frame = pandas.DataFrame(table.rows, dtype=str).map(escaped)
    frame.columns = list(map(escaped, table.header))
    style = frame.style.hide(axis="index").set_table_styles(RULES)
    text = style.to_latex(
        column_format="l" + "r" * (len(table.header) - 1),
        position_float="centering",
        caption=escaped(table.title),
    )
    notes = [rf"\par\footnotesize {escaped(note)}" for note in table.notes]
    body, end, _ = text.rpartition(r"\end{table}")
    return body + "".join(note + "\n" for note in notes) + end + "\n"


def escaped(text):
    r"""Escape LaTeX's special characters in a text.

    Example
    -------
    >>> print(escaped("50 % of seed_1"))
    50 \% of seed\_1
    """
    return text.translate(LATEX)


def write_table(table, folder, name):
    """Write ``<name>.md``, ``.csv`` and ``.tex``, each atomically.

    Arguments
    ---------
    table : Table
        The table.
    folder : str or Path
        Destination; created if missing.
    name : str
        Stem of the three files.

    Returns
    -------
    list of Path
        The files.
    """
    forms = {".md": markdown, ".csv": csv_text, ".tex": latex}
    paths = [Path(folder, name + suffix) for suffix in forms]
    for path in paths:
        text = forms[path.suffix](table)
        write_atomically(path, text.rstrip("\n") + "\n")
    return paths
