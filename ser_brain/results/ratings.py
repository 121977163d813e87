"""The files of a finished run that predicts ratings."""

import csv

from ser_brain.errors import InputError
from ser_brain.files import atomic_path, digest
from ser_brain.results.outputs import read_json, versions, write_json

METRICS, PREDICTIONS = "ratings.json", "ratings.csv"
COLUMNS = ("id", "speaker", "fold")
SUFFIX = "_predicted"


def write_ratings(folder, rows, targets, metrics):
    """Write ``ratings.csv`` and ``ratings.json`` of a run.

    Arguments
    ---------
    folder : pathlib.Path
        The run folder.
    rows : list of dict
        One per test clip: id, speaker, fold, and ``truth`` and ``prediction``,
        each with one number per target.
    targets : list of str
        Names of the predicted ratings. Each has two columns: its own name for
        the true rating, and the name with ``_predicted``.
    metrics : dict
        Description and scores of the run.

    Returns
    -------
    dict
        The content of ``ratings.json``.

    Example
    -------
    >>> folder = getfixture("tmp_path")
    >>> row = {"id": "a", "speaker": "s", "fold": "1"}
    >>> row |= {"truth": [2.5], "prediction": [3.0]}
    >>> _ = write_ratings(folder, [row], ["valence"], {"mean_CCC": 0.0})
    >>> print((folder / "ratings.csv").read_text().strip())
    id,speaker,fold,valence,valence_predicted
    a,s,1,2.500000,3.000000
    """
    predicted = [name + SUFFIX for name in targets]
    path = folder / PREDICTIONS
    with atomic_path(path) as temporary:
        with open(temporary, "w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            pairs = zip(targets, predicted)
            writer.writerow([*COLUMNS, *(name for p in pairs for name in p)])
            for row in rows:
                pairs = zip(row["truth"], row["prediction"])
                numbers = ["%.6f" % one for pair in pairs for one in pair]
                writer.writerow([row[name] for name in COLUMNS] + numbers)
    metrics = {
        **metrics,
        "predictions_sha256": digest(path),
        "versions": versions(),
    }
    write_json(folder / METRICS, metrics)
    return metrics


def find_ratings(folders, scale=None):
    """Find the runs of one kind that predict ratings.

    Arguments
    ---------
    folders : list of pathlib.Path
        Folders to search, to any depth.
    scale : str, optional
        Only runs of this scale.

    Returns
    -------
    list of dict
        Contents of ratings.json, in the order of their paths.

    Raises
    ------
    InputError
        If ratings.csv is not the file that it was written with, or runs
        differ in corpus, scale or targets.
    """
    runs = list(read_all_ratings(folders, scale).values())
    kinds = {(m["corpus"], m["scale"], *m["CCC"]) for m in runs}
    if len(kinds) > 1:
        told = "; ".join(", ".join(kind) for kind in sorted(kinds))
        raise InputError(
            f"runs of ratings differ in corpus, scale or targets ({told}): "
            "give the folders of one kind, or choose by --scale."
        )
    return runs


def read_all_ratings(folders, scale=None, broken=None):
    """Read the ``ratings.json`` of all finished runs below some folders.

    Arguments
    ---------
    folders, scale
        As for :func:`find_ratings`.
    broken : dict, optional
        Gets the folder and InputError of each run that was edited. Without
        it, the first such error is raised.

    Returns
    -------
    dict
        Run folder -> content of ratings.json, in the order of their paths.

    Raises
    ------
    InputError
        If ratings.csv is not the file that it was written with.
    """
    paths = {
        path.resolve(): path
        for folder in folders
        for path in folder.rglob(METRICS)
    }
    runs = {}
    for _, path in sorted(paths.items()):
        try:
            metrics = read_json(path)
            if scale in (None, metrics["scale"]):
                _check_ratings(path, metrics)
                runs[path.parent] = metrics
        except InputError as error:
            if broken is None:
                raise
            broken[path.parent] = error
    return runs


def _check_ratings(path, metrics):
    """Check that ratings.csv is as it was written."""
    table = path.with_name(PREDICTIONS)
    written = metrics["predictions_sha256"]
    if not table.is_file() or digest(table) != written:
        raise InputError(
            f"{table} is not the file that its {METRICS} was written "
            "with: run the recipe again."
        )
