"""The tables of the report, and what must be said about them."""

from ser_brain.evaluation.report.tables import (
    Table,
    escaped,
    interval,
    p_value,
    percent,
)
from ser_brain.evaluation.report.trials import speaker_accuracies

FEW_SPEAKERS = 10
REPEATS = {
    "all": "every run repeats all stages, as in the paper",
    "finetune": (
        "runs share one adaptation and repeat the fine-tuning, as the "
        "released code does"
    ),
    None: "not recorded",
}
OUTLIERS = {
    "rerun": (
        "runs outside two deviations of their fold's mean are discarded and "
        "run again"
    ),
    "keep": "every run is kept",
    None: "not recorded",
}


def notices(analysis):
    """What a reader must know before any figure.

    Arguments
    ---------
    analysis : Analysis
        The numbers.

    Returns
    -------
    list of str
        Sentences; empty for full scale on a real corpus.
    """
    found = []
    if analysis.scale.startswith("nano"):
        found.append(
            "Nano scale: these are figures of the small embedded models, "
            "which check the pipeline. They are not results of wav2vec 2.0 "
            "base and do not compare with published figures."
        )
    if analysis.corpus.startswith("mini-"):
        found.append(
            f"{analysis.corpus} is the embedded mini corpus in the layout of "
            f"{analysis.corpus.removeprefix('mini-')}: its figures say "
            "nothing about emotion."
        )
    if "debug" in analysis.scale:
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
        Section -> Table.
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
    if not tables["comparisons"].rows:
        del tables["comparisons"]
    return tables


def accuracy_table(analysis):
    """Procedures by fold, each above the paper's row."""
    rows, quiet = [], []
    for procedure in analysis.procedures:
        cells = [
            _mean_deviation(procedure.accuracies(fold))
            for fold in analysis.folds
        ]
        mean = _protocol_mean(procedure, len(analysis.folds))
        rows.append([procedure.title, *cells, mean])
        if procedure.name in analysis.published:
            row = analysis.published[procedure.name]
            quiet.append(len(rows))
            rows.append(_cited(f"{procedure.title}, paper", row, analysis))
    if analysis.listeners:
        quiet.append(len(rows))
        rows.append(_cited("listeners, paper", analysis.listeners, analysis))
    quiet.append(len(rows))
    chance = percent(analysis.chance)
    rows.append(["chance", *[chance] * (len(analysis.folds) + 1)])
    return Table(
        "Unweighted accuracy by fold (%)",
        ["", *[f"fold {fold}" for fold in analysis.folds], "mean"],
        rows,
        "Cells: mean over runs ± sample deviation over runs. Mean: over "
        "folds, ± its deviation from one repetition of all folds to the next.",
        tuple(quiet),
    )


def _cited(name, row, analysis):
    """A row of the paper; its mean is of all its folds."""
    cells = [f"{row[f]:.1f}" if f in row else "–" for f in analysis.folds]
    whole = set(analysis.folds) == set(row) - {"mean"}
    return [name, *cells, f"{row['mean']:.1f}" if whole else "–"]


def _mean_deviation(values):
    """Mean ± sample deviation of fractions, in percent."""
    if not values:
        return "–"
    mean = sum(values) / len(values)
    if len(values) == 1:
        return percent(mean)
    square = sum((value - mean) ** 2 for value in values) / (len(values) - 1)
    return f"{percent(mean)} ± {percent(square**0.5)}"


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
    return Table("Scores with intervals", head, rows, note)


def recall_table(analysis):
    """Recall of each class, pooled over folds."""
    rows = [
        [name]
        + [
            f"{percent(p.scores['recall'][place])} "
            f"({interval(p.by_clip['recall'][:, place])})"
            for p in analysis.procedures
        ]
        for place, name in enumerate(analysis.classes)
    ]
    return Table(
        "Recall by class (%)",
        ["class", *[p.title for p in analysis.procedures]],
        rows,
        "Pooled over folds and runs; in brackets 95 % over clips. Chance is "
        f"{percent(analysis.chance)}.",
    )


def speaker_table(analysis):
    """UA of each speaker's clips."""
    found = [speaker_accuracies(p) for p in analysis.procedures]
    rows = [
        [speaker, *[_mean_deviation(f.get(speaker, [])) for f in found]]
        for speaker in analysis.speakers
    ]
    return Table(
        "Unweighted accuracy by speaker (%)",
        ["speaker", *[p.title for p in analysis.procedures]],
        rows,
        "Mean over runs ± sample deviation over runs.",
    )


