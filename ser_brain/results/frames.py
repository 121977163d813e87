"""Results as pandas tables: one row per clip and run, one row per run."""

import pandas

from ser_brain.errors import InputError
from ser_brain.results.runs import find_runs, refuse_nothing

# Columns that identify a run, in both tables.
NAMES = ("corpus", "procedure", "scale", "share", "fold", "seed")
CLIP_COLUMNS = (*NAMES, "speaker", "clip", "label", "prediction")


def load(*folders, scale=None):
    """Load the predictions of finished runs for each clip.

    Arguments
    ---------
    *folders : str or Path
        Run folders, or folders that contain run folders at any depth.
    scale : str, optional
        Only runs of this scale.

    Returns
    -------
    pandas.DataFrame
        One row per clip and run: corpus, procedure, scale, share (of the
        training part), fold, seed, speaker, clip, label, prediction, and
        the posterior of each class in a column of its name. If runs have
        different classes, a class that a run does not have is NaN.

    Raises
    ------
    InputError
        If there is no finished run, or one has been edited.

    Example
    -------
    >>> load("/nowhere")
    Traceback (most recent call last):
    ...
    ser_brain.errors.InputError: /nowhere is not a folder: give a folder ...
    """
    return clip_table(_runs(folders, scale))


def load_runs(*folders, scale=None):
    """Load the scores, times and versions of finished runs.

    Arguments
    ---------
    *folders, scale
        As for :func:`load`.

    Returns
    -------
    pandas.DataFrame
        One row per run: corpus, procedure, scale, share, fold, seed, folder,
        and the content of metrics.json, where nested values become columns
        such as recall.sad, wall_seconds.classifier and versions.torch.

    Raises
    ------
    InputError
        As for :func:`load`.
    """
    return run_table(_runs(folders, scale))


def _runs(folders, scale):
    runs = find_runs(folders, scale)
    if not runs:
        refuse_nothing(folders, scale)
    return runs


def clip_table(runs):
    """Build the table of :func:`load` from runs that have been read.

    Arguments
    ---------
    runs : list of Run
        At least one.

    Returns
    -------
    pandas.DataFrame

    Raises
    ------
    InputError
        If a class has the name of another column.
    """
    for run in runs:
        taken = set(run.classes) & set(CLIP_COLUMNS)
        if taken:
            raise InputError(
                f"a class of {run.folder} is called {min(taken)!r}, which is "
                "another column of the table: give the class another name."
            )
    rows = [
        {
            **_names(run),
            "speaker": row["speaker"],
            "clip": row["id"],
            "label": row["label"],
            "prediction": row["prediction"],
            **row["posteriors"],
        }
        for run in runs
        for row in run.rows
    ]
    return pandas.DataFrame(rows)


def run_table(runs):
    """Build the table of :func:`load_runs` from at least one run."""
    rows = [_names(run) | {"folder": run.folder, **run.metrics} for run in runs]
    return pandas.json_normalize(rows).assign(fold=[run.fold for run in runs])


def _names(run):
    """Columns that identify the run."""
    own = {"share": run.share, "fold": run.fold, "seed": run.seed}
    named = ("corpus", "procedure", "scale")
    return {name: run.metrics[name] for name in named} | own


def fold_order(name):
    """Sort fold 10 after fold 2, and names alphabetically.

    Example
    -------
    >>> sorted(["10", "DC", "2"], key=fold_order)
    ['2', '10', 'DC']
    """
    return (0, int(name), "") if name.isdigit() else (1, 0, name)
