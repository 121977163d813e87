"""plan.json: which runs were planned, and their outcomes.

``ser-brain run`` writes it beside the folds, and the report reads it.
"""

from dataclasses import dataclass
from pathlib import Path

from ser_brain.errors import MALFORMED, InputError
from ser_brain.results.outputs import read_json

RECORD = "plan.json"


@dataclass(frozen=True)
class PlanRecord:
    """The content of plan.json.

    Arguments
    ---------
    path : Path
        The file.
    corpus, procedure, scale : str
        Those of all its runs.
    folds : list of str
        The folds.
    runs : int
        Runs of each fold that count.
    seeds : dict
        Fold -> seeds of the runs that count, finished or not.
    repeat : str
        "all" or "finetune".
    outliers : str
        "rerun" or "keep".
    discarded : set of (str, int)
        Fold and seed of runs that the outlier rule discarded.
    failed : dict
        Fold and seed -> error message.
    """

    path: Path
    corpus: str
    procedure: str
    scale: str
    folds: list
    runs: int
    seeds: dict
    repeat: str
    outliers: str
    discarded: set
    failed: dict

    @property
    def planned_runs(self):
        """Number of runs that count, over all folds."""
        return self.runs * len(self.folds)

    def kind(self, run):
        """How the plan uses a run: "counts", "discarded" or "spare".

        In a fold that was never planned, all runs count.
        """
        if run.seed in self.seeds.get(run.fold, {run.seed}):
            return "counts"
        discarded = (run.fold, run.seed) in self.discarded
        return "discarded" if discarded else "spare"


def find_plans(folders, scale=None):
    """Read the plans' records below and above some folders.

    Arguments
    ---------
    folders : list of Path
        Folders of runs, or folders that contain such folders.
    scale : str, optional
        Only plans of this scale.

    Returns
    -------
    list of PlanRecord
        In the order of their paths; each once.

    Raises
    ------
    InputError
        If a record cannot be read.
    """
    found = {}
    for folder in map(Path, folders):
        # The record is above the folds; a user may give a single fold.
        parents = folder.resolve().parents[:2]
        above = [parent / RECORD for parent in parents]
        for path in [*folder.rglob(RECORD), *filter(Path.is_file, above)]:
            found[path.resolve()] = path
    plans = [read_plan(path) for path in sorted(found.values())]
    return [plan for plan in plans if scale in (None, plan.scale)]


def read_plan(path):
    """Read plan.json, which ``ser-brain run`` keeps.

    Arguments
    ---------
    path : str or Path
        The file.

    Returns
    -------
    PlanRecord
        Its content.

    Raises
    ------
    InputError
        If it is incomplete.
    """
    path = Path(path)
    record = read_json(path)
    names = ("corpus", "procedure", "scale", "repeat", "outliers")
    try:
        return PlanRecord(
            path=path,
            **{name: record[name] for name in names},
            folds=[str(fold) for fold in record["folds"]],
            runs=int(record["runs"]),
            seeds={fold: set(s) for fold, s in record["seeds"].items()},
            discarded={run_name(one) for one in record["discarded"]},
            failed={run_name(one): one["error"] for one in record["failed"]},
        )
    except MALFORMED as error:
        raise InputError(
            f"{path} is not a plan's record ({type(error).__name__}: {error}):"
            " run ser-brain run again to rewrite the file."
        ) from error


def run_name(one):
    """Return fold and seed of a run in a record."""
    return str(one["fold"]), int(one["seed"])
