"""Checks that runs may be averaged or compared."""

from ser_brain.errors import InputError


def check_one_protocol(runs, plans):
    """Refuse runs that are not of one corpus, scale and protocol.

    Arguments
    ---------
    runs : list of Run
        All runs of a report.
    plans : list of PlanRecord
        The plans that they belong to.

    Raises
    ------
    InputError
        Names two folders, and how they differ.
    """
    for name in ("corpus", "scale"):
        values = [(run.folder, run.metrics[name]) for run in runs]
        _check_equal(values, name)
        of_plans = [(plan.path, getattr(plan, name)) for plan in plans]
        _check_equal(values[:1] + of_plans, name)
    _check_equal([(run.folder, run.share) for run in runs], "train share")
    _check_equal([(run.folder, run.classes) for run in runs], "classes")
    for one, other in _pairs(plans, lambda plan: plan.procedure):
        raise InputError(
            f"{one.path} and {other.path} are both a plan of "
            f"{one.procedure}: give the folders of one."
        )
    _check_repeats(runs, plans)
    _check_equal([(p.path, p.outliers) for p in plans], "outlier rule")
    for one, other in _pairs(runs, lambda r: (r.procedure, r.fold, r.seed)):
        raise InputError(
            f"{one.folder} and {other.folder} both hold {one.procedure}, "
            f"fold {one.fold}, seed {one.seed}: give one of them."
        )
    _check_clips(runs)
    _check_settings(runs)


def _pairs(things, name):
    """Pairs of the first item of each name with every later one of it."""
    first = {}
    for thing in things:
        known = first.setdefault(name(thing), thing)
        if known is not thing:
            yield known, thing


def _check_equal(pairs, name):
    """Check that all values equal that of the first folder."""
    for folder, value in pairs[1:]:
        first, expected = pairs[0]
        if value != expected:
            raise InputError(
                f"{first} and {folder} differ in {name} ({_said(expected)}; "
                f"{_said(value)}) and are not one report: give the folders "
                "of one kind, or choose by --scale."
            )


def _said(value):
    """Describe a value in words."""
    return ", ".join(value) if isinstance(value, list) else str(value)


def repeat_mode(runs):
    """Whether runs of a procedure repeat everything or share an adaptation.

    Arguments
    ---------
    runs : list of Run
        Runs of one procedure.

    Returns
    -------
    str or None
        "all" or "finetune", as for ``ser-brain run --repeat``; None if nothing
        was adapted, or if there is only one seed.

    Raises
    ------
    InputError
        If some runs share an adaptation that others do not.
    """
    seeds = [(run, run.metrics.get("adaptation_seed")) for run in runs]
    known = [(run, seed) for run, seed in seeds if seed is not None]
    shared = [(run, seed) for run, seed in known if seed != run.seed]
    if not shared:
        return "all" if len({run.seed for run, _ in known}) > 1 else None
    first, expected = shared[0]
    for run, seed in known:
        if seed != expected:
            raise InputError(
                f"{first.folder} shares the adaptation of seed {expected}, "
                f"{run.folder} has that of seed {seed}: runs that repeat all "
                "and runs that repeat the fine-tuning alone are not one mean."
            )
    return "finetune"


def _check_repeats(runs, plans):
    """Check that all procedures that adapt have the same repeat mode."""
    adapting = {}
    for run in runs:
        if run.adapts:
            adapting.setdefault(run.procedure, []).append(run)
    modes = [(some[0].folder, repeat_mode(some)) for some in adapting.values()]
    of_plans = [(p.path, p.repeat) for p in plans if p.procedure in adapting]
    _check_equal([pair for pair in modes if pair[1]], "repeat mode")
    _check_equal(of_plans, "repeat mode")


def _check_clips(runs):
    """Check that all runs of a fold test the same clips and labels."""
    clips = {
        run.folder: {(r["id"], r["label"], r["speaker"]) for r in run.rows}
        for run in runs
    }
    for one, other in _pairs(runs, lambda run: run.fold):
        differing = clips[one.folder] ^ clips[other.folder]
        if differing:
            raise InputError(
                f"{one.folder} and {other.folder} test other clips or labels "
                f"in fold {one.fold} (first: {min(differing)[0]}): they do "
                "not compare."
            )


def _check_settings(runs):
    """Check that runs that are averaged have the same settings."""
    for one, other in _pairs(runs, lambda run: run.procedure):
        differing = set(one.settings.items()) ^ set(other.settings.items())
        # A run folder without hyperparams.yaml has nothing to compare.
        if differing and one.settings and other.settings:
            name = min(differing)[0]
            raise InputError(
                f"{one.folder} and {other.folder} differ in the setting "
                f"{name} ({one.settings.get(name)}; "
                f"{other.settings.get(name)}) and are not one mean: give the "
                "folders of one kind."
            )
