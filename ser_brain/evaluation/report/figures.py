"""The drawings of the report."""

import numpy as np
from matplotlib import rc_context
from matplotlib.ticker import MaxNLocator

from ser_brain.evaluation.figures import draw_confusion
from ser_brain.evaluation.report.learning import learning_curves
from ser_brain.evaluation.report.pictures import (
    GREY,
    INK,
    SERIES,
    STYLE,
    Picture,
    file_name,
    new_figure,
)
from ser_brain.evaluation.report.tables import percent
from ser_brain.evaluation.report.trials import (
    pooled_confusion,
    speaker_accuracies,
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
    with rc_context(STYLE):
        pictures = {
            "runs": [runs_by_fold(analysis)],
            "recall": [recall_by_class(analysis)],
            "speakers": [],
            "confusion": [
                picture
                for procedure in analysis.procedures
                for picture in confusions(analysis, procedure)
            ],
            "learning": [
                picture
                for procedure in analysis.procedures
                if (picture := learning(procedure)) is not None
            ],
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
    figure = new_figure(WIDTH, 3.6)
    axes = figure.add_subplot()
    step = SLOT / len(analysis.procedures)
    for number, procedure in enumerate(analysis.procedures):
        colour, marker = SERIES[number % len(SERIES)]
        row = analysis.published.get(procedure.name, {})
        for place, fold in enumerate(analysis.folds):
            left = place - SLOT / 2 + number * step
            _strip(axes, procedure, fold, left, step, colour, marker)
            if fold in row:
                axes.hlines(
                    row[fold], left, left + step, colour, "dashed", lw=1.2
                )
    _guides(axes, analysis)
    _legend(axes, analysis)
    axes.set_xticks(
        range(len(analysis.folds)), [f"fold {f}" for f in analysis.folds]
    )
    axes.set_xlim(-0.6, len(analysis.folds) - 0.4)
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
    kept = [100 * value for value in procedure.accuracies(fold)]
    out = [
        100 * run.metrics["UA"]
        for run in procedure.discarded
        if run.fold == fold
    ]
    places = left + step * np.linspace(0.2, 0.8, len(kept) + len(out) + 2)[1:-1]
    axes.plot(
        places[: len(kept)],
        kept,
        marker,
        color=colour,
        ms=3.2,
        alpha=0.65,
        mew=0,
    )
    axes.plot(places[len(kept) :], out, "x", color=colour, ms=4.5, mew=1)
    if kept:
        inner = (left + 0.08 * step, left + 0.92 * step)
        axes.hlines(np.mean(kept), *inner, colour, "solid", lw=2)


def _guides(axes, analysis):
    """Chance, and human listeners where the paper has them."""
    axes.axhline(100 * analysis.chance, color=GREY, lw=1, ls=":")
    if analysis.listeners:
        for place, fold in enumerate(analysis.folds):
            if fold in analysis.listeners:
                ends = (place - SLOT / 2, place + SLOT / 2)
                axes.hlines(
                    analysis.listeners[fold], *ends, INK, "dashdot", lw=0.9
                )


def _legend(axes, analysis):
    """Names for what occurs, above the drawing."""
    for number, procedure in enumerate(analysis.procedures):
        colour, marker = SERIES[number % len(SERIES)]
        axes.plot([], [], marker, color=colour, label=procedure.title)
    if analysis.published:
        axes.plot([], [], "--", color=INK, lw=1.2, label="paper")
    if analysis.listeners:
        axes.plot([], [], "-.", color=INK, lw=0.9, label="listeners (paper)")
    if any(p.discarded for p in analysis.procedures):
        axes.plot([], [], "x", color=INK, ms=4.5, label="discarded")
    axes.plot([], [], ":", color=GREY, lw=1, label="chance")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=4)


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
    figure = _dots(analysis, analysis.classes, values, ends, "recall (%)")
    said = "; ".join(
        f"{p.title}: "
        + ", ".join(
            f"{name} {percent(value)} %"
            for name, value in zip(analysis.classes, p.scores["recall"])
        )
        for p in analysis.procedures
    )
    return Picture(
        "recall",
        "Recall by class, pooled over folds and runs; bars: 95 % bootstrap "
        "intervals over clips; dotted: chance.",
        f"Dot plot of recall by class. {said}.",
        figure,
    )


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
        found = speaker_accuracies(procedure)
        runs = [100 * np.array(found.get(s, [])) for s in analysis.speakers]
        means = np.array([r.mean() if r.size else np.nan for r in runs])
        spread = np.array([r.std(ddof=1) if r.size > 1 else 0 for r in runs])
        values.append(means)
        ends.append(np.stack([means - spread, means + spread]))
    return Picture(
        "speakers",
        "UA by speaker, mean over runs; bars: deviation over runs; dotted: "
        "chance.",
        "Dot plot of unweighted accuracy by speaker; the table beside it has "
        "its figures.",
        _dots(
            analysis, analysis.speakers, values, ends,
            "unweighted accuracy (%)",
        ),
    )  # fmt: skip


def _dots(analysis, names, values, ends, label):
    """A mark and a bar for each name and procedure."""
    figure = new_figure(WIDTH, 3.2)
    axes = figure.add_subplot()
    places = np.arange(len(names))
    step = 0.5 / len(values)
    for number, (value, (low, high)) in enumerate(zip(values, ends)):
        colour, marker = SERIES[number % len(SERIES)]
        axes.errorbar(
            places + step * (number - (len(values) - 1) / 2),
            value, [value - low, high - value],
            fmt=marker, color=colour, ms=4.5, elinewidth=1.2,
            label=analysis.procedures[number].title,
        )  # fmt: skip
    axes.axhline(100 * analysis.chance, color=GREY, lw=1, ls=":")
    slant = 45 if len(names) > 10 else 0
    axes.set_xticks(
        places, names, rotation=slant, ha="right" if slant else "center"
    )
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
    for fold in (None, *procedure.folds):
        matrix = pooled_confusion(procedure, analysis.classes, fold)
        where = "all folds" if fold is None else f"fold {fold}"
        runs = [r for r in procedure.runs if fold in (None, r.fold)]
        title = f"{procedure.title}, {where}, {len(runs)} runs"
        parts = [] if fold is None else ["fold", fold]
        recall = np.diag(matrix) / np.maximum(matrix.sum(axis=1), 1)
        said = ", ".join(
            f"{name} {percent(share)} %"
            for name, share in zip(analysis.classes, recall)
        )
        yield Picture(
            file_name("confusion", procedure.name, *parts),
            title,
            f"Confusion matrix of {title}. Recall: {said}.",
            draw_confusion(matrix, analysis.classes, title),
            procedure.title,
        )


def learning(procedure):
    """Losses over epochs: a panel a stage, a thin line a run.

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
                axes.plot(
                    *_mean_line(lines), dashes, color=SERIES[0][0], lw=1.6,
                    label=part,
                )  # fmt: skip
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
