"""The tables of the report, and what must be said about them."""

from ser_brain.reporting.formats import (
    NOTHING,
    interval,
    mean_deviation,
    p_value,
    percent,
    shown,
)
from ser_brain.reporting.table import Table, markdown, plain_markdown

FEW_SPEAKERS = 10
REPEATS = {
    "all": "every run repeats all stages, as in the paper",
    "finetune": "runs share one adaptation and repeat the fine-tuning, as the "
    "released code does",
    None: "not recorded",
}
OUTLIERS = {
    "rerun": "runs outside two deviations of their fold's mean are discarded "
    "and run again",
    "keep": "every run is kept",
    None: "not recorded",
}


def notices(corpus, scale):
    """What a reader must know before any figure.

    Arguments
    ---------
    corpus, scale : str
        Of the runs.

    Returns
    -------
    list of str
        Sentences; empty for full scale on a real corpus.

    Example
    -------
    >>> notices("SAVEE", "full"), notices("SAVEE", "full-debug")
    ([], ['These runs were cut short by --debug.'])
    """
    found = []
    kind = scale.split("-")[0]
    if kind != "full":
        found.append(
            f"{kind.capitalize()} scale: these are figures of the small "
            "embedded models, which check the pipeline. They are not results "
            "of wav2vec 2.0 base, and their difference from published figures "
            "does not compare methods."
        )
    if corpus.startswith("mini-"):
        found.append(
            f"{corpus} is the embedded mini corpus in the layout of "
            f"{corpus.removeprefix('mini-')}: its figures say nothing about "
            "emotion."
        )
    if "debug" in scale:
        found.append("These runs were cut short by --debug.")
    return found


def all_tables(analysis):
    """Every table, by the section that it stands in.

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
        "speakers": speaker_table(analysis),
        "comparisons": comparison_table(analysis),
        "runs": run_table(analysis),
        "machines": machine_table(analysis),
    }
    return {name: table for name, table in tables.items() if table.rows}


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
    return Table(
        "Unweighted accuracy by fold (%)",
        ["", *[f"fold {fold}" for fold in folds], "mean"],
        rows,
        (
            "Cells: mean over runs ± sample deviation over runs. Mean: over "
            "folds, ± its deviation from one repetition of all folds to the "
            "next.",
        ),
        quiet=tuple(quiet),
    )


def _cited(row, folds):
    """A row of the paper; its mean is of all its folds."""
    whole = set(folds) == set(row) - {"mean"}
    return [*(shown(row.get(f)) for f in folds),
            shown(row["mean"] if whole else None)]  # fmt: skip


def _protocol_mean(procedure, folds):
    """Mean over folds ± its deviation, and of how many if some lack."""
    mean, deviation = percent(procedure.scores["UA"]), procedure.deviation
    if deviation is not None:
        mean = f"{mean} ± {percent(deviation)}"
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
            interval(procedure.by_speaker[name]),
        ]
        for procedure in analysis.procedures
        for name, said in names.items()
    ]
    note = (
        "Means over folds of means over runs. Intervals: percentile "
        "bootstrap. Over clips: other clips of the same speakers; over "
        "speakers: other speakers."
    )
    count = len(analysis.speakers)
    if count < FEW_SPEAKERS:
        note += (
            f" There are {count} speakers: an interval over so few is coarse "
            "and, as a rule, too narrow. Read it as a warning, not as a "
            "measurement."
        )
    head = ["score", "%", "95 % over clips", "95 % over speakers"]
    return Table("Scores with intervals", head, rows, (note,))


def _by_procedure(title, corner, names, analysis, cell, note):
    """A table with one column per procedure, and a row for each name."""
    procedures = analysis.procedures
    rows = [[name, *(cell(p, name) for p in procedures)] for name in names]
    return Table(title, [corner, *(p.title for p in procedures)], rows, (note,))


def recall_table(analysis):
    """Recall of each class, pooled over folds."""
    classes = analysis.classes

    def cell(procedure, name):
        place = classes.index(name)
        ends = interval(procedure.by_clip["recall"][:, place])
        return f"{percent(procedure.scores['recall'][place])} ({ends})"

    note = (
        "Pooled over folds and runs; in brackets 95 % over clips. Chance is "
        f"{percent(analysis.chance)}."
    )
    title = "Recall by class (%)"
    return _by_procedure(title, "class", classes, analysis, cell, note)


def speaker_table(analysis):
    """UA of each speaker's clips."""
    found = {p.name: p.speaker_accuracies() for p in analysis.procedures}

    def cell(procedure, speaker):
        return mean_deviation(found[procedure.name].get(speaker, []))

    note = "Mean over runs ± sample deviation over runs."
    title, names = "Unweighted accuracy by speaker (%)", analysis.speakers
    return _by_procedure(title, "speaker", names, analysis, cell, note)