def comparison_table(analysis):
    """Paired tests of all pairs of procedures."""
    rows = [
        [
            f"{c.first.title} − {c.second.title}",
            f"{100 * c.difference:+.1f}".replace("-", "−"),
            str(c.runs),
            p_value(c.p),
            p_value(c.p_corrected),
            f"{c.only_first} / {c.only_second}",
            p_value(c.p_mcnemar),
            p_value(c.p_mcnemar_corrected),
        ]
        for c in analysis.comparisons
    ]
    return Table(
        "Paired comparisons",
        [
            "pair",
            "difference in UA",
            "paired runs",
            "p, randomisation",
            "p, Holm",
            "only first / only second right",
            "p, McNemar",
            "p, Holm",
        ],
        rows,
        "Runs of the same fold and seed pair up; others are left out of "
        "this table. Randomisation: the two procedures' answers to a clip "
        "change places in all runs together. McNemar: exact, on the mean "
        "posterior of the paired runs. Both take the clip as the unit: they "
        "say nothing about other speakers. Holm: corrected for the number of "
        "pairs in the table.",
    )


def run_table(analysis):
    """What stands behind the means: runs, discarded ones, both figures."""
    rows = [
        [
            procedure.title,
            str(procedure.plan.planned_runs) if procedure.plan else "–",
            str(len(procedure.runs)),
            _runs(procedure.discarded),
            percent(procedure.scores["UA"]),
            percent(procedure.mean_with_discarded),
        ]
        for procedure in analysis.procedures
    ]
    return Table(
        "Runs",
        [
            "procedure",
            "planned",
            "in the means",
            "discarded (fold, seed, UA)",
            "mean UA without discarded",
            "mean UA with discarded",
        ],
        rows,
        _protocols(analysis) + _spares(analysis),
    )


def _spares(analysis):
    """Finished runs that no plan asks for."""
    return "".join(
        f" Left out, being no run of the plan: {p.title}, {_runs(p.spare)}."
        for p in analysis.procedures
        if p.spare
    )


def _protocols(analysis):
    """Repeat mode and outlier rule; once, where all procedures agree."""
    said = {
        p.title: (
            f"Repeats: {REPEATS[p.repeat]}. "
            f"Outliers: {OUTLIERS[p.plan.outliers if p.plan else None]}."
        )
        for p in analysis.procedures
    }
    if len(set(said.values())) == 1:
        return next(iter(said.values()))
    return " ".join(f"{name}. {sentence}" for name, sentence in said.items())


def _runs(runs):
    """Runs by fold and seed, with their score."""
    said = [f"{r.fold} {r.seed}: {percent(r.metrics['UA'])}" for r in runs]
    return ", ".join(said) or "none"


def machine_table(analysis):
    """Where the runs were made, and with what."""
    rows = []
    for procedure in analysis.procedures:
        metrics = [run.metrics for run in procedure.runs]
        packages = {name for one in metrics for name in one["versions"]}
        hours = sum(sum(m["wall_seconds"].values()) for m in metrics) / 3600
        rows.append(
            [
                procedure.title,
                _distinct(one.get("device", "–") for one in metrics),
                _distinct(one.get("precision", "–") for one in metrics),
                f"{hours:.1f}",
                "; ".join(
                    f"{name} {_distinct(m['versions'][name] for m in metrics)}"
                    for name in sorted(packages)
                ),
            ]
        )
    return Table(
        "Machines and versions",
        ["procedure", "device", "precision", "hours", "versions"],
        rows,
        "Hours: wall time of the stages of all runs; a stage that several "
        "runs share is counted in each.",
    )


def _distinct(values):
    """Different values, in order."""
    return ", ".join(sorted(set(map(str, values))))


def markdown(analysis, tables):
    """The whole report but its pictures, as Markdown.

    Arguments
    ---------
    analysis : Analysis
        The numbers.
    tables : dict
        As :func:`all_tables` gives them.

    Returns
    -------
    str
        Ends with a newline.
    """
    lines = [f"## {escaped(title(analysis))}", ""]
    lines += [f"**{escaped(each)}**\n" for each in notices(analysis)]
    if analysis.missing:
        lines += ["**INCOMPLETE:**", ""]
        lines += [f"- {escaped(each)}" for each in analysis.missing] + [""]
    return "\n".join(
        [*lines, "\n\n".join(table.markdown() for table in tables.values()), ""]
    )


def title(analysis):
    """What the report is about, in a line."""
    mark = "INCOMPLETE: " if analysis.missing else ""
    return f"{mark}{analysis.corpus}, {analysis.scale} scale"
