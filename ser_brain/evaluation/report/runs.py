"""A run folder, read and checked against itself."""

import json
import re
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from ser_brain.errors import InputError
from ser_brain.evaluation.metrics import unweighted_accuracy
from ser_brain.evaluation.outputs import METRICS, read_predictions
from ser_brain.files import digest

SETTING = re.compile(r"^(\w+):[ \t]+([^#\n]*?)[ \t]*(?:#.*)?$", re.MULTILINE)
# Settings that tell runs of one mean apart, or change places and speed only.
FREE_SETTINGS = {
    "seed",
    "adaptation_seed",
    "fold",
    "data_folder",
    "manifest",
    "results",
    "run_folder",
    "num_workers",
    "audio_cache_hours",
    "micro_batch_seconds",
    "front_end_cache",
    "front_end_cache_gb",
    "quick_dropout",
    "threads",
}
BASE = "classifier"  # the stage that every procedure ends with


@dataclass(frozen=True)
class Run:
    """A finished run.

    Arguments
    ---------
    folder : Path
        The run folder.
    metrics : dict
        What metrics.json holds.
    rows : list of dict
        What predictions.csv holds.
    settings : dict
        Plain settings of hyperparams.yaml on which results depend, as text;
        empty where the file is missing.
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
    def classes(self):
        """Class names, in the order of the posteriors."""
        return list(self.rows[0]["posteriors"])

    @property
    def adapts(self):
        """Whether anything was trained before the classifier."""
        return self.metrics.get("adaptation_seed") is not None or set(
            self.metrics["wall_seconds"]
        ) != {BASE}


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
        If a file is missing or broken, or no longer fits the others.
    """
    folder = Path(folder)
    metrics = _read_metrics(folder / "metrics.json")
    path = folder / "predictions.csv"
    rows = read_predictions(path)
    _check_predictions(path, rows, metrics)
    _check_key(folder, metrics)
    return Run(folder, metrics, rows, _read_settings(folder))


def _read_metrics(path):
    """metrics.json with all its keys."""
    metrics = read_json(path)
    missing = [key for key in METRICS if key not in metrics]
    if missing:
        raise InputError(
            f"{path} lacks {', '.join(missing)}: run the recipe again, it "
            "writes the file anew."
        )
    return metrics


def read_json(path):
    """A JSON object from a file.

    Arguments
    ---------
    path : str or Path
        The file.

    Returns
    -------
    dict
        Its content.

    Raises
    ------
    InputError
        If it cannot be read or holds something else.

    Example
    -------
    >>> file = getfixture("tmp_path") / "plan.json"
    >>> _ = file.write_text('{"runs": 5}')
    >>> read_json(file)
    {'runs': 5}
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path} cannot be read ({error}): run the command that wrote it "
            "again."
        ) from error
    if not isinstance(content, dict):
        raise InputError(
            f"{path} holds no JSON object: run the command that wrote it again."
        )
    return content


def _check_predictions(path, rows, metrics):
    """The predictions are those that metrics.json was counted from."""
    known = metrics.get("predictions_sha256")
    if known is not None:
        found = digest(path)
        if found != known:
            raise InputError(
                f"{path} is not the file that its metrics.json was written "
                f"with (sha256 {found[:12]}…, not {known[:12]}…): run the "
                "recipe again."
            )
    if not rows:
        raise InputError(f"{path} holds no clip: run the recipe again.")
    accuracy = unweighted_accuracy(
        [row["label"] for row in rows], [row["prediction"] for row in rows]
    )
    if len(rows) != metrics["n"] or abs(accuracy - metrics["UA"]) > 1e-9:
        raise InputError(
            f"{path} gives UA {100 * accuracy:.2f} on {len(rows)} clips, its "
            f"metrics.json says {100 * metrics['UA']:.2f} on {metrics['n']}: "
            "run the recipe again."
        )


def _check_key(folder, metrics):
    """The results are those of the classifier that lies beside them."""
    path = folder / "save" / BASE / "done.json"
    if "key" not in metrics or not path.is_file():
        return
    if read_json(path).get("key") != metrics["key"]:
        raise InputError(
            f"the key in {folder / 'metrics.json'} is not that of {path}: "
            "run the recipe again."
        )


def _read_settings(folder):
    """Plain settings at the top level of hyperparams.yaml."""
    path = folder / "hyperparams.yaml"
    if not path.is_file():
        return {}
    found = dict(SETTING.findall(path.read_text(encoding="utf-8")))
    # A path says where a thing lay, not what it was.
    return {
        name: value
        for name, value in found.items()
        if name not in FREE_SETTINGS
        and value
        and "/" not in value
        and value[0] not in "&!"
    }


def find_runs(folders, scale=None):
    """Read all finished runs below some folders, with a progress bar.

    Arguments
    ---------
    folders : list of Path
        Where to look, to any depth.
    scale : str, optional
        Only runs of this scale.

    Returns
    -------
    list of Run
        In the order of their paths.

    Raises
    ------
    InputError
        If a folder is missing, or a run was edited.
    """
    found = _below(folders, "metrics.json")
    if scale is not None:
        found = [run for run in found if _scale_of(run) == scale]
    bar = tqdm(
        found, "runs", unit="run", leave=False, dynamic_ncols=True, disable=None
    )
    return [read_run(folder) for folder in bar]


def find_unfinished(folders, scale=None):
    """Run folders that were begun and hold no result.

    Arguments
    ---------
    folders : list of Path
        Where to look, to any depth.
    scale : str, optional
        Only runs of this scale.

    Returns
    -------
    list of Path
        In the order of their paths.
    """
    return [
        folder
        for folder in _below(folders, "hyperparams.yaml")
        if not (folder / "metrics.json").is_file()
        and _trains_classifier(folder / "hyperparams.yaml")
        and scale in (None, folder.resolve().parents[1].name)
    ]


def _below(folders, name):
    """Folders that hold a file of this name, each once."""
    found = set()
    for folder in map(Path, folders):
        if not folder.is_dir():
            raise InputError(
                f"{folder} is not a folder: give a folder that ser-brain run "
                "or a recipe wrote its results to."
            )
        found.update(path.parent for path in folder.rglob(name))
    return sorted({folder.resolve(): folder for folder in found}.values())


def _scale_of(folder):
    """The scale that a run says it has."""
    return read_json(folder / "metrics.json").get("scale")


def _trains_classifier(path):
    """Whether settings are a whole procedure's, not pseudo-labels' alone."""
    return "\nfine_tuning:" in path.read_text(encoding="utf-8")
