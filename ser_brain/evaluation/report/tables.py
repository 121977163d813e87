"""A table as data: written as Markdown here, as HTML by the page."""

import html
import re
from dataclasses import dataclass

MARKUP = re.compile(r"[\\|`*\[\]]")


@dataclass(frozen=True)
class Table:
    """A table whose first column names the rows.

    Arguments
    ---------
    title : str
        What it shows.
    head : list of str
        Column names.
    rows : list of list of str
        Cells, as printed.
    note : str
        How to read it; may be empty.
    quiet : tuple of int
        Numbers of the rows that were not measured here.
    """

    title: str
    head: list
    rows: list
    note: str = ""
    quiet: tuple = ()

    def markdown(self):
        """The table as Markdown.

        Example
        -------
        >>> print(Table("UA", ["", "DC"], [["V|FT", "75.2"]]).markdown())
        ### UA
        <BLANKLINE>
        |  | DC |
        |:---|---:|
        | V\\|FT | 75.2 |
        """
        lines = [f"### {escaped(self.title)}", ""]
        lines.append(_line(self.head))
        lines.append("|:---" + "|---:" * (len(self.head) - 1) + "|")
        lines.extend(_line(row) for row in self.rows)
        if self.note:
            lines += ["", escaped(self.note)]
        return "\n".join(lines)


def _line(cells):
    """Cells between bars."""
    return f"| {' | '.join(map(escaped, cells))} |"


def escaped(text):
    """A text that Markdown shows as it is: no markup, HTML or link.

    Example
    -------
    >>> print(escaped("a|b <script> [x](y)"))
    a\\|b &lt;script&gt; \\[x\\](y)
    """
    text = html.escape(" ".join(str(text).split()), quote=False)
    return MARKUP.sub(r"\\\g<0>", text)


def percent(share):
    """A share in percent with one decimal; a dash where there is none.

    Example
    -------
    >>> percent(0.7516), percent(None), percent(float("nan"))
    ('75.2', '–', '–')
    """
    return "–" if share is None or share != share else f"{100 * share:.1f}"


def interval(pair):
    """An interval in percent.

    Example
    -------
    >>> interval((0.701, 0.8))
    '70.1 to 80.0'
    """
    return " to ".join(map(percent, pair))


def p_value(p):
    """A p value as printed.

    Example
    -------
    >>> p_value(0.0413), p_value(0.00009)
    ('0.041', '< 0.001')
    """
    return "< 0.001" if p < 0.001 else f"{p:.3f}"
