"""The drawings of the report."""

from itertools import cycle

import numpy as np
import pandas
from matplotlib import rc_context
from matplotlib.ticker import MaxNLocator

from ser_brain.reporting.confusion import draw_confusion
from ser_brain.reporting.formats import counted, percent
from ser_brain.reporting.learning import learning_curves
from ser_brain.reporting.pictures import (
    GREY,
    INK,
    SERIES,
    STYLE,
    Picture,
    file_name,
    new_figure,
)
from ser_brain.reporting.texts import TEXTS

WIDTH = 7.0  # inches: both columns of a paper
SLOT = 0.8  # of the room between two folds
ACCURACY = "unweighted accuracy (%)"
LEGEND = {"loc": "lower center", "bbox_to_anchor": (0.5, 1), "ncols": 4}
DASHES = {"train": "-", "valid": "--"}


def all_pictures(analysis):
    """Draw all figures of an :class:`Analysis`.

    Returns
    -------
    dict
        Section ("runs", "recall", "speakers", "confusion", "learning") ->
        list of Picture.
    """
    procedures = analysis.procedures
    # If every fold is one speaker, the first figure shows the same.
    several = len(analysis.speakers) > len(analysis.folds)
    with rc_context(STYLE):
        return {
            "runs": [runs_by_fold(analysis)],
            "recall": [recall_by_class(analysis)],
            "speakers": [accuracy_by_speaker(analysis)] if several else [],
            "confusion": [
                one for p in procedures for one in confusions(analysis, p)
            ],
            "learning": [one for p in procedures for one in learning(p)],
        }


def _picture(kind, figure, *parts, group="", **known):
    """A drawing with its texts; ``parts`` are added to the file's name."""
    said = TEXTS["pictures"][kind]
    words = (said[key].format(**known) for key in ("caption", "alternative"))
    return Picture(file_name(kind, *parts), *words, figure, group)


def _axes(height, names, label, **slant):
    """Axes with a position for each name, and UA or recall upwards."""
    axes = new_figure(WIDTH, height).add_subplot()
    axes.set_xticks(range(len(names)), names, **slant)
    axes.set_xlim(-0.6, len(names) - 0.4)
    axes.set_ylabel(label)
    return axes


def _draw_chance(axes, analysis):
    axes.axhline(100 * analysis.chance, color=GREY, lw=1, ls=":")


def runs_by_fold(analysis):
    """A strip plot: every run by fold; the published figure as a line."""
    folds = analysis.folds
    axes = _axes(3.6, [f"fold {fold}" for fold in folds], ACCURACY)
    step = SLOT / len(analysis.procedures)
    for number, (procedure, series) in enumerate(_series(analysis)):
        row = analysis.published.get(procedure.name, {})
        for place, fold in enumerate(folds):
            left = place - SLOT / 2 + number * step
            _strip(axes, procedure, fold, left, step, *series)
            if fold in row:
                ends = left, left + step
                axes.hlines(row[fold], *ends, series[0], "dashed", lw=1.2)
    _draw_chance(axes, analysis)
    for place, fold in enumerate(folds):
        if fold in (analysis.listeners or {}):
            ends = place - SLOT / 2, place + SLOT / 2
            score = analysis.listeners[fold]
            axes.hlines(score, *ends, INK, "dashdot", lw=0.9)
    _name_marks(axes, analysis)
    axes.grid(visible=False, axis="x")
    said = "; ".join(
        f"{p.title}, mean {percent(p.scores['UA'])} %"
        for p in analysis.procedures
    )
    return _picture("runs_by_fold", axes.figure, said=said)


def _strip(axes, procedure, fold, left, step, colour, marker):
    """Draw the runs of one procedure in one fold, side by side."""
    runs = [100 * ua for ua in procedure.accuracies(fold, discarded=True)]
    count = len(procedure.accuracies(fold))
    kept, out = runs[:count], runs[count:]
    places = left + step * np.linspace(0.2, 0.8, len(runs) + 2)[1:-1]
    style = {"color": colour, "ms": 3.2, "alpha": 0.65, "mew": 0}
    axes.plot(places[:count], kept, marker, **style)
    axes.plot(places[count:], out, "x", color=colour, ms=4.5, mew=1)
    if kept:
        inner = left + 0.08 * step, left + 0.92 * step
        axes.hlines(np.mean(kept), *inner, colour, "solid", lw=2)


def _name_marks(axes, analysis):
    """Add a legend above the drawing."""
    for procedure, (colour, marker) in _series(analysis):
        axes.plot([], [], marker, color=colour, label=procedure.title)
    if analysis.published:
        axes.plot([], [], "--", color=INK, lw=1.2, label="paper")
    if analysis.listeners:
        axes.plot([], [], "-.", color=INK, lw=0.9, label="listeners (paper)")
    if any(p.discarded for p in analysis.procedures):
        axes.plot([], [], "x", color=INK, ms=4.5, label="discarded")
    axes.plot([], [], ":", color=GREY, lw=1, label="chance")
    axes.legend(**LEGEND)


