"""All folds and runs of one procedure: which exist and which are missing."""

import dataclasses
from collections import Counter
from contextlib import closing
from operator import itemgetter

from tqdm import tqdm

from ser_brain.corpora import get_corpus
from ser_brain.engines.runs import Run, find_recipe
from ser_brain.errors import InputError
from ser_brain.experiment.chain import chain
from ser_brain.experiment.outline import Outline
from ser_brain.locks import hold
from ser_brain.plans.outliers import ROUNDS, select
from ser_brain.plans.record import failures, joined, read_record
from ser_brain.plans.states import STATES, PlannedRun, seconds_left, time_left
from ser_brain.reporting.formats import counted
from ser_brain.results.outputs import write_json
from ser_brain.results.records import RECORD

REPEATS = ("all", "finetune")
OUTLIERS = ("rerun", "keep")
# Options that the plan sets for each run.
OWN = {
    "--fold": "--folds",
    "--seed": "--runs",
    "--adaptation_seed": "--repeat finetune",
}
# Seed of the adaptation that runs share if only fine-tuning is repeated.
SHARED_SEED = 1


class Plan:
    """The runs of one procedure on some folds.

    The whole state of a plan is in the run folders: a stopped plan is created
    again and continues.

    Arguments
    ---------
    recipe : str
        "SAVEE", a folder below ``recipes``, or the path of a script.
    yaml : str or Path
        The method file, ``hparams/vft.yaml``.
    folds : str or sequence of str
        Names of folds, "DC,JE" in one string, or "all".
    runs : int
        Runs of each fold that count; their seeds begin at 1.
    repeat : str
        "all": each run has its own adaptation, as in the paper. "finetune":
        all runs of a fold share that of seed 1, as in the released code.
    outliers : str
        "rerun": see :func:`ser_brain.plans.outliers.select`. "keep":
        every run counts.
    overrides : sequence of str
        Further words of each run's command line.

    Raises
    ------
    InputError
        If an argument is invalid, or the corpus is bad.

    Example
    -------
    >>> Plan("SAVEE", "hparams/vft.yaml", repeat="sometimes")
    Traceback (most recent call last):
    ...
    ser_brain.errors.InputError: --repeat is 'sometimes': give all or finetune.
    """

    def __init__(
        self,
        recipe,
        yaml,
        folds="all",
        runs=5,
        repeat="all",
        outliers="rerun",
        overrides=(),
    ):
        _check_choice("--repeat", repeat, REPEATS)
        _check_choice("--outliers", outliers, OUTLIERS)
        _check_overrides(overrides)
        if runs < 1:
            raise InputError(f"--runs is {runs}: give at least 1.")
        self.recipe, self.procedure, corpus = find_recipe(recipe, yaml)
        get_corpus(corpus)
        self.runs, self.repeat, self.outliers = runs, repeat, outliers
        self.overrides = tuple(overrides)
        self.outline = Outline([str(yaml), *self.overrides], corpus)
        if "targets" in self.outline.settings.tree:
            raise InputError(
                f"{yaml} predicts ratings, which no plan compares: start its "
                "recipe for each fold."
            )
        self.outline.prepare()
        self.all_folds = self.outline.fold_names()
        self.folds = choose_folds(folds, self.all_folds)
        self._planned = {}
        # results/<corpus>/<procedure>/<scale>
        self.folder = self.planned(self.folds[0], 1).run.folder.parents[1]
        old = read_record(self.folder)
        self.failed = {} if old is None else failures(old, self.folds)

    def planned(self, fold, seed):
        """Return one run of the plan, with its stages.

        Returns
        -------
        PlannedRun
            Its folder and keys, known without starting it.
        """
        if (fold, seed) not in self._planned:
            self._planned[fold, seed] = self._plan_run(fold, seed)
        return self._planned[fold, seed]

    def _plan_run(self, fold, seed):
        """Determine a run's command line, folder and stage keys."""
        settings, words = {"seed": seed}, self.overrides
        adapts = "adaptation_seed" in self.outline.settings.tree
        if self.repeat == "finetune" and adapts:
            settings["adaptation_seed"] = SHARED_SEED
            words += ("--adaptation_seed", str(SHARED_SEED))
        outline = self.outline.of(fold, **settings)
        what = self.recipe, self.procedure, outline.settings.path
        run = Run(*what, fold, seed, words, outline.folder)
        return PlannedRun(run, tuple(chain(outline)))

    def selection(self, fold):
        """Select the runs of a fold that count, from the results so far.

        Returns
        -------
        Selection
            Its seeds and what the outlier rule discarded.
        """
        rounds = ROUNDS if self.outliers == "rerun" else 0
        scores = {}
        while True:
            chosen = select(scores, self.runs, rounds)
            unknown = [s for s in chosen.seeds if s not in scores]
            ended = [self.planned(fold, seed) for seed in unknown]
            ended = [one for one in ended if one.finished]
            if not ended:
                return chosen
            scores |= {one.run.seed: one.metrics["UA"] for one in ended}

    def counting(self):
        """Return all runs that count, finished or not, in the order of seeds.

        Returns
        -------
        list of PlannedRun
            The folds alternate: runs of one fold may share an adaptation, and
            in this order they wait for each other as little as possible.
        """
        names = [[(s, f) for s in self.selection(f).seeds] for f in self.folds]
        turns = [sorted(turn, key=itemgetter(0)) for turn in zip(*names)]
        return [self.planned(f, seed) for turn in turns for seed, f in turn]

    def missing(self):
        """Return the runs that have to be run, in the order of their start.

        Returns
        -------
        list of Run
        """
        return [one.run for one in self.counting() if not one.finished]

    def run(self, engine):
        """Run what is missing, and replacements of discarded runs.

        Arguments
        ---------
        engine : Engine
            Executes the runs.

        Returns
        -------
        list of Outcome
            Runs that failed. Each is tried once; the other runs continue.

        Raises
        ------
        InputError
            If another plan writes to the folder.
        """
        lock = hold(
            self.folder / "plan.lock",
            lambda holder: (
                f"{self.folder} is being filled by another plan ({holder}): "
                "wait until it has ended, or give another --results."
            ),
        )
        try:
            self.failed = {}
            return self._execute(engine)
        finally:
            lock.release()

    def _execute(self, engine):
        tried, ended_badly = set(), []
        self._write_record()
        done = len(self.counting()) - len(self.missing())
        title = f"{self.outline.name} {self.outline.procedure}"
        with tqdm(
            desc=title, initial=done, total=done, unit="run", dynamic_ncols=True
        ) as bar:
            while todo := [r for r in self.missing() if r not in tried]:
                tried |= set(todo)
                bar.total = bar.n + len(todo)
                bar.refresh()
                # Closing it stops the runs if an error occurs here.
                with closing(engine.execute(todo)) as outcomes:
                    for outcome in map(self._checked, outcomes):
                        bar.update()
                        if outcome.returncode != 0:
                            ended_badly.append(outcome)
                            self._note_failure(outcome, bar)
                        self._write_record()
        return ended_badly

    def _checked(self, outcome):
        """Check that a successful process has left its results."""
        run = outcome.run
        finished = self.planned(run.fold, run.seed).finished
        if outcome.returncode != 0 or finished:
            return outcome
        error = f"ended without results of these settings, see {run.log}"
        return dataclasses.replace(outcome, returncode=1, error=error)

    def _note_failure(self, outcome, bar):
        """Record why a run failed, and print it above the progress bar."""
        run = outcome.run
        self.failed[run.fold, run.seed] = outcome.error
        bar.write(f"{run.name} failed: {outcome.error}")

    def _write_record(self):
        write_json(self.folder / RECORD, self.record())

    def record(self):
        """Return the content of plan.json.

        Returns
        -------
        dict
            What was planned, the ``seeds`` that count in each fold, and lists
            of the runs that are ``discarded``, ``failed`` and ``missing``,
            each with its fold and seed. Folds of an earlier plan with the same
            choices are kept.
        """
        old = read_record(self.folder)
        return joined(self._own_record(), old, self.all_folds)

    def _own_record(self):
        """The record of the plan's own folds."""
        chosen = {fold: self.selection(fold) for fold in self.folds}
        outline = self.outline
        discarded = [
            {"fold": fold, **dataclasses.asdict(one)}
            for fold, selection in chosen.items()
            for one in selection.discarded
        ]
        failed = [
            {"fold": fold, "seed": seed, "error": error}
            for (fold, seed), error in self.failed.items()
            if not self.planned(fold, seed).finished
        ]
        missing = [{"fold": r.fold, "seed": r.seed} for r in self.missing()]
        return {
            "corpus": outline.name,
            "procedure": outline.procedure,
            "scale": outline.scale,
            "recipe": self.recipe,
            "yaml": str(outline.settings.path),
            "folds": self.folds,
            "runs": self.runs,
            "repeat": self.repeat,
            "outliers": self.outliers,
            "overrides": list(self.overrides),
            "seeds": {fold: list(one.seeds) for fold, one in chosen.items()},
            "discarded": discarded,
            "failed": failed,
            "missing": missing,
        }

    def dry_run(self, workers=1):
        """List every run with its state, and the remaining time.

        Arguments
        ---------
        workers : int
            Runs at a time.

        Returns
        -------
        str
            Lines of text. Nothing is started.
        """
        runs = self.counting()
        names = [(one.run.fold, one.run.seed) for one in runs]
        states = [o.state(n in self.failed) for o, n in zip(runs, names)]
        width = max(map(len, self.folds))
        lines = [
            f"  fold {fold:<{width}}  seed {seed:<3} {state}"
            for (fold, seed), state in zip(names, states)
        ]
        counts = Counter(states)
        told = [f"{counts[name]} {name}" for name in STATES if counts[name]]
        head = f"{self.folder}: repeat {self.repeat}"
        total = f"{counted(len(runs), 'run')}: {', '.join(told)}"
        left = time_left(seconds_left(runs), workers)
        return "\n".join([head, *lines, total, left])


def choose_folds(asked, known):
    """Parse names of folds as a user writes them.

    Arguments
    ---------
    asked : str or sequence of str
        "all", "DC,JE", or names.
    known : sequence of str
        All folds of the corpus.

    Returns
    -------
    list of str
        Each once, in the order of the corpus.

    Raises
    ------
    InputError
        If a name is not that of a fold.

    Example
    -------
    >>> choose_folds("JE, DC", ["DC", "JE", "JK"])
    ['DC', 'JE']
    """
    if asked == "all":
        return list(known)
    names = asked.split(",") if isinstance(asked, str) else asked
    names = [str(name).strip() for name in names]
    for name in names:
        if name not in known:
            raise InputError(
                f"--folds names {name!r}, which is not a fold: give all, or "
                f"some of {','.join(known)}."
            )
    return [name for name in known if name in names]


def _check_choice(option, value, choices):
    if value not in choices:
        raise InputError(f"{option} is {value!r}: give {' or '.join(choices)}.")


def _check_overrides(words):
    """Refuse settings that the plan itself decides."""
    given = [word.split("=")[0] for word in words]
    for name in filter(OWN.get, given):
        raise InputError(
            f"{name} is the plan's to give: choose by {OWN[name]}."
        )
