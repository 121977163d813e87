"""All runs of a results folder, finished or not, one row per run."""

from datetime import datetime
from pathlib import Path
from urllib.parse import unquote

import pandas

from ser_brain.files import folder_name
from ser_brain.results import ratings
from ser_brain.results.frames import fold_order
from ser_brain.results.records import find_plans
from ser_brain.results.runs import (
    METRICS,
    SETTINGS,
    find_runs,
    find_unfinished,
    refuse_nothing,
)

FINISHED, UNFINISHED, FAILED, BROKEN = STATES = (
    "finished",
    "unfinished",
    "failed",
    "broken",
)
NAMES = ["corpus", "procedure", "scale", "fold", "seed"]
LOGS = (SETTINGS, "log.txt", "train_log.txt", "process.log")
COLUMNS = [*NAMES, "state", "UA", "WA", "CCC", "seconds", "when", "folder"]


def list_runs(folder, scale=None):
    """List all runs below a folder, in every state.

    Arguments
    ---------
    folder : str or Path
        A results folder, or any folder of runs.
    scale : str, optional
        Only runs of this scale.

    Returns
    -------
    runs : pandas.DataFrame
        One row per run, sorted: corpus, procedure, scale, fold, seed; state
        (one of ``STATES``); UA and WA as fractions, or CCC of a run that
        predicts ratings; seconds of wall time of its stages; when it finished
        or, for another state, last wrote to its folder (ISO 8601); folder.
        What is not known is None.
    errors : list of str
        Why runs are failed, according to their plan, or broken.

    Raises
    ------
    InputError
        If there is no run.

    Example
    -------
    >>> list_runs("/nowhere")
    Traceback (most recent call last):
    ...
    ser_brain.errors.InputError: /nowhere is not a folder: give a folder ...
    """
    folder = Path(folder)
    broken = {}
    runs = find_runs([folder], scale, broken)
    rated = ratings.read_all_ratings([folder], scale, broken)
    finished = {
        run.folder.resolve(): _row(run.folder, run.metrics, METRICS)
        for run in runs
    } | {
        run.resolve(): _row(run, metrics, ratings.METRICS)
        for run, metrics in rated.items()
    }
    failed = _failed(folder, scale)
    others = {
        **dict.fromkeys(find_unfinished([folder], scale, True), UNFINISHED),
        **dict.fromkeys(failed, FAILED),
        **dict.fromkeys(broken, BROKEN),
    }
    rows = finished | {
        run.resolve(): _row(run) | {"state": state}
        for run, state in others.items()
        if run.resolve() not in finished
    }
    if not rows:
        refuse_nothing([folder], scale)
    errors = [
        f"{run} failed: {error}"
        for run, error in failed.items()
        if run.resolve() not in finished
    ]
    errors += map(str, broken.values())
    table = pandas.DataFrame(sorted(rows.values(), key=_order), dtype=object)
    return table[COLUMNS], errors


def _failed(folder, scale):
    """Run folders of the processes that failed -> error, from plan.json."""
    runs = {
        plan.path.parent.joinpath(
            folder_name(f"fold_{fold}"), f"seed_{seed}"
        ): error
        for plan in find_plans([folder], scale)
        for (fold, seed), error in plan.failed.items()
    }
    # The record of a single fold is above it, and lists the others, too.
    below = folder.resolve()
    return {
        run: error
        for run, error in runs.items()
        if run.resolve().is_relative_to(below)
    }


def _row(folder, metrics=None, result=None):
    """One row; with metrics, that of a finished run."""
    row = dict.fromkeys(COLUMNS) | _named(folder)
    row |= {"when": _when(folder, result), "folder": str(folder)}
    if metrics is None:
        return row
    row |= {name: metrics[name] for name in NAMES}
    row |= {name: metrics.get(name) for name in ("UA", "WA")}
    return row | {
        "fold": str(metrics["fold"]),
        "state": FINISHED,
        "CCC": metrics.get("mean_CCC"),
        "seconds": sum(metrics["wall_seconds"].values()),
    }


def _named(folder):
    """What the path of a run folder says of it."""
    parts = folder.resolve().parts
    if len(parts) < 6 or not parts[-2].startswith("fold_"):
        return {}
    *names, fold, seed = map(unquote, parts[-5:])
    fold, seed = fold.removeprefix("fold_"), seed.removeprefix("seed_")
    seed = int(seed) if seed.isdigit() else seed
    return dict(zip(NAMES, [*names, fold, seed]))


def _when(folder, result):
    """Time of the result or, without one, of the last log; None without."""
    paths = [folder / name for name in ([result] if result else LOGS)]
    times = [path.stat().st_mtime for path in paths if path.is_file()]
    if not times:
        return None
    last = datetime.fromtimestamp(max(times)).astimezone()
    return last.isoformat(timespec="seconds")


def _order(row):
    """Sort by names; fold 10 comes after fold 2."""
    fold = fold_order(str(row["fold"]))
    first = [str(row[name]) for name in NAMES[:3]]
    return *first, fold, str(row["seed"]).zfill(9), row["folder"]
