"""A picture of a timeline: waveform, posteriors, segments."""

from pathlib import Path

import numpy as np
from matplotlib import rc_context
from matplotlib.colors import to_rgb
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter

from ser_brain.errors import InputError
from ser_brain.files import atomic_path
from ser_brain.reporting.pictures import GREY, INK, SERIES, STYLE, new_figure

FORMATS = (".png", ".svg", ".pdf")
# Okabe and Ito's colours; with more than eight classes they repeat.
COLOURS = [colour for colour, _ in SERIES] + ["#f0e442", "#999999"]
WIDTH = 9.0  # inches
COLUMNS = 2000  # of the drawn waveform
LETTER = 0.0085  # of the width: a label that is wider than its segment goes


def save_drawing(timeline, path):
    """Write the picture of a timeline.

    Arguments
    ---------
    timeline : Timeline
        What to draw.
    path : str or Path
        A file that ends in .png, .svg or .pdf.

    Raises
    ------
    InputError
        If the ending is another one, or the file cannot be written.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in FORMATS:
        raise InputError(
            f"{path} is not a picture's name: let it end in "
            f"{', '.join(FORMATS)}."
        )
    with rc_context(STYLE), atomic_path(path) as beside:
        draw(timeline).savefig(beside, format=suffix[1:])


def draw(timeline):
    """Draw the figure; call it within ``STYLE``."""
    rows = list(dict.fromkeys(timeline.speakers)) or [None]
    heights = [1.0, 1.8, 0.35 * len(rows)]
    figure = new_figure(WIDTH, sum(heights) + 1.1)
    waveform, bands, segments = figure.subplots(
        3, sharex=True, height_ratios=heights
    )
    colours = dict(zip(timeline.classes, COLOURS * len(timeline.classes)))
    _draw_waveform(waveform, timeline)
    _draw_bands(bands, timeline, colours)
    _draw_segments(segments, timeline, colours, rows)
    figure.suptitle(_title(timeline), size=9)
    figure.legend(
        handles=[Patch(color=c, label=name) for name, c in colours.items()],
        loc="outside lower center",
        ncols=min(len(colours), 8),
    )
    return figure


def _title(timeline):
    """The file, its duration, and whether it is truncated."""
    spoken = sum(end - begin for begin, end in timeline.speech)
    clock = clock_of(timeline.duration)
    cut = " (the file is truncated)" if timeline.truncated else ""
    return (
        f"{Path(timeline.path).name}: {clock(timeline.duration)}{cut}, "
        f"speech {clock(spoken)}"
    )


def clock_of(duration):
    """Return a formatter of times up to a duration.

    Example
    -------
    >>> clock_of(45)(12.5), clock_of(600)(75), clock_of(7200)(3725)
    ('12.5 s', '1:15', '1:02:05')
    """

    def clock(seconds, _=None):
        if duration < 60:
            return f"{seconds:.1f} s"
        minutes, rest = divmod(round(seconds), 60)
        hours, minutes = divmod(minutes, 60)
        if duration < 3600:
            return f"{minutes}:{rest:02d}"
        return f"{hours}:{minutes:02d}:{rest:02d}"

    return clock


def _draw_waveform(axes, timeline):
    """Draw the envelope, speech darker than the rest."""
    lows, highs = _thinned(timeline.envelope).T
    centres = (np.arange(len(lows)) + 0.5) * timeline.duration / len(lows)
    axes.fill_between(centres, lows, highs, color=GREY, alpha=0.5, lw=0)
    spoken = np.zeros(len(lows), dtype=bool)
    for begin, end in timeline.speech:
        spoken |= (begin <= centres) & (centres <= end)
    axes.fill_between(centres, lows, highs, where=spoken, color=INK, lw=0)
    axes.set_ylabel("waveform")
    axes.set_yticks([0])
    axes.set_xlim(0, timeline.duration)


def _thinned(envelope):
    """Reduce an envelope to as many parts as can be seen."""
    if len(envelope) <= COLUMNS:
        return envelope
    edges = np.linspace(0, len(envelope), COLUMNS + 1).astype(int)[:-1]
    lows = np.minimum.reduceat(envelope[:, 0], edges)
    return np.stack([lows, np.maximum.reduceat(envelope[:, 1], edges)], 1)


def _draw_bands(axes, timeline, colours):
    """Draw the posteriors of each step, stacked; nothing without speech."""
    tops = timeline.posteriors.cumsum(axis=1)
    begins, ends = timeline.times.T
    for number, colour in enumerate(colours.values()):
        axes.bar(
            begins,
            timeline.posteriors[:, number],
            ends - begins,
            bottom=tops[:, number] - timeline.posteriors[:, number],
            align="edge",
            color=colour,
            lw=0,
        )
    axes.set_ylim(0, 1)
    axes.set_ylabel("posteriors")


def _is_dark(colour):
    """Whether white is more legible on a colour than black."""
    red, green, blue = to_rgb(colour)
    return 0.299 * red + 0.587 * green + 0.114 * blue < 0.5


def _draw_segments(axes, timeline, colours, rows):
    """Draw one row per speaker, with labels where they fit."""
    for one in timeline.segments:
        row, length = rows.index(one.speaker), one.end - one.begin
        colour = colours[one.label]
        axes.barh(
            row, length, 0.8, one.begin, color=colour, edgecolor="white", lw=0.5
        )
        if length / timeline.duration > LETTER * len(one.label):
            axes.text(
                one.begin + length / 2,
                row,
                one.label,
                ha="center",
                va="center",
                color="white" if _is_dark(colour) else "black",
                size=7,
                clip_on=True,
            )
    names = ["segments"] if rows == [None] else [str(row) for row in rows]
    axes.set_yticks(range(len(rows)), names)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.grid(visible=False)
    axes.xaxis.set_major_formatter(FuncFormatter(clock_of(timeline.duration)))
