"""The tables of the report."""

from ser_brain.evaluation.calibration import (
    brier_score,
    expected_calibration_error,
)
from ser_brain.reporting.formats import (
    NOTHING,
    interval,
    mean_deviation,
    p_value,
    percent,
    shown,
    signed,
)
from ser_brain.reporting.table import Table, markdown, plain_markdown
from ser_brain.reporting.texts import TEXTS, notices
from ser_brain.results.frames import run_table

FEW_SPEAKERS = 10


def all_tables(analysis):
    """Build all tables of the report, by section.

    Arguments
    ---------
    analysis : Analysis
        The numbers.

    Returns
    -------
    dict
        Section -> Table. There is no section "comparisons" without a pair
        of procedures that share runs.
    """
    tables = {
        "accuracy": accuracy_table(analysis),
        "scores": scores_table(analysis),
        "recall": recall_table(analysis),
        "calibration": calibration_table(analysis),
        "speakers": speaker_table(analysis),
        "comparisons": comparison_table(analysis),
        "runs": plan_table(analysis),
        "machines": machine_table(analysis),
    }
    return {name: table for name, table in tables.items() if table.rows}


def worded_table(name, rows, columns=(), quiet=(), **known):
    """A table with its texts; ``columns`` are appended to the header."""
    said = TEXTS["tables"][name]
    header = [*said["header"], *columns]
    note = said["note"].format(**known)
    return Table(said["title"], header, rows, (note,), quiet=tuple(quiet))


def accuracy_table(analysis):
    """Procedures by fold, each above the paper's row."""
    folds = analysis.folds
    rows, quiet = [], []

    def add_quiet(name, cells):
        quiet.append(len(rows))
        rows.append([name, *cells])

    for procedure in analysis.procedures:
        cells = [mean_deviation(procedure.accuracies(fold)) for fold in folds]
        mean = _protocol_mean(procedure, len(folds))
        rows.append([procedure.title, *cells, mean])
        row = analysis.published.get(procedure.name)
        if row is not None:
            add_quiet(f"{procedure.title}, paper", _cited(row, folds))
    if analysis.listeners:
        add_quiet("listeners, paper", _cited(analysis.listeners, folds))
    add_quiet("chance", [percent(analysis.chance)] * (len(folds) + 1))
    columns = [*(f"fold {fold}" for fold in folds), "mean"]
    return worded_table("accuracy", rows, columns, quiet)


def _cited(row, folds):
    """A row of the paper; its mean is over all its folds."""
    whole = set(folds) == set(row) - {"mean"}
    mean = row["mean"] if whole else None
    return [shown(figure) for figure in (*map(row.get, folds), mean)]


def _protocol_mean(procedure, folds):
    """Mean over folds ± its deviation; number of folds if incomplete."""
    mean = percent(procedure.scores["UA"], procedure.deviation)
    found = len(procedure.folds)
    return mean if found == folds else f"{mean} ({found} of {folds} folds)"


def scores_table(analysis):
    """Each score of the protocol with both intervals."""
    names = {"UA": "UA", "WA": "WA", "macro_f1": "macro-F1"}
    rows = [
        [
            f"{procedure.title}, {said}",
            percent(procedure.scores[name]),
            interval(procedure.by_clip[name]),
            interval(procedure.by_speaker and procedure.by_speaker[name]),
        ]
        for procedure in analysis.procedures
        for name, said in names.items()
    ]
    return worded_table("scores", rows, few=few_speakers(analysis.speakers))


def few_speakers(speakers):
    """The warning about intervals over few speakers; empty for many."""
    count = len(speakers)
    if count >= FEW_SPEAKERS:
        return ""
    if count == 1:
        return TEXTS["one_speaker"].format(speaker=speakers[0])
    return TEXTS["few_speakers"].format(count=count)


def _by_procedure(name, rows, analysis, cell, **known):
    """A table with one column per procedure."""
    procedures = analysis.procedures
    cells = [[row, *(cell(p, row) for p in procedures)] for row in rows]
    return worded_table(name, cells, [p.title for p in procedures], **known)


def recall_table(analysis):
    """Recall of each class, pooled over folds."""
    classes = analysis.classes

    def cell(procedure, name):
        place = classes.index(name)
        ends = interval(procedure.by_clip["recall"][:, place])
        return f"{percent(procedure.scores['recall'][place])} ({ends})"

    chance = percent(analysis.chance)
    return _by_procedure("recall", classes, analysis, cell, chance=chance)


