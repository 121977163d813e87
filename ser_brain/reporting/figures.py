"""The drawings of the report."""

from itertools import cycle

import numpy as np
from matplotlib import rc_context
from matplotlib.ticker import MaxNLocator

from ser_brain.reporting.confusion import draw_confusion
from ser_brain.reporting.formats import percent
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

WIDTH = 7.0  # inches: both columns of a paper
SLOT = 0.8  # of the room between two folds


def all_pictures(analysis):
    """Draw everything.

    Arguments
    ---------
    analysis : Analysis
        The numbers.

    Returns
    -------
    dict
        Section ("runs", "recall", "speakers", "confusion", "learning") ->
        list of Picture.
    """
    procedures = analysis.procedures
    with rc_context(STYLE):
        pictures = {
            "runs": [runs_by_fold(analysis)],
            "recall": [recall_by_class(analysis)],
            "speakers": [],
            "confusion": [
                one for p in procedures for one in confusions(analysis, p)
            ],
            "learning": [one for p in procedures if (one := learning(p))],
        }
        # Where every fold is one speaker, the first figure says it all.
        if len(analysis.speakers) > len(analysis.folds):
            pictures["speakers"] = [accuracy_by_speaker(analysis)]
    return pictures


def runs_by_fold(analysis):
    """Every run as a mark, by fold; the published figure as a line.

    Arguments
    ---------
    analysis : Analysis
        The numbers.

    Returns
    -------
    Picture
        A strip plot.
    """
    folds = analysis.folds
    figure = new_figure(WIDTH, 3.6)
    axes = figure.add_subplot()
    step = SLOT / len(analysis.procedures)
    for number, (procedure, series) in enumerate(_series(analysis)):
        row = analysis.published.get(procedure.name, {})
        for place, fold in enumerate(folds):
            left = place - SLOT / 2 + number * step
            _strip(axes, procedure, fold, left, step, *series)
            if fold in row:
                ends = left, left + step
                axes.hlines(row[fold], *ends, series[0], "dashed", lw=1.2)
    axes.axhline(100 * analysis.chance, color=GREY, lw=1, ls=":")
    for place, fold in enumerate(folds):
        if fold in (analysis.listeners or {}):
            ends = place - SLOT / 2, place + SLOT / 2
            score = analysis.listeners[fold]
            axes.hlines(score, *ends, INK, "dashdot", lw=0.9)
    _legend(axes, analysis)
    axes.set_xticks(range(len(folds)), [f"fold {fold}" for fold in folds])
    axes.set_xlim(-0.6, len(folds) - 0.4)
    axes.grid(visible=False, axis="x")
    axes.set_ylabel("unweighted accuracy (%)")
    said = "; ".join(
        f"{p.title}, mean {percent(p.scores['UA'])} %"
        for p in analysis.procedures
    )
    return Picture(
        "runs_by_fold",
        "Every run by fold. Bars: mean of the runs; crosses: discarded runs; "
        "dashed lines: the paper's figure, where it has one.",
        f"Strip plot of unweighted accuracy by fold. {said}.",
        figure,
    )


def _strip(axes, procedure, fold, left, step, colour, marker):
    """The runs of one procedure in one fold, side by side in their slot."""
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


def _legend(axes, analysis):
    """Names for what occurs, above the drawing."""
    for procedure, (colour, marker) in _series(analysis):
        axes.plot([], [], marker, color=colour, label=procedure.title)
    if analysis.published:
        axes.plot([], [], "--", color=INK, lw=1.2, label="paper")
    if analysis.listeners:
        axes.plot([], [], "-.", color=INK, lw=0.9, label="listeners (paper)")
    if any(p.discarded for p in analysis.procedures):
        axes.plot([], [], "x", color=INK, ms=4.5, label="discarded")
    axes.plot([], [], ":", color=GREY, lw=1, label="chance")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=4)


def _series(analysis):
    """Each procedure with its colour and mark."""
    return zip(analysis.procedures, cycle(SERIES))


def recall_by_class(analysis):
    """Recall of each class, pooled over folds, with intervals over clips.

    Arguments
    ---------
    analysis : Analysis
        The numbers.

    Returns
    -------
    Picture
        A dot plot.
    """
    values = [100 * p.scores["recall"] for p in analysis.procedures]
    ends = [100 * p.by_clip["recall"] for p in analysis.procedures]
    said = "; ".join(
        f"{p.title}: {_named(analysis.classes, p.scores['recall'])}"
        for p in analysis.procedures
    )
    return Picture(
        "recall",
        "Recall by class, pooled over folds and runs; bars: 95 % bootstrap "
        "intervals over clips; dotted: chance.",
        f"Dot plot of recall by class. {said}.",
        _dots(analysis, analysis.classes, values, ends, "recall (%)"),
    )


