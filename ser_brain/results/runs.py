"""Finished runs: finding, reading and consistency checks."""

import re
from dataclasses import dataclass
from pathlib import Path

import yaml

from ser_brain.bars import passing_bar
from ser_brain.errors import InputError
from ser_brain.evaluation.metrics import unweighted_accuracy
from ser_brain.files import digest
from ser_brain.results.later import LATER, as_before
from ser_brain.results.outputs import read_json, read_metrics, read_predictions

SETTING = re.compile(r"^(\w+):[ \t]+([^#\n]*?)[ \t]*(?:#.*)?$", re.MULTILINE)
# Settings in which averaged runs may differ, or that only change where and how
# fast a run is computed.
FREE_SETTINGS = frozenset(
    "seed adaptation_seed fold data_folder manifest results run_folder "
    "num_workers audio_cache_hours micro_batch_seconds front_end_cache "
    "front_end_cache_gb quick_dropout threads max_skipped_updates "
    "verbose logger".split()
)
BASE = "classifier"  # the stage that every procedure ends with
WHOLE = 1.0  # train_share of runs that have no such key
METRICS, PREDICTIONS = "metrics.json", "predictions.csv"
RESULTS = (METRICS, "ratings.json")
SETTINGS = "hyperparams.yaml"
TESTS = re.compile(r"^(fine_tuning|frozen):", re.MULTILINE)


@dataclass(frozen=True)
class Run:
    """A finished run.

    Arguments
    ---------
    folder : Path
        The run folder.
    metrics : dict
        The content of metrics.json.
    rows : list of dict
        The content of predictions.csv.
    settings : dict
        Plain settings of hyperparams.yaml that results depend on, as text;
        empty if the file is missing.
    """

    folder: Path
    metrics: dict
    rows: list
    settings: dict

    @property
    def procedure(self):
        """Name of the procedure."""
        return self.metrics["procedure"]

    @property
    def fold(self):
        """Name of the fold."""
        return str(self.metrics["fold"])

    @property
    def seed(self):
        """Seed of the run."""
        return self.metrics["seed"]

    @property
    def share(self):
        """Share of the training part that the run was trained on."""
        return self.metrics.get("train_share", WHOLE)

    @property
    def classes(self):
        """Class names, in the order of the posteriors."""
        return list(self.rows[0]["posteriors"])

    @property
    def adapts(self):
        """Whether anything was trained before the classifier."""
        own_seed = self.metrics.get("adaptation_seed") is not None
        return own_seed or set(self.metrics["wall_seconds"]) != {BASE}


def has_written_predictions(folder, metrics):
    """Whether predictions.csv matches its metrics.json.

    Arguments
    ---------
    folder : Path
        A run folder.
    metrics : dict
        The content of its metrics.json.

    Returns
    -------
    bool
        False also if the file is missing.
    """
    path = folder / PREDICTIONS
    return path.is_file() and digest(path) == metrics["predictions_sha256"]


def read_run(folder):
    """Read a finished run and check that it was not edited.

    Arguments
    ---------
    folder : str or Path
        A run folder with metrics.json and predictions.csv.

    Returns
    -------
    Run
        The run.

    Raises
    ------
    InputError
        If a file is missing or broken, or does not match the others.
    """
    folder = Path(folder)
    metrics = read_metrics(folder / METRICS)
    path = folder / PREDICTIONS
    rows = read_predictions(path)
    _check_predictions(path, rows, metrics)
    done = folder / "save" / BASE / "done.json"
    if "key" in metrics and done.is_file():
        if read_json(done).get("key") != metrics["key"]:
            raise InputError(
                f"the key in {folder / METRICS} is not that of {done}: run "
                "the recipe again."
            )
    return Run(folder, metrics, rows, _read_settings(folder / SETTINGS))


