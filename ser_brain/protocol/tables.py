"""The paper's tables, its figures beside ours.

Pure functions from scores to a :class:`~ser_brain.protocol.rendering.Table`:
what ran, and where, is the business of ``table_command``. Accuracies are UA
in percent; a cell of ours is the mean over runs ± their standard deviation.
"""

from ser_brain.evaluation import published
from ser_brain.protocol.cells import (
    NOTHING,
    Scores,
    difference,
    figure,
    mean_figure,
    ratio,
    shown,
)
from ser_brain.protocol.rendering import Table

UNDEFINED = "n/a"
# Parts of the training part, each half of the next (Table 4).
SHARES = (1 / 8, 1 / 4, 1 / 2, 1.0)
RATIO = "(TAPT − V-FT) / (P-TAPT − V-FT)"
LOSS_HEADER = (
    "",
    "clips",
    "s / clip",
    "masked frames / clip",
    "loss / clip",
    "paper",
    "ours − paper",
    "loss / masked frame",
    "accuracy %",
)


def published_row(corpus, procedure, folds):
    """The paper's figures by fold; its mean, if the folds are all of them.

    Example
    -------
    >>> published_row("SAVEE", "vft", ["DC", "JE"])
    {'DC': 75.2, 'JE': 78.8}
    """
    row = published.PUBLISHED[corpus, procedure]
    names = [*folds, "mean"] if {*folds, "mean"} == set(row) else folds
    return {name: row[name] for name in names if name in row}


def _procedure_rows(name, ours, cells, paper):
    """The rows of one procedure: paper, ours, difference."""
    rows = [
        (f"{name}, paper", *(shown(paper.get(column)) for column in cells)),
        (
            f"{name}, {ours}",
            *(shown(cell.mean, cell.deviation) for cell in cells.values()),
        ),
        (
            f"{name}, {ours} − paper",
            *(
                shown(difference(cell.mean, paper.get(column)))
                for column, cell in cells.items()
            ),
        ),
    ]
    if any(cell.discarded for cell in cells.values()):
        rows.append(
            (
                f"{name}, {ours}, with discarded runs",
                *(
                    shown(cell.mean_of_all, cell.deviation_of_all)
                    for cell in cells.values()
                ),
            )
        )
    return rows


def _procedure_records(row, cells, paper):
    """The same, a dict a figure."""
    return [
        {
            "row": row,
            "column": column,
            "paper": paper.get(column),
            "ours": cell.mean,
            "deviation": cell.deviation,
            "difference": difference(cell.mean, paper.get(column)),
            "runs": cell.runs,
            "discarded": cell.discarded,
            "ours_with_discarded": cell.mean_of_all,
            "deviation_with_discarded": cell.deviation_of_all,
        }
        for column, cell in cells.items()
    ]


def _cited_records(row, figures):
    """Figures of the paper that nothing of ours stands beside."""
    empty = figure(Scores())
    return _procedure_records(row, dict.fromkeys(figures, empty), figures)


def accuracy_table(number, corpus, shown_as, folds, scores, notes):
    """Tables 1 and 2: three procedures by fold, and their mean.

    Arguments
    ---------
    number : int
        1 or 2.
    corpus : str
        "IEMOCAP" or "SAVEE": whose figures of the paper stand beside.
    shown_as : tuple of str
        What the title calls the corpus, and what ours is: ("mini-SAVEE",
        "ours (nano)").
    folds : sequence of str
        The folds that were planned.
    scores : dict
        (procedure, fold) -> Scores.
    notes : sequence of str
        What stands below.

    Returns
    -------
    Table
        The mean is over the planned folds; it stands beside the paper's only
        where these are all of the paper's.
    """
    name, ours = shown_as
    rows, records = [], []
    for procedure, title in published.PROCEDURES.items():
        paper = published_row(corpus, procedure, folds)
        cells = {
            fold: figure(scores.get((procedure, fold), Scores()))
            for fold in folds
        }
        cells["mean"] = mean_figure(list(cells.values()))
        rows += _procedure_rows(title, ours, cells, paper)
        records += _procedure_records(procedure, cells, paper)
    human = published.PUBLISHED.get((corpus, "human"))
    if human is not None:
        columns = [*folds, "mean"]
        rows.append(
            ("human, paper", *(shown(human.get(key)) for key in columns))
        )
        records += _cited_records("human", human)
    return Table(
        f"Table {number}: {name}, UA in percent by fold, {ours}",
        ("", *folds, "mean"),
        tuple(rows),
        tuple(notes),
        tuple(records),
    )


