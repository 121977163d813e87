"""Descriptions of missing runs, for the report."""

from ser_brain.reporting.published import PUBLISHED, procedure_title


def what_is_missing(runs, plans, unfinished):
    """Describe the runs that are missing from plans or folds.

    Arguments
    ---------
    runs : list of Run
        Finished runs.
    plans : list of PlanRecord
        Plans of runs.
    unfinished : list of Path
        Run folders without a result.

    Returns
    -------
    list of str
        Empty if nothing is missing.
    """
    said = [sentence for plan in plans for sentence in _lacking(plan, runs)]
    planned = {plan.procedure for plan in plans}
    said += _absent_folds([r for r in runs if r.procedure not in planned], runs)
    # Missing runs of a planned folder were already listed by its plan.
    covered = {plan.path.resolve().parent for plan in plans}
    return said + [
        f"{folder} was begun and has no result"
        for folder in unfinished
        if folder.resolve().parents[1] not in covered
    ]


def _lacking(plan, runs):
    """List folds of a plan with too few runs, and failed runs."""
    own = [run for run in runs if run.procedure == plan.procedure]
    finished = {(run.fold, run.seed) for run in own}
    title = procedure_title(plan.procedure)
    for fold, seeds in plan.seeds.items():
        lacking = [s for s in sorted(seeds) if (fold, s) not in finished]
        if lacking:
            names = ", ".join(map(str, lacking))
            seeds = "seed" if len(lacking) == 1 else "seeds"
            yield f"{title}, fold {fold}: no result of {seeds} {names}"
    for (fold, seed), error in plan.failed.items():
        if (fold, seed) not in finished:
            yield f"{title}, fold {fold}, seed {seed} failed: {error}"


def _absent_folds(unplanned, runs):
    """Without a plan, list folds that other procedures or the paper have."""
    if not unplanned:
        return
    expected = {run.fold for run in runs}
    for (corpus, _), row in PUBLISHED.items():
        if corpus == unplanned[0].metrics["corpus"]:
            expected |= set(row) - {"mean"}
    for procedure in sorted({run.procedure for run in unplanned}):
        have = {run.fold for run in unplanned if run.procedure == procedure}
        if expected - have:
            title = procedure_title(procedure)
            absent = sorted(expected - have)
            folds = "fold" if len(absent) == 1 else "folds"
            yield f"{title}: no run of {folds} {', '.join(absent)}"