def _check_predictions(path, rows, metrics):
    """Check that the scores were computed from these predictions."""
    if metrics.get("predictions_sha256") is not None:
        if not has_written_predictions(path.parent, metrics):
            raise InputError(
                f"{path} is not the file that its {METRICS} was written with "
                "(its sha256 is another): run the recipe again."
            )
    if not rows:
        raise InputError(f"{path} holds no clip: run the recipe again.")
    truth = [row["label"] for row in rows]
    prediction = [row["prediction"] for row in rows]
    unknown = {*truth, *prediction} - set(rows[0]["posteriors"])
    if unknown:
        raise InputError(
            f"{path} has the label {min(unknown)!r}, but no column of its "
            "posteriors: run the recipe again."
        )
    accuracy = unweighted_accuracy(truth, prediction)
    if len(rows) != metrics["n"] or abs(accuracy - metrics["UA"]) > 1e-9:
        raise InputError(
            f"{path} gives UA {100 * accuracy:.2f} on {len(rows)} clips, its "
            f"{METRICS} says {100 * metrics['UA']:.2f} on {metrics['n']}: "
            "run the recipe again."
        )


def _read_settings(path):
    """Plain settings at the top level of hyperparams.yaml."""
    if not path.is_file():
        return {}
    found = SETTING.findall(_text(path))
    # A path gives the location of something, not its content.
    return {
        name: value
        for name, value in found
        if name not in FREE_SETTINGS
        and value
        and "/" not in value
        and value[0] not in "&!"
        and not (name in LATER and as_before(name, yaml.safe_load(value)))
    }


def _text(path):
    """The content of a text file."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path} is not UTF-8 text (byte {error.start}): run the recipe "
            "again to rewrite the file."
        ) from error


def find_runs(folders, scale=None, broken=None):
    """Read all finished runs below some folders, with a progress bar.

    Arguments
    ---------
    folders : list of Path
        Folders to search, to any depth.
    scale : str, optional
        Only runs of this scale.
    broken : dict, optional
        Gets the folder and InputError of each run that was edited or cannot
        be read. Without it, the first such error is raised.

    Returns
    -------
    list of Run
        In the order of their paths.

    Raises
    ------
    InputError
        If a folder is missing, or a run was edited.
    """
    found = []
    for folder in passing_bar(_below(folders, METRICS), "runs", unit="run"):
        try:
            metrics = folder / METRICS
            if scale is None or read_json(metrics).get("scale") == scale:
                found.append(read_run(folder))
        except InputError as error:
            if broken is None:
                raise
            broken[folder] = error
    return found


def refuse_nothing(folders, scale=None, begun=()):
    """Explain why there is nothing to report.

    Arguments
    ---------
    folders : list of Path
        Where no finished run was found.
    scale : str, optional
        The requested scale.
    begun : sequence
        Runs that were planned or begun there.

    Raises
    ------
    InputError
        Always.
    """
    where = ", ".join(map(str, folders))
    kind = f" of scale {scale}" if scale else ""
    if begun:
        raise InputError(
            f"no run{kind} below {where} has finished: continue the plan with "
            "the command that began it."
        )
    raise InputError(
        f"{where} holds no finished run{kind} (no metrics.json): give a "
        "folder that ser-brain run or a recipe wrote its results to."
    )


def find_unfinished(folders, scale=None, ratings=False):
    """Find run folders that were begun and have no result.

    Arguments
    ---------
    folders, scale
        As for :func:`find_runs`.
    ratings : bool
        Whether runs that predict ratings are included.

    Returns
    -------
    list of Path
        In the order of their paths.
    """
    return [
        folder
        for folder in _below(folders, SETTINGS)
        if not any((folder / name).is_file() for name in RESULTS)
        and _tests(_text(folder / SETTINGS), ratings)
        # The model of ser-brain train has settings, but tests nothing.
        and folder.resolve().name.startswith("seed_")
        and scale in (None, folder.resolve().parents[1].name)
    ]


def _tests(settings, ratings):
    """Whether settings are those of a procedure, not of pseudo-labels alone."""
    if not ratings and "\ntargets:" in settings:
        return False
    return TESTS.search(settings) is not None


def _below(folders, name):
    """Folders that contain a file of this name, each once."""
    found = {}
    for folder in map(Path, folders):
        if not folder.is_dir():
            raise InputError(
                f"{folder} is not a folder: give a folder that ser-brain run "
                "or a recipe wrote its results to."
            )
        for path in folder.rglob(name):
            found[path.parent.resolve()] = path.parent
    return sorted(found.values())
