"""From runs to numbers: all that the report says, before it is laid out."""

from dataclasses import dataclass

import numpy as np

from ser_brain.errors import InputError
from ser_brain.evaluation.published import PROCEDURES, PUBLISHED
from ser_brain.evaluation.report.checks import WHOLE, repeat_mode
from ser_brain.evaluation.report.pairs import compare_all
from ser_brain.evaluation.report.trials import fold_trials
from ser_brain.evaluation.statistics import (
    bootstrap,
    protocol_scores,
    run_deviation,
)


@dataclass(frozen=True)
class Procedure:
    """One procedure's results.

    Arguments
    ---------
    name, title : str
        ``ptapt``, and what people call it: ``P-TAPT``.
    runs, discarded, spare : list of Run
        Runs in the means, runs that the outlier rule took out, and runs that
        are no part of the plan.
    trials : dict
        Fold -> FoldTrials of the kept runs.
    scores, by_clip, by_speaker : dict
        Score -> value, and its intervals, as fractions.
    plan : PlanRecord or None
        The plan that it belongs to.
    """

    name: str
    title: str
    runs: list
    discarded: list
    spare: list
    trials: dict
    scores: dict
    by_clip: dict
    by_speaker: dict
    plan: object

    @property
    def folds(self):
        """Names of the folds that have runs."""
        return list(self.trials)

    @property
    def repeat(self):
        """The repeat mode, from the plan or else from the runs."""
        return self.plan.repeat if self.plan else repeat_mode(self.runs)

    def accuracies(self, fold):
        """UA of the kept runs of a fold."""
        return [r.metrics["UA"] for r in self.runs if r.fold == fold]

    @property
    def deviation(self):
        """Of the mean over folds, from one repetition to the next."""
        return run_deviation([self.accuracies(fold) for fold in self.folds])

    @property
    def mean_with_discarded(self):
        """Mean over folds of the mean over all runs, whatever the rule."""
        runs = [*self.runs, *self.discarded]
        return np.mean(
            [
                np.mean([r.metrics["UA"] for r in runs if r.fold == fold])
                for fold in self.folds
            ]
        )


@dataclass(frozen=True)
class Analysis:
    """All that a report says.

    Arguments
    ---------
    corpus, scale : str
        Of all runs.
    train_share : float
        Share of the training part that was used.
    classes, folds, speakers : list of str
        Names, in order.
    procedures : list of Procedure
        In the paper's order.
    comparisons : list of Comparison
        All pairs that share runs.
    missing : list of str
        Sentences: what an unfinished plan lacks.
    """

    corpus: str
    scale: str
    train_share: float
    classes: list
    folds: list
    speakers: list
    procedures: list
    comparisons: list
    missing: list

    @property
    def published(self):
        """The paper's row for each procedure that has one.

        There is none for runs on a share of the training part.
        """
        if self.train_share != WHOLE:
            return {}
        rows = {p.name: (self.corpus, p.name) for p in self.procedures}
        return {
            name: PUBLISHED[key]
            for name, key in rows.items()
            if key in PUBLISHED
        }

    @property
    def listeners(self):
        """The paper's row of human listeners, or None."""
        return PUBLISHED.get((self.corpus, "human"))

    @property
    def chance(self):
        """What a uniform guess scores in UA."""
        return 1 / len(self.classes)


def analyse(runs, plans, missing, resamples=5000):
    """Compute everything that the report says.

    Arguments
    ---------
    runs : list of Run
        Finished runs of one corpus, scale and protocol.
    plans : list of PlanRecord
        Their plans; what they discarded is left out of the means.
    missing : list of str
        Sentences about what is not there.
    resamples : int
        Draws of the bootstrap and of the randomisation test.

    Returns
    -------
    Analysis
        The numbers.

    Raises
    ------
    InputError
        If no run counts.
    """
    classes = runs[0].classes
    speakers = sorted({row["speaker"] for run in runs for row in run.rows})
    by_procedure = {}
    for run in runs:
        by_procedure.setdefault(run.procedure, []).append(run)
    plan_of = {plan.procedure: plan for plan in plans}
    order = list(PROCEDURES)
    names = sorted(
        by_procedure,
        key=lambda n: (order.index(n) if n in order else len(order), n),
    )
    procedures = [
        _procedure(parts, plan_of.get(name), classes, speakers, resamples)
        for name in names
        if (parts := _by_part(by_procedure[name], plan_of.get(name)))[0]
    ]
    if not procedures:
        raise InputError(
            f"no run that {plans[0].path} counts has finished: let the plan "
            "go on by the command that began it."
        )
    return Analysis(
        corpus=runs[0].metrics["corpus"],
        scale=runs[0].metrics["scale"],
        train_share=runs[0].metrics.get("train_share", WHOLE),
        classes=classes,
        folds=sorted({run.fold for run in runs}, key=fold_order),
        speakers=speakers,
        procedures=procedures,
        comparisons=compare_all(procedures, classes, resamples),
        missing=missing,
    )


def fold_order(name):
    """Sorts fold 10 behind fold 2, and names by the alphabet.

    Example
    -------
    >>> sorted(["10", "DC", "2"], key=fold_order)
    ['2', '10', 'DC']
    """
    return (0, int(name), "") if name.isdigit() else (1, 0, name)


def _procedure(parts, plan, classes, speakers, resamples):
    """One procedure's numbers, from at least one run that counts."""
    kept, discarded, spare = parts
    folds = sorted({run.fold for run in kept}, key=fold_order)
    trials = {
        fold: fold_trials(
            [run for run in kept if run.fold == fold], classes, speakers
        )
        for fold in folds
    }
    of_all = list(trials.values())
    scores = protocol_scores(of_all, len(classes))
    return Procedure(
        name=kept[0].procedure,
        title=PROCEDURES.get(kept[0].procedure, kept[0].procedure),
        runs=kept,
        discarded=discarded,
        spare=spare,
        trials=trials,
        scores={name: score[0] for name, score in scores.items()},
        by_clip=bootstrap(of_all, len(classes), "clip", resamples),
        by_speaker=bootstrap(of_all, len(classes), "speaker", resamples),
        plan=plan,
    )


def _by_part(runs, plan):
    """Runs that count, that were discarded, and the rest."""
    if plan is None:
        return runs, [], []
    kept = [run for run in runs if plan.counts(run)]
    discarded = [run for run in runs if plan.discards(run)]
    spare = [
        run for run in runs if not plan.counts(run) and not plan.discards(run)
    ]
    return kept, discarded, spare
