"""A table as Markdown, CSV and LaTeX, and its three files."""

import csv
import io
from dataclasses import dataclass, field
from pathlib import Path

from ser_brain.files import write_atomically

LATEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "#": r"\#",
    "$": r"\$",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
    "−": r"$-$",
    "–": "--",
}


@dataclass(frozen=True)
class Table:
    """What is printed, and the same figures for machines.

    Arguments
    ---------
    title : str
        One line.
    header : tuple of str
        Names of the columns.
    rows : tuple of tuple of str
        Cells as they are printed, the first column naming the row.
    notes : tuple of str
        Sentences below the table.
    records : tuple of dict
        The figures unrounded, one dict a figure, all with the same keys: the
        lines of the CSV.

    Example
    -------
    >>> table = Table("T", ("", "1"), (("V-FT", "71.0"),))
    >>> print(markdown(table))
    **T**
    <BLANKLINE>
    |  | 1 |
    |---|---:|
    | V-FT | 71.0 |
    <BLANKLINE>
    """

    title: str
    header: tuple
    rows: tuple
    notes: tuple = ()
    records: tuple = field(default=(), repr=False)


def markdown(table):
    """The table as Markdown, its notes as a list below it."""
    lines = [f"**{table.title}**", ""]
    lines.append(_row(table.header))
    lines.append("|---" + "|---:" * (len(table.header) - 1) + "|")
    lines += [_row(row) for row in table.rows]
    lines.append("")
    lines += [f"- {note}" for note in table.notes]
    return "\n".join(lines)


def _row(cells):
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"


def csv_text(table):
    """The records as CSV; nothing where there is no figure.

    Example
    -------
    >>> records = ({"row": "V-FT", "ours": 71.25}, {"row": "a", "ours": None})
    >>> print(csv_text(Table("T", (), (), (), records)), end="")
    row,ours
    V-FT,71.25
    a,
    """
    text = io.StringIO()
    writer = csv.DictWriter(
        text, list(table.records[0]), lineterminator="\n", strict=True
    )
    writer.writeheader()
    writer.writerows(table.records)
    return text.getvalue()


def latex(table):
    r"""The table as a LaTeX ``table`` that needs no package.

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
    columns = "l" + "r" * (len(table.header) - 1)
    body = [_latex_row(row) for row in table.rows]
    notes = [rf"\par\footnotesize {escaped(note)}" for note in table.notes]
    lines = [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{escaped(table.title)}}}",
        rf"\begin{{tabular}}{{{columns}}}",
        r"\hline",
        _latex_row(table.header),
        r"\hline",
        *body,
        r"\hline",
        r"\end{tabular}",
        *notes,
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _latex_row(cells):
    return " & ".join(map(escaped, cells)) + r" \\"


def escaped(text):
    r"""Text with LaTeX's own characters escaped.

    Example
    -------
    >>> print(escaped("50 % of seed_1"))
    50 \% of seed\_1
    """
    return "".join(LATEX.get(character, character) for character in text)


def write_table(table, folder, name):
    """Writes ``<name>.md``, ``.csv`` and ``.tex``, each whole.

    Arguments
    ---------
    table : Table
        The table.
    folder : str or Path
        Where to; made if missing.
    name : str
        Stem of the three files.

    Returns
    -------
    list of Path
        The files.
    """
    forms = {".md": markdown, ".csv": csv_text, ".tex": latex}
    paths = []
    for suffix, form in forms.items():
        paths.append(Path(folder, name + suffix))
        write_atomically(paths[-1], form(table).rstrip("\n") + "\n")
    return paths