def _named(names, shares):
    """Shares with their names, for those who do not see the picture."""
    pairs = zip(names, shares)
    return ", ".join(f"{name} {percent(share)} %" for name, share in pairs)


def accuracy_by_speaker(analysis):
    """UA of each speaker, with the deviation over runs.

    Arguments
    ---------
    analysis : Analysis
        The numbers.

    Returns
    -------
    Picture
        A dot plot.
    """
    values, ends = [], []
    for procedure in analysis.procedures:
        found = procedure.speaker_accuracies()
        runs = [100 * np.array(found.get(s, [])) for s in analysis.speakers]
        means = np.array([r.mean() if r.size else np.nan for r in runs])
        spread = np.array([r.std(ddof=1) if r.size > 1 else 0 for r in runs])
        values.append(means)
        ends.append(np.stack([means - spread, means + spread]))
    label = "unweighted accuracy (%)"
    return Picture(
        "speakers",
        "UA by speaker, mean over runs; bars: deviation over runs; dotted: "
        "chance.",
        "Dot plot of unweighted accuracy by speaker; the table beside it has "
        "its figures.",
        _dots(analysis, analysis.speakers, values, ends, label),
    )


def _dots(analysis, names, values, ends, label):
    """A mark and a bar for each name and procedure."""
    figure = new_figure(WIDTH, 3.2)
    axes = figure.add_subplot()
    places = np.arange(len(names))
    step = 0.5 / len(values)
    for number, (procedure, (colour, marker)) in enumerate(_series(analysis)):
        value, (low, high) = values[number], ends[number]
        axes.errorbar(
            places + step * (number - (len(values) - 1) / 2),
            value, [value - low, high - value],
            fmt=marker, color=colour, ms=4.5, elinewidth=1.2,
            label=procedure.title,
        )  # fmt: skip
    axes.axhline(100 * analysis.chance, color=GREY, lw=1, ls=":")
    slant = {"rotation": 45, "ha": "right"} if len(names) > 10 else {}
    axes.set_xticks(places, names, **slant)
    axes.set_xlim(-0.6, len(names) - 0.4)
    axes.set_ylim(bottom=0)
    axes.set_ylabel(label)
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=4)
    return figure


def confusions(analysis, procedure):
    """Confusion matrices of a procedure: all folds, then each.

    Arguments
    ---------
    analysis : Analysis
        The numbers.
    procedure : Procedure
        Whose runs.

    Yields
    ------
    Picture
        A matrix.
    """
    classes = analysis.classes
    for fold in (None, *procedure.folds):
        matrix = procedure.confusion(classes, fold)
        where = "all folds" if fold is None else f"fold {fold}"
        count = sum(fold in (None, run.fold) for run in procedure.runs)
        title = f"{procedure.title}, {where}, {count} runs"
        parts = [] if fold is None else ["fold", fold]
        recall = np.diag(matrix) / np.maximum(matrix.sum(axis=1), 1)
        said = _named(classes, recall)
        yield Picture(
            file_name("confusion", procedure.name, *parts),
            title,
            f"Confusion matrix of {title}. Recall: {said}.",
            draw_confusion(matrix, classes, title),
            procedure.title,
        )


def learning(procedure):
    """Losses over epochs: one panel per stage, a thin line per run.

    Arguments
    ---------
    procedure : Procedure
        Whose runs.

    Returns
    -------
    Picture or None
        None where no run has a train_log.txt.
    """
    curves = learning_curves([run.folder for run in procedure.runs])
    if not curves:
        return None
    figure = new_figure(max(3.5, 2.4 * len(curves)), 2.5)
    panels = figure.subplots(1, len(curves), squeeze=False)[0]
    for axes, (stage, by_part) in zip(panels, curves.items()):
        for part, dashes in (("train", "-"), ("valid", "--")):
            lines = by_part.get(part, [])
            for line in lines:
                axes.plot(*line, dashes, color=GREY, lw=0.6, alpha=0.6)
            if lines:
                style = {"color": SERIES[0][0], "lw": 1.6, "label": part}
                axes.plot(*_mean_line(lines), dashes, **style)
        axes.set_title(stage.replace("_", " "))
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend()
    panels[0].set_ylabel("loss")
    stages = ", ".join(stage.replace("_", " ") for stage in curves)
    return Picture(
        file_name("learning", procedure.name),
        f"{procedure.title}: losses of each run (thin) and their mean.",
        f"Learning curves of {procedure.title}; stages: {stages}.",
        figure,
    )


def _mean_line(lines):
    """Mean over the runs that reached an epoch."""
    by_epoch = {}
    for epochs, losses in lines:
        for epoch, loss in zip(epochs, losses):
            by_epoch.setdefault(epoch, []).append(loss)
    epochs = sorted(by_epoch)
    return epochs, [np.mean(by_epoch[epoch]) for epoch in epochs]