def _series(analysis):
    """Yield each procedure with its colour and marker."""
    return zip(analysis.procedures, cycle(SERIES))


def recall_by_class(analysis):
    """A dot plot: recall pooled over folds, with intervals over clips."""
    classes, procedures = analysis.classes, analysis.procedures
    marks = [(p.scores["recall"], *p.by_clip["recall"]) for p in procedures]
    said = "; ".join(
        f"{p.title}: {_named(classes, p.scores['recall'])}" for p in procedures
    )
    figure = _dots(analysis, classes, marks, "recall (%)")
    return _picture("recall", figure, said=said)


def _named(names, shares):
    """Percentages with their names, for the alternative text."""
    pairs = zip(names, shares)
    return ", ".join(f"{name} {percent(share)} %" for name, share in pairs)


def accuracy_by_speaker(analysis):
    """A dot plot: UA of each speaker, with the deviation over runs."""
    marks = []
    for procedure in analysis.procedures:
        found = procedure.speaker_accuracies()
        runs = pandas.Series(found).reindex(analysis.speakers).explode()
        by_speaker = runs.astype(float).groupby(level=0, sort=False)
        means, spread = by_speaker.mean(), by_speaker.std().fillna(0)
        marks.append((means, means - spread, means + spread))
    figure = _dots(analysis, analysis.speakers, marks, ACCURACY)
    return _picture("speakers", figure)


def _dots(analysis, names, marks, label):
    """Draw a marker and a bar for each name and procedure.

    ``marks`` holds the values and both ends of the bars of each procedure, as
    fractions.
    """
    slant = {"rotation": 45, "ha": "right"} if len(names) > 10 else {}
    axes = _axes(3.2, names, label, **slant)
    middle = (len(marks) - 1) / 2
    for number, (procedure, (colour, marker)) in enumerate(_series(analysis)):
        value, low, high = 100 * np.array(marks[number])
        axes.errorbar(
            np.arange(len(names)) + 0.5 / len(marks) * (number - middle),
            value, [value - low, high - value],
            fmt=marker, color=colour, ms=4.5, elinewidth=1.2,
            label=procedure.title,
        )  # fmt: skip
    _draw_chance(axes, analysis)
    axes.set_ylim(bottom=0)
    axes.legend(**LEGEND)
    return axes.figure


def confusions(analysis, procedure):
    """Confusion matrices of a procedure: all folds, then each."""
    classes = analysis.classes
    for fold in (None, *procedure.folds):
        matrix = procedure.confusion(classes, fold)
        recall = np.diag(matrix) / np.maximum(matrix.sum(axis=1), 1)
        known = {
            "title": procedure.title,
            "where": "all folds" if fold is None else f"fold {fold}",
            "count": counted(
                sum(fold in (None, run.fold) for run in procedure.runs), "run"
            ),
            "said": _named(classes, recall),
        }
        title = TEXTS["pictures"]["confusion"]["caption"].format(**known)
        figure = draw_confusion(matrix, classes, title)
        parts = (
            [procedure.name] if fold is None else [procedure.name, "fold", fold]
        )
        yield _picture(
            "confusion", figure, *parts, group=procedure.title, **known
        )


def learning(procedure):
    """Losses over epochs: one panel per stage, a thin line per run.

    It yields nothing if no run has a train_log.txt.
    """
    curves = learning_curves([run.folder for run in procedure.runs])
    if not curves:
        return
    figure = new_figure(max(3.5, 2.4 * len(curves)), 2.5)
    panels = figure.subplots(1, len(curves), squeeze=False)[0]
    for axes, (stage, by_part) in zip(panels, curves.items()):
        for part, lines in by_part.items():
            for line in lines:
                axes.plot(line, DASHES[part], color=GREY, lw=0.6, alpha=0.6)
            # The mean is over the runs that reached an epoch; a loss of nan
            # shows.
            by_epoch = pandas.concat(lines).groupby(level=0)
            mean = by_epoch.agg(lambda losses: losses.mean(skipna=False))
            style = {"color": SERIES[0][0], "lw": 1.6, "label": part}
            axes.plot(mean, DASHES[part], **style)
        axes.set_title(stage.replace("_", " "))
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend()
    panels[0].set_ylabel("loss")
    stages = ", ".join(stage.replace("_", " ") for stage in curves)
    title = procedure.title
    yield _picture(
        "learning", figure, procedure.name, title=title, stages=stages
    )
