"""The paper's tables: its figures beside ours.

Pure functions from scores to a :class:`~ser_brain.reporting.table.Table`.
The runs are planned by :mod:`ser_brain.plans.paper`. Accuracies are UA in
percent; our cells are the mean over runs ± their standard deviation.
"""

from ser_brain.reporting import published
from ser_brain.reporting.cells import (
    Scores,
    difference,
    figure,
    mean_figure,
    ratio,
)
from ser_brain.reporting.formats import NOTHING, shown
from ser_brain.reporting.table import Table
from ser_brain.reporting.texts import TEXTS

UNDEFINED = "n/a"
# Shares of the training part, each half of the next (Table 4).
SHARES = (1 / 8, 1 / 4, 1 / 2, 1.0)
RATIO = "(TAPT − V-FT) / (P-TAPT − V-FT) in %"
# Columns of Table 3: title, key of a summary, decimals.
LOSS_COLUMNS = (
    ("clips", "clips", 0),
    ("s / clip", "seconds", 2),
    ("masked frames / clip", "masked", 1),
    ("loss / clip", "loss", 2),
    ("paper", "paper", 2),
    ("ours − paper", "difference", 2),
    ("loss / masked frame", "loss_per_frame", 3),
    ("accuracy %", "percent", 1),
)


def published_row(corpus, procedure, folds):
    """The paper's figures by fold, and their mean if all folds are requested.

    Example
    -------
    >>> published_row("SAVEE", "vft", ["DC", "JE"])
    {'DC': 75.2, 'JE': 78.8}
    """
    row = published.PUBLISHED[corpus, procedure]
    names = [*folds, "mean"] if {*folds, "mean"} == set(row) else folds
    return {name: row[name] for name in names if name in row}


def _cells(scores, procedure, columns):
    """Cells of one procedure by column."""
    return {
        name: figure(scores.get((procedure, name), Scores()))
        for name in columns
    }


def _records(row, cells, paper):
    """One dict per figure, unrounded."""
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


def _cited(row, figures):
    """Figures of the paper without one of ours."""
    return _records(row, dict.fromkeys(figures, figure(Scores())), figures)


def _rows(title, ours, records, empty=NOTHING):
    """The paper's row, ours and their difference, as printed."""
    lines = [
        (f"{title}, paper", "paper", None),
        (f"{title}, {ours}", "ours", "deviation"),
        (f"{title}, {ours} − paper", "difference", None),
    ]
    if any(one["discarded"] for one in records):
        keys = "ours_with_discarded", "deviation_with_discarded"
        lines.append((f"{title}, {ours}, with discarded runs", *keys))
    return [
        (name, *(shown(r[key], r.get(spread), empty=empty) for r in records))
        for name, key, spread in lines
    ]


def accuracy_table(number, corpus, shown_as, folds, scores, notes):
    """Tables 1 and 2: three procedures by fold, and their mean.

    Arguments
    ---------
    number : int
        1 or 2.
    corpus : str
        "IEMOCAP" or "SAVEE": the corpus of the paper's figures.
    shown_as : tuple of str
        Name of the corpus in the title, and name of our figures:
        ("mini-SAVEE", "ours (nano)").
    folds : sequence of str
        The folds that were planned.
    scores : dict
        (procedure, fold) -> Scores.
    notes : sequence of str
        Sentences below the table.

    Returns
    -------
    Table
        The mean is over the planned folds. It is compared with the paper's
        only if these are all of the paper's folds.
    """
    name, ours = shown_as
    rows, records = [], []
    for procedure, title in published.PROCEDURES.items():
        cells = _cells(scores, procedure, folds)
        cells["mean"] = mean_figure(list(cells.values()))
        paper = published_row(corpus, procedure, folds)
        own = _records(procedure, cells, paper)
        rows += _rows(title, ours, own)
        records += own
    human = published.PUBLISHED.get((corpus, "human"))
    if human is not None:
        cells = [shown(human.get(key)) for key in (*folds, "mean")]
        rows.append(("human, paper", *cells))
        records += _cited("human", human)
    title = f"Table {number}: {name}, UA in percent by fold, {ours}"
    return Table(title, ("", *folds, "mean"), rows, tuple(notes), records)


