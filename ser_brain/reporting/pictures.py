"""A figure as a PNG for a paper and as SVG for the page."""

import base64
import io
import re
from dataclasses import dataclass
from pathlib import Path

from matplotlib import rc_context, rc_params_from_file
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ser_brain.files import atomic_path

INK = "#1f2328"
GREY = "#818b98"  # legible on white and on black
REM_PER_INCH = 6.5
# Okabe and Ito's colours, distinguishable by the colour-blind; shapes, too.
SERIES = (
    ("#0072b2", "o"),
    ("#d55e00", "s"),
    ("#009e73", "^"),
    ("#cc79a7", "D"),
    ("#e69f00", "v"),
    ("#56b4e9", "P"),
)
STYLE = rc_params_from_file(
    Path(__file__).with_name("report.mplstyle"), use_default_template=False
)
# The page follows the reader's dark mode, and so does the ink.
BY_SCREEN = (
    "<style>svg{--ink:" + INK + "}@media (prefers-color-scheme:dark){"
    "svg{--ink:#e6edf3}}@media print{svg{--ink:" + INK + "}}</style>"
)


@dataclass(frozen=True)
class Picture:
    """A figure of the report.

    Arguments
    ---------
    name : str
        Name of its PNG, without suffix.
    caption : str
        What it shows.
    alternative : str
        Alternative text for those who cannot see it, with its main figures.
    figure : matplotlib.figure.Figure
        The drawing.
    group : str
        Common heading of several pictures; may be empty.
    """

    name: str
    caption: str
    alternative: str
    figure: Figure
    group: str = ""

    def save(self, folder):
        """Write the PNG, on white, 200 dots per inch."""
        with rc_context(STYLE), atomic_path(folder / self.file) as temporary:
            self.figure.savefig(temporary, format="png")

    @property
    def file(self):
        """Name of the PNG."""
        return f"{self.name}.png"

    @property
    def width(self):
        """Width on the page in rem: text is as large as the page's notes."""
        return round(REM_PER_INCH * self.figure.get_figwidth(), 1)

    @property
    def source(self):
        """The drawing as SVG in a data URL, so the page needs no server."""
        text = io.StringIO()
        with rc_context(STYLE):
            self.figure.savefig(
                text, format="svg", transparent=True, metadata={"Date": None}
            )
        svg = text.getvalue().replace(INK, "var(--ink)")
        svg = re.sub(r"(<svg [^>]*>)", r"\1" + BY_SCREEN, svg, count=1)
        encoded = base64.b64encode(svg.encode()).decode()
        return f"data:image/svg+xml;base64,{encoded}"


def new_figure(width, height):
    """Create an empty figure, in inches; call it within ``STYLE``."""
    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    return figure


def file_name(*parts):
    """Join parts of a file name; keep only letters, digits, dots and dashes.

    Example
    -------
    >>> file_name("confusion", "vft", "fold", "a/b")
    'confusion_vft_fold_a_b'
    """
    return re.sub(r"[^\w.-]", "_", "_".join(parts))