def calibration_table(analysis):
    """Calibration of the posteriors, pooled over folds."""
    classes = analysis.classes
    rows = []
    for procedure in analysis.procedures:
        clips = procedure.clips
        posteriors = clips[classes].to_numpy()
        truth = clips["label"].map(classes.index).to_numpy()
        rows.append(
            [
                procedure.title,
                percent(posteriors.max(axis=1).mean()),
                percent((posteriors.argmax(axis=1) == truth).mean()),
                percent(expected_calibration_error(posteriors, truth)),
                f"{brier_score(posteriors, truth):.3f}",
            ]
        )
    uniform = f"{1 - 1 / len(classes):.3f}"
    return worded_table("calibration", rows, uniform=uniform)


def speaker_table(analysis):
    """UA of each speaker's clips."""
    found = {p.name: p.speaker_accuracies() for p in analysis.procedures}

    def cell(procedure, speaker):
        return mean_deviation(found[procedure.name].get(speaker, []))

    return _by_procedure("speakers", analysis.speakers, analysis, cell)


def comparison_table(analysis):
    """Paired tests of all pairs of procedures."""
    rows = [
        [
            one["pair"],
            signed(one["difference"]),
            str(one["runs"]),
            p_value(one["p"]),
            p_value(one["p_holm"]),
            f"{one['only_first']} / {one['only_second']}",
            p_value(one["p_mcnemar"]),
            p_value(one["p_mcnemar_holm"]),
        ]
        for one in analysis.comparisons
    ]
    return worded_table("comparisons", rows)


def plan_table(analysis):
    """Runs behind the means, and means with and without discarded ones."""
    rows = [
        [
            procedure.title,
            str(procedure.plan.planned_runs) if procedure.plan else NOTHING,
            str(len(procedure.runs)),
            _runs(procedure.discarded) or "none",
            percent(procedure.scores["UA"]),
            percent(procedure.mean_with_discarded),
        ]
        for procedure in analysis.procedures
    ]
    spares = "".join(
        f" Left out, being no run of the plan: {p.title}, {_runs(p.spare)}."
        for p in analysis.procedures
        if p.spare
    )
    known = {"protocols": _protocols(analysis), "spares": spares}
    return worded_table("runs", rows, **known)


def _protocols(analysis):
    """Repeat mode and outlier rule, given once if all procedures agree."""
    repeats, outliers = TEXTS["repeats"], TEXTS["outliers"]
    said = {
        p.title: f"Repeats: {repeats[p.repeat]}. "
        f"Outliers: {outliers[p.plan.outliers if p.plan else None]}."
        for p in analysis.procedures
    }
    if len(set(said.values())) == 1:
        return next(iter(said.values()))
    return " ".join(f"{name}. {sentence}" for name, sentence in said.items())


def _runs(runs):
    """Runs by fold and seed, with their score."""
    return ", ".join(
        f"{run.fold} {run.seed}: {percent(run.metrics['UA'])}" for run in runs
    )


def machine_table(analysis):
    """Machines and software of the runs."""
    rows = []
    for procedure in analysis.procedures:
        runs = run_table(procedure.runs)
        machine = runs.reindex(columns=["device", "precision"]).fillna(NOTHING)
        seconds = runs.filter(regex=r"^wall_seconds\.").sum(axis=None)
        packages = runs.filter(regex=r"^versions\.").sort_index(axis=1)
        versions = packages.rename(columns=lambda c: c.partition(".")[2])
        said = "; ".join(
            f"{n} {_distinct(v.dropna())}" for n, v in versions.items()
        )
        cells = [_distinct(machine[name]) for name in machine]
        rows.append([procedure.title, *cells, f"{seconds / 3600:.1f}", said])
    return worded_table("machines", rows)


def _distinct(values):
    """Different values, in order."""
    return ", ".join(sorted(set(map(str, values))))


def report_markdown(analysis, tables):
    """The whole report without its pictures, as Markdown.

    Arguments
    ---------
    analysis : Analysis
        The numbers.
    tables : dict
        As :func:`all_tables` returns them.

    Returns
    -------
    str
        Ends with a newline.
    """
    lines = [f"## {plain_markdown(title(analysis))}", ""]
    told = map(plain_markdown, notices(analysis.corpus, analysis.scale))
    lines += [f"**{sentence}**\n" for sentence in told]
    if analysis.missing:
        lines += ["**INCOMPLETE:**", ""]
        missing = map(plain_markdown, analysis.missing)
        lines += [f"- {sentence}" for sentence in missing] + [""]
    sections = [markdown(one, "### {}", "") for one in tables.values()]
    return "\n".join([*lines, "\n\n".join(sections), ""])


def title(analysis):
    """Title of the report."""
    mark = "INCOMPLETE: " if analysis.missing else ""
    return f"{mark}{analysis.corpus}, {analysis.scale} scale"
