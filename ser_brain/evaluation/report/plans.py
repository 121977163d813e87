"""The record of a plan: which runs were meant to be, and what was discarded."""

from dataclasses import dataclass
from pathlib import Path

from ser_brain.errors import InputError
from ser_brain.evaluation.published import PROCEDURES, PUBLISHED
from ser_brain.evaluation.report.runs import read_json

RECORD = "plan.json"


@dataclass(frozen=True)
class PlanRecord:
    """What plan.json says.

    Arguments
    ---------
    path : Path
        The file.
    corpus, procedure, scale : str
        Of all its runs.
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
        Fold and seed of runs that the outlier rule took out.
    failed : dict
        Fold and seed -> what went wrong.
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
        """Runs that count, over all folds."""
        return self.runs * len(self.folds)

    def counts(self, run):
        """Whether a run is part of the plan's means.

        A fold that was never planned has no rule: all its runs count.
        """
        seeds = self.seeds.get(run.fold)
        return seeds is None or run.seed in seeds

    def discards(self, run):
        """Whether the outlier rule took a run out."""
        return (run.fold, run.seed) in self.discarded


def find_plans(folders, scale=None):
    """Read the plans' records below and above some folders.

    Arguments
    ---------
    folders : list of Path
        Folders of runs, or folders that hold such.
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
        # The record lies above the folds; a user may give one fold alone.
        above = [
            parent / RECORD for parent in list(folder.resolve().parents)[:2]
        ]
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
        If it lacks something.
    """
    path = Path(path)
    record = read_json(path)
    try:
        return PlanRecord(
            path=path,
            corpus=record["corpus"],
            procedure=record["procedure"],
            scale=record["scale"],
            folds=[str(fold) for fold in record["folds"]],
            runs=int(record["runs"]),
            seeds={fold: set(s) for fold, s in record["seeds"].items()},
            repeat=record["repeat"],
            outliers=record["outliers"],
            discarded={_name(one) for one in record["discarded"]},
            failed={_name(one): one["error"] for one in record["failed"]},
        )
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{path} is no record of a plan ({type(error).__name__}: {error}):"
            " run ser-brain run again, it writes the file anew."
        ) from error


def _name(one):
    """Fold and seed of a run in a record."""
    return str(one["fold"]), int(one["seed"])


def what_is_missing(runs, plans, unfinished):
    """Sentences about what the plans, or the paper's folds, ask for.

    Arguments
    ---------
    runs : list of Run
        What has finished.
    plans : list of PlanRecord
        What was meant to be.
    unfinished : list of Path
        Run folders without a result.

    Returns
    -------
    list of str
        Empty where all is there.
    """
    said = [sentence for plan in plans for sentence in _lacking(plan, runs)]
    planned = {plan.procedure for plan in plans}
    said += _absent_folds([r for r in runs if r.procedure not in planned], runs)
    # Of a planned folder the plan has said what is missing.
    covered = {plan.path.resolve().parent for plan in plans}
    return said + [
        f"{folder} was begun and has no result"
        for folder in unfinished
        if folder.resolve().parents[1] not in covered
    ]


def _lacking(plan, runs):
    """Folds of a plan that have too few runs, and runs that failed."""
    finished = {
        (run.fold, run.seed) for run in runs if run.procedure == plan.procedure
    }
    title = PROCEDURES.get(plan.procedure, plan.procedure)
    for fold, seeds in plan.seeds.items():
        lacking = sorted(seeds - {s for f, s in finished if f == fold})
        if lacking:
            names = ", ".join(map(str, lacking))
            yield f"{title}, fold {fold}: no result of seed {names}"
    for (fold, seed), error in plan.failed.items():
        if (fold, seed) not in finished:
            yield f"{title}, fold {fold}, seed {seed} failed: {error}"


def _absent_folds(unplanned, runs):
    """Without a plan: folds that other procedures or the paper have."""
    if not unplanned:
        return
    expected = {run.fold for run in runs}
    corpus = unplanned[0].metrics["corpus"]
    for (name, _), row in PUBLISHED.items():
        if name == corpus:
            expected |= set(row) - {"mean"}
    for procedure in sorted({run.procedure for run in unplanned}):
        have = {run.fold for run in unplanned if run.procedure == procedure}
        if expected - have:
            title = PROCEDURES.get(procedure, procedure)
            absent = ", ".join(sorted(expected - have))
            yield f"{title}: no run of fold {absent}"