def data_size_table(shown_as, scores, hours, notes):
    """Table 4: one fold, its training part halved again and again.

    Arguments
    ---------
    shown_as : tuple of str
        As ``accuracy_table`` takes it.
    scores : dict
        (procedure, share) -> Scores.
    hours : dict
        share -> audio of the training clips that were drawn, in hours;
        shares of which nothing has run are absent.
    notes : sequence of str
        What stands below.

    Returns
    -------
    Table
        The last rows are the share of P-TAPT's gain that TAPT reaches.
    """
    name, ours = shown_as
    paper_hours = dict(zip(SHARES, published.DATA_SIZE_HOURS, strict=True))
    rows = [
        ("hours, paper", *(f"{value:g}" for value in paper_hours.values())),
        (
            f"hours, {ours}",
            *(
                f"{hours[share]:.2f}" if share in hours else NOTHING
                for share in SHARES
            ),
        ),
    ]
    records, means = [], {}
    for procedure, title in published.PROCEDURES.items():
        paper = dict(zip(SHARES, published.DATA_SIZE[procedure], strict=True))
        cells = {
            share: figure(scores.get((procedure, share), Scores()))
            for share in SHARES
        }
        means[procedure] = [cell.mean for cell in cells.values()]
        rows += _procedure_rows(title, ours, cells, paper)
        records += _procedure_records(procedure, cells, paper)
    ratios = [ratio(*values) for values in zip(*means.values())]
    rows += _ratio_rows(ours, ratios)
    records += _ratio_records(ratios)
    fold = published.DATA_SIZE_FOLD
    return Table(
        f"Table 4: {name}, fold {fold}, UA in percent by share of the "
        f"training clips, {ours}",
        ("", *(share_name(share) for share in SHARES)),
        tuple(rows),
        tuple(notes),
        tuple(dict(one, hours=hours.get(one["column"])) for one in records),
    )


def share_name(share):
    """A share as people write it.

    Example
    -------
    >>> [share_name(share) for share in SHARES]
    ['1/8', '1/4', '1/2', '1']
    """
    return "1" if share == 1 else f"1/{1 / share:g}"


def _ratio_rows(ours, ratios):
    pairs = list(zip(ratios, published.DATA_SIZE_RATIO, strict=True))
    return [
        (f"{RATIO} in %, paper", *(shown(paper) for _, paper in pairs)),
        (
            f"{RATIO} in %, {ours}",
            *(shown(value, empty=UNDEFINED) for value, _ in pairs),
        ),
        (
            f"{RATIO} in %, {ours} − paper",
            *(shown(difference(*pair), empty=UNDEFINED) for pair in pairs),
        ),
    ]


def _ratio_records(ratios):
    records = _cited_records(
        "ratio", dict(zip(SHARES, published.DATA_SIZE_RATIO, strict=True))
    )
    return [
        dict(one, ours=value, difference=difference(value, one["paper"]))
        for one, value in zip(records, ratios, strict=True)
    ]


def systems_table(shown_as, folds, scores, notes):
    """Table 5: other systems, cited, and our three rows, measured.

    Arguments
    ---------
    shown_as, folds, scores, notes
        As ``accuracy_table`` takes them.

    Returns
    -------
    Table
        Sources are numbered in the notes.
    """
    name, ours = shown_as
    rows, records, sources = [], [], []
    for number, system in enumerate(published.OTHER_SYSTEMS, start=1):
        row = (f"{system.name} [{number}]", system.modality, shown(system.ua))
        rows.append((*row, NOTHING, NOTHING))
        records += _cited_records(system.name, {"mean": system.ua})
        sources.append(f"[{number}] cited, not measured here: {system.source}.")
    for procedure, title in published.PROCEDURES.items():
        paper = published_row("IEMOCAP", procedure, folds)
        cell = mean_figure(
            [figure(scores.get((procedure, fold), Scores())) for fold in folds]
        )
        rows += _system_rows(title, cell, paper.get("mean"))
        records += _procedure_records(procedure, {"mean": cell}, paper)
    return Table(
        f"Table 5: {name}, mean UA in percent over folds, {ours}",
        ("", "modality", "paper", ours, f"{ours} − paper"),
        tuple(rows),
        (*notes, *sources),
        tuple(records),
    )


def _system_rows(title, cell, paper):
    """Our row of Table 5, and the one with the discarded runs."""
    means = [(title, cell.mean, cell.deviation)]
    if cell.discarded:
        name = f"{title}, with discarded runs"
        means.append((name, cell.mean_of_all, cell.deviation_of_all))
    return [
        (
            name,
            "audio",
            shown(paper),
            shown(mean, deviation),
            shown(difference(mean, paper)),
        )
        for name, mean, deviation in means
    ]


def loss_table(ours, summaries, notes):
    """Table 3: pretraining loss of the unadapted model.

    Arguments
    ---------
    ours : str
        What ours is: "ours (nano)".
    summaries : dict
        Name of the folder -> what ``summarize_losses`` answered. Names of
        the paper's table get its figure beside theirs.
    notes : sequence of str
        What stands below.

    Returns
    -------
    Table
        Rows of the paper that were not measured come last.
    """
    empty = dict.fromkeys(next(iter(summaries.values())))
    unmeasured = [
        name for name in published.PRETRAINING_LOSS if name not in summaries
    ]
    rows, records = [], []
    for name, one in {**summaries, **dict.fromkeys(unmeasured, empty)}.items():
        paper = published.PRETRAINING_LOSS.get(name)
        gap = difference(one["loss"], paper)
        rows.append(_loss_row(name, one, paper, gap))
        records.append({"row": name, "paper": paper, "difference": gap, **one})
    return Table(
        f"Table 3: pretraining loss of the unadapted model, {ours}",
        LOSS_HEADER,
        tuple(rows),
        tuple(notes),
        tuple(records),
    )


def _loss_row(name, one, paper, gap):
    """Cells in the order of the header."""
    accuracy = None if one["accuracy"] is None else 100 * one["accuracy"]
    return (
        name,
        shown(one["clips"], decimals=0),
        shown(one["seconds"], decimals=2),
        shown(one["masked"]),
        shown(one["loss"], decimals=2),
        shown(paper, decimals=2),
        shown(gap, decimals=2),
        shown(one["loss_per_frame"], decimals=3),
        shown(accuracy),
    )