def comparison_table(analysis):
    """Paired tests of all pairs of procedures."""
    rows = [
        [
            one["pair"],
            f"{100 * one['difference']:+.1f}".replace("-", "−"),
            str(one["runs"]),
            p_value(one["p"]),
            p_value(one["p_holm"]),
            f"{one['only_first']} / {one['only_second']}",
            p_value(one["p_mcnemar"]),
            p_value(one["p_mcnemar_holm"]),
        ]
        for one in analysis.comparisons
    ]
    head = ["pair", "difference in UA", "paired runs", "p, randomisation"]
    head += ["p, Holm", "only first / only second right"]
    head += ["p, McNemar", "p, Holm"]
    note = (
        "Runs of the same fold and seed pair up; others are left out of this "
        "table. Randomisation: the two procedures' answers to a clip change "
        "places in all runs together. McNemar: exact, on the mean posterior "
        "of the paired runs. Both take the clip as the unit: they say nothing "
        "about other speakers. Holm: corrected for the number of pairs in the "
        "table."
    )
    return Table("Paired comparisons", head, rows, (note,))


def run_table(analysis):
    """What stands behind the means: runs, discarded ones, both figures."""
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
    head = ["procedure", "planned", "in the means"]
    head += ["discarded (fold, seed, UA)", "mean UA without discarded"]
    head += ["mean UA with discarded"]
    spares = "".join(
        f" Left out, being no run of the plan: {p.title}, {_runs(p.spare)}."
        for p in analysis.procedures
        if p.spare
    )
    return Table("Runs", head, rows, (_protocols(analysis) + spares,))


def _protocols(analysis):
    """Repeat mode and outlier rule; once, where all procedures agree."""
    said = {
        p.title: f"Repeats: {REPEATS[p.repeat]}. "
        f"Outliers: {OUTLIERS[p.plan.outliers if p.plan else None]}."
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
    """Where the runs were computed, and with what."""
    rows = []
    for procedure in analysis.procedures:
        metrics = [run.metrics for run in procedure.runs]
        packages = {name for one in metrics for name in one["versions"]}
        hours = sum(sum(m["wall_seconds"].values()) for m in metrics) / 3600
        versions = (
            f"{name} {_distinct(one['versions'][name] for one in metrics)}"
            for name in sorted(packages)
        )
        rows.append(
            [
                procedure.title,
                _distinct(one.get("device", NOTHING) for one in metrics),
                _distinct(one.get("precision", NOTHING) for one in metrics),
                f"{hours:.1f}",
                "; ".join(versions),
            ]
        )
    note = (
        "Hours: wall time of the stages of all runs; a stage that several "
        "runs share is counted in each."
    )
    head = ["procedure", "device", "precision", "hours", "versions"]
    return Table("Machines and versions", head, rows, (note,))


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
    """What the report is about, in a line."""
    mark = "INCOMPLETE: " if analysis.missing else ""
    return f"{mark}{analysis.corpus}, {analysis.scale} scale"
