"""What may stand in one mean, and what may not."""

from ser_brain.errors import InputError

EVERYWHERE = ("corpus", "scale", "train_share")
WHOLE = 1.0  # train_share of runs that have no such key


def check_one_protocol(runs, plans):
    """Refuses runs that are not of one corpus, scale and protocol.

    Arguments
    ---------
    runs : list of Run
        All runs of a report.
    plans : list of PlanRecord
        The plans that they belong to.

    Raises
    ------
    InputError
        Names two folders, and what they differ in.
    """
    for name in EVERYWHERE:
        _check_equal(
            [(run.folder, run.metrics.get(name, WHOLE)) for run in runs],
            name.replace("_", " "),
        )
    _check_equal([(run.folder, run.classes) for run in runs], "classes")
    _check_plans(runs[0], plans)
    _check_repeats(runs, plans)
    _check_equal([(p.path, p.outliers) for p in plans], "outlier rule")
    _check_once(runs)
    _check_clips(runs)
    _check_settings(runs)


def _check_equal(pairs, name):
    """All values are those of the first folder."""
    for folder, value in pairs[1:]:
        first, expected = pairs[0]
        if value != expected:
            raise InputError(
                f"{first} and {folder} differ in {name} ({_said(expected)}; "
                f"{_said(value)}) and are not one report: give the folders "
                "of one kind, or choose by --scale."
            )


def _said(value):
    """A value as a reader says it."""
    return ", ".join(value) if isinstance(value, list) else str(value)


def _check_plans(run, plans):
    """Plans are of the runs' kind, one a procedure."""
    for name in ("corpus", "scale"):
        _check_equal(
            [
                (run.folder, run.metrics[name]),
                *[(plan.path, getattr(plan, name)) for plan in plans],
            ],
            name,
        )
    seen = {}
    for plan in plans:
        other = seen.setdefault(plan.procedure, plan)
        if other is not plan:
            raise InputError(
                f"{other.path} and {plan.path} are both a plan of "
                f"{plan.procedure}: give the folders of one."
            )


def repeat_mode(runs):
    """Whether runs of a procedure repeat all, or share one adaptation.

    Arguments
    ---------
    runs : list of Run
        Of one procedure.

    Returns
    -------
    str or None
        "all" or "finetune", as ``ser-brain run --repeat`` calls them; None
        where nothing was adapted, or one seed leaves it open.

    Raises
    ------
    InputError
        If some runs share an adaptation that others do not.
    """
    known = [
        run for run in runs if run.metrics.get("adaptation_seed") is not None
    ]
    shared = [
        run for run in known if run.metrics["adaptation_seed"] != run.seed
    ]
    if not shared:
        return "all" if len({run.seed for run in known}) > 1 else None
    seed = shared[0].metrics["adaptation_seed"]
    for run in known:
        if run.metrics["adaptation_seed"] != seed:
            raise InputError(
                f"{shared[0].folder} shares the adaptation of seed {seed}, "
                f"{run.folder} has that of seed "
                f"{run.metrics['adaptation_seed']}: runs that repeat all and "
                "runs that repeat the fine-tuning alone are not one mean."
            )
    return "finetune"


def _check_repeats(runs, plans):
    """One repeat mode, among procedures that adapt."""
    adapting = {}
    for run in runs:
        if run.adapts:
            adapting.setdefault(run.procedure, []).append(run)
    modes = [
        (members[0].folder, repeat_mode(members))
        for members in adapting.values()
    ]
    modes = [(folder, mode) for folder, mode in modes if mode is not None]
    _check_equal(modes, "repeat mode")
    _check_equal(
        [(p.path, p.repeat) for p in plans if p.procedure in adapting],
        "repeat mode",
    )


def _check_once(runs):
    """No run stands in two folders."""
    seen = {}
    for run in runs:
        name = (run.procedure, run.fold, run.seed)
        other = seen.setdefault(name, run)
        if other is not run:
            raise InputError(
                f"{other.folder} and {run.folder} both hold {run.procedure}, "
                f"fold {run.fold}, seed {run.seed}: give one of them."
            )


def _check_clips(runs):
    """All runs of a fold test the same clips, under the same labels."""
    first = {}
    for run in runs:
        rows = {row["id"]: (row["label"], row["speaker"]) for row in run.rows}
        other, expected = first.setdefault(run.fold, (run, rows))
        if rows == expected:
            continue
        differing = sorted(set(rows.items()) ^ set(expected.items()))[0][0]
        raise InputError(
            f"{other.folder} and {run.folder} test other clips or labels in "
            f"fold {run.fold} (first: {differing}): they do not compare."
        )


def _check_settings(runs):
    """Runs of one mean have the same settings."""
    first = {}
    for run in runs:
        other = first.setdefault(run.procedure, run)
        pairs = set(other.settings.items()) ^ set(run.settings.items())
        # A run folder without hyperparams.yaml has nothing to compare.
        if not pairs or not (other.settings and run.settings):
            continue
        name = sorted(pairs)[0][0]
        raise InputError(
            f"{other.folder} and {run.folder} differ in the setting {name} "
            f"({other.settings.get(name)}; {run.settings.get(name)}) and are "
            "not one mean: give the folders of one kind."
        )