def data_size_table(shown_as, scores, hours, notes):
    """Table 4: one fold, with its training part halved repeatedly.

    Arguments
    ---------
    shown_as : tuple of str
        As for :func:`accuracy_table`.
    scores : dict
        (procedure, share) -> Scores.
    hours : dict
        Share -> hours of audio of the drawn training clips. Shares without
        runs are absent.
    notes : sequence of str
        Sentences below the table.

    Returns
    -------
    Table
        The last rows are the fraction of P-TAPT's gain that TAPT reaches.
    """
    name, ours = shown_as
    rows = [
        ("hours, paper", *(f"{one:g}" for one in published.DATA_SIZE_HOURS)),
        (
            f"hours, {ours}",
            *(shown(hours.get(share), decimals=2) for share in SHARES),
        ),
    ]
    records, means = [], []
    for procedure, title in published.PROCEDURES.items():
        paper = dict(zip(SHARES, published.DATA_SIZE[procedure], strict=True))
        own = _records(procedure, _cells(scores, procedure, SHARES), paper)
        rows += _rows(title, ours, own)
        records += own
        means.append([one["ours"] for one in own])
    paper = dict(zip(SHARES, published.DATA_SIZE_RATIO, strict=True))
    ratios = _cited("ratio", paper)
    for one, values in zip(ratios, zip(*means)):
        one["ours"] = ratio(*values)
        one["difference"] = difference(one["ours"], one["paper"])
    rows += _rows(RATIO, ours, ratios, empty=UNDEFINED)
    return Table(
        f"Table 4: {name}, fold {published.DATA_SIZE_FOLD}, UA in percent by "
        f"share of the training clips, {ours}",
        ("", *map(share_name, SHARES)),
        rows,
        tuple(notes),
        [one | {"hours": hours.get(one["column"])} for one in records + ratios],
    )


def share_name(share):
    """Format a share.

    Example
    -------
    >>> [share_name(share) for share in SHARES]
    ['1/8', '1/4', '1/2', '1']
    """
    return "1" if share == 1 else f"1/{1 / share:g}"


def systems_table(shown_as, folds, scores, notes):
    """Table 5: other systems and our three procedures.

    Arguments
    ---------
    shown_as, folds, scores, notes
        As for :func:`accuracy_table`.

    Returns
    -------
    Table
        The publications of the other systems are numbered in the notes.
    """
    name, ours = shown_as
    rows, records, notes = [], [], list(notes)
    for number, system in enumerate(published.OTHER_SYSTEMS, start=1):
        paper = {"mean": system["ua"]}
        own = _mean_record(system["procedure"], paper, folds, scores)
        records.append(own)
        title = f"{system['name']} [{number}]"
        if "ours" in system:
            title = f"{title}; ours: {system['ours']}"
        rows += _system_rows(title, system["modality"], own)
        told = TEXTS["paper"]["system"].format(number=number, **system)
        notes.append(told)
    for procedure, title in published.PROCEDURES.items():
        paper = published_row("IEMOCAP", procedure, folds)
        own = _mean_record(procedure, paper, folds, scores)
        records.append(own)
        rows += _system_rows(title, "audio", own)
    return Table(
        f"Table 5: {name}, mean UA in percent over folds, {ours}",
        ("", "modality", "paper", ours, f"{ours} − paper"),
        rows,
        tuple(notes),
        records,
    )


def _mean_record(procedure, paper, folds, scores):
    """The one figure of a procedure in Table 5, unrounded."""
    cells = _cells(scores, procedure, folds).values()
    [own] = _records(procedure, {"mean": mean_figure(list(cells))}, paper)
    return own


def _system_rows(title, modality, one):
    """Our row of Table 5, and the one with the discarded runs."""
    means = [(title, one["ours"], one["deviation"])]
    if one["discarded"]:
        both = one["ours_with_discarded"], one["deviation_with_discarded"]
        means.append((f"{title}, with discarded runs", *both))
    paper = one["paper"]
    return [
        (name, modality, shown(paper), shown(mean, deviation),
         shown(difference(mean, paper)))
        for name, mean, deviation in means
    ]  # fmt: skip


def loss_table(ours, summaries, notes):
    """Table 3: pretraining loss of the unadapted model.

    Arguments
    ---------
    ours : str
        Name of our figures: "ours (nano)".
    summaries : dict
        Name of the folder -> what ``summarize_losses`` returned. Names in the
        paper's table are shown with its figure.
    notes : sequence of str
        Sentences below the table.

    Returns
    -------
    Table
        Rows of the paper that were not measured come last.
    """
    empty = dict.fromkeys(next(iter(summaries.values())))
    everything = dict.fromkeys([*summaries, *published.PRETRAINING_LOSS], empty)
    rows, records = [], []
    for name, one in {**everything, **summaries}.items():
        paper = published.PRETRAINING_LOSS.get(name)
        gap = difference(one["loss"], paper)
        one = {"row": name, "paper": paper, "difference": gap, **one}
        records.append(one)
        hits = one["accuracy"]
        values = one | {"percent": None if hits is None else 100 * hits}
        cells = [shown(values[k], decimals=d) for _, k, d in LOSS_COLUMNS]
        rows.append((name, *cells))
    return Table(
        f"Table 3: pretraining loss of the unadapted model, {ours}",
        ("", *(title for title, _, _ in LOSS_COLUMNS)),
        rows,
        tuple(notes),
        records,
    )
