"""Confusion matrices as figures for a paper's column."""

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ser_brain.files import atomic_path

COLUMN_INCHES = 3.5
DARK_CELL = 65


def save_confusion(path, matrix, labels, title=None):
    """Write a confusion matrix as PNG, 200 dots per inch.

    Arguments
    ---------
    path : str or pathlib.Path
        The PNG file to write.
    matrix, labels, title
        As for :func:`draw_confusion`.

    Raises
    ------
    ValueError
        If the matrix is not (classes, classes).
    InputError
        If the file cannot be written.

    Example
    -------
    >>> file = getfixture("tmp_path") / "confusion.png"
    >>> save_confusion(file, [[8, 2], [1, 9]], ["angry", "sad"])
    >>> file.read_bytes()[1:4]
    b'PNG'
    """
    figure = draw_confusion(matrix, labels, title)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png")


def draw_confusion(matrix, labels, title=None):
    """Draw a confusion matrix: percent of each true class, and counts.

    Arguments
    ---------
    matrix : array_like
        Counts, shape (classes, classes), true classes in rows, as
        :func:`ser_brain.evaluation.metrics.confusion` returns them.
    labels : sequence of str
        The class names, in the order of the rows.
    title : str, optional
        One line above the matrix.

    Returns
    -------
    matplotlib.figure.Figure
        One column wide up to four classes, wider as classes are added.

    Raises
    ------
    ValueError
        If the matrix is not (classes, classes).

    Example
    -------
    >>> figure = draw_confusion([[8, 2], [1, 9]], ["angry", "sad"])
    >>> [text.get_text() for text in figure.axes[0].texts[:2]]
    ['80', '8']
    """
    matrix = np.asarray(matrix)
    if matrix.shape != (len(labels), len(labels)):
        raise ValueError(
            f"A matrix of shape {matrix.shape} does not fit {len(labels)} "
            "labels."
        )
    side = max(COLUMN_INCHES, 1.0 + 0.62 * len(labels))
    figure = Figure(figsize=(side, side), dpi=200, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    # The row of a class without clips is divided by one, so it is all zero.
    percent = 100 * matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    axes.imshow(percent, cmap="Blues", vmin=0, vmax=100)
    _write_cells(axes, percent, matrix)
    _name_axes(axes, labels, title)
    return figure


def _write_cells(axes, percent, counts):
    """Write percent and count into each cell, in a contrasting colour."""
    for (row, column), share in np.ndenumerate(percent):
        ink = "white" if share > DARK_CELL else "0.15"
        axes.text(
            column, row - 0.05, f"{share:.0f}",
            ha="center", va="bottom", color=ink, fontsize=10,
            in_layout=False,
        )  # fmt: skip
        axes.text(
            column, row + 0.08, f"{counts[row, column]:d}",
            ha="center", va="top", color=ink, fontsize=9,
            in_layout=False,
        )  # fmt: skip


def _name_axes(axes, labels, title):
    """Put class names on both axes, and thin white lines between the cells."""
    places = np.arange(len(labels))
    slant = 45 if len(labels) > 4 else 0
    axes.set_xticks(
        places, labels, rotation=slant, fontsize=9,
        ha="right" if slant else "center", rotation_mode="anchor",
    )  # fmt: skip
    axes.set_yticks(places, labels, fontsize=9)
    axes.set_xlabel("predicted (% of the true class, clips below)", fontsize=9)
    axes.set_ylabel("true", fontsize=9)
    if title:
        axes.set_title(title, fontsize=9)
    axes.set_xticks(places[1:] - 0.5, minor=True)
    axes.set_yticks(places[1:] - 0.5, minor=True)
    axes.grid(visible=False)
    axes.grid(which="minor", axis="both", color="white", linewidth=1)
    axes.tick_params(which="both", length=0)
    axes.spines[:].set_visible(False)
