"""Computation of all figures of the report from runs."""

from dataclasses import dataclass

import numpy as np
import pandas

from ser_brain.errors import InputError
from ser_brain.evaluation.metrics import confusion, unweighted_accuracy
from ser_brain.evaluation.statistics import (
    FoldTrials,
    bootstrap,
    protocol_scores,
    run_deviation,
)
from ser_brain.reporting.pairs import compare_all
from ser_brain.reporting.published import PUBLISHED, TITLES, procedure_title
from ser_brain.results.checks import repeat_mode
from ser_brain.results.frames import clip_table, fold_order
from ser_brain.results.runs import WHOLE


@dataclass(frozen=True)
class Procedure:
    """One procedure's results.

    Arguments
    ---------
    name, title : str
        Short and usual name: ``ptapt`` and ``P-TAPT``.
    runs, discarded, spare : list of Run
        Runs in the means, runs that the outlier rule discarded, and runs that
        are not part of the plan.
    clips : pandas.DataFrame
        Predictions of the runs in the means, as ``ser_brain.results.load``
        returns them.
    folds : list of str
        Names of the folds that have runs.
    scores, by_clip : dict
        Score -> value, and its interval over clips, as fractions.
    by_speaker : dict or None
        Score -> its interval over speakers; None if one speaker was tested.
    plan : PlanRecord or None
        The plan that it belongs to.
    """

    name: str
    title: str
    runs: list
    discarded: list
    spare: list
    clips: pandas.DataFrame
    folds: list
    scores: dict
    by_clip: dict
    by_speaker: dict | None
    plan: object

    @property
    def repeat(self):
        """The repeat mode, from the plan or from the runs."""
        return self.plan.repeat if self.plan else repeat_mode(self.runs)

    def accuracies(self, fold, discarded=False):
        """UA of the runs of a fold, optionally with the discarded ones."""
        runs = [*self.runs, *self.discarded] if discarded else self.runs
        return [run.metrics["UA"] for run in runs if run.fold == fold]

    @property
    def deviation(self):
        """Standard deviation of the mean over folds, over repetitions."""
        return run_deviation([self.accuracies(fold) for fold in self.folds])

    @property
    def mean_with_discarded(self):
        """Mean over folds of the mean over runs, with discarded ones."""
        return np.mean([np.mean(self.accuracies(f, True)) for f in self.folds])

    def confusion(self, classes, fold=None):
        """Counts over all runs of one fold, or of all folds.

        Arguments
        ---------
        classes : list of str
            Rows and columns.
        fold : str, optional
            Only this fold.

        Returns
        -------
        numpy.ndarray
            Shape (classes, classes), true classes in rows.
        """
        clips = self.clips
        if fold is not None:
            clips = clips[clips["fold"] == fold]
        return confusion(clips["label"], clips["prediction"], classes)

    def speaker_accuracies(self):
        """UA of each speaker's clips in every run that tested the speaker.

        Returns
        -------
        dict
            Speaker -> list of UA, one per run.
        """
        found = {}
        runs = self.clips.groupby(["speaker", "fold", "seed"])
        for (speaker, _, _), clips in runs:
            accuracy = unweighted_accuracy(clips["label"], clips["prediction"])
            found.setdefault(speaker, []).append(accuracy)
        return found


@dataclass(frozen=True)
class Analysis:
    """All figures of a report.

    Arguments
    ---------
    corpus, scale : str
        Of all runs.
    train_share : float
        Fraction of the training part that was used.
    classes, folds, speakers : list of str
        Names, in order.
    procedures : list of Procedure
        In the paper's order.
    comparisons : list of dict
        All pairs that share runs, as ``compare_all`` returns them.
    missing : list of str
        Sentences about missing runs of unfinished plans.
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
        rows = {p.name: (self.corpus, p.name) for p in self.procedures}
        known = PUBLISHED if self.train_share == WHOLE else {}
        return {name: known[key] for name, key in rows.items() if key in known}

    @property
    def listeners(self):
        """The paper's row of human listeners, or None."""
        return PUBLISHED.get((self.corpus, "human"))

    @property
    def chance(self):
        """The UA of a uniform guess."""
        return 1 / len(self.classes)


def analyse(runs, plans, missing, resamples=5000):
    """Compute all figures of the report.

    Arguments
    ---------
    runs : list of Run
        Finished runs of one corpus, scale and protocol.
    plans : list of PlanRecord
        Their plans; runs that they discarded are left out of the means.
    missing : list of str
        Sentences about missing runs.
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
    plan_of = {plan.procedure: plan for plan in plans}
    names = {run.procedure for run in runs}
    order = [
        name
        for base in [*TITLES, *sorted(names)]
        for name in sorted(names)
        if name.split("-")[0] == base
    ]
    procedures = []
    for name in sorted(names, key=order.index):
        own = [run for run in runs if run.procedure == name]
        kinds = _by_kind(own, plan_of.get(name))
        if kinds["counts"]:
            procedures.append(
                _procedure(
                    kinds, plan_of.get(name), classes, speakers, resamples
                )
            )
    if not procedures:
        raise InputError(
            f"no run that {plans[0].path} counts has finished: continue the "
            "plan with the command that began it."
        )
    return Analysis(
        corpus=runs[0].metrics["corpus"],
        scale=runs[0].metrics["scale"],
        train_share=runs[0].share,
        classes=classes,
        folds=sorted({run.fold for run in runs}, key=fold_order),
        speakers=speakers,
        procedures=procedures,
        comparisons=compare_all(procedures, classes, resamples),
        missing=missing,
    )


def _by_kind(runs, plan):
    """Split runs into those that count, discarded and spare ones."""
    kinds = {"counts": [], "discarded": [], "spare": []}
    for run in runs:
        kinds["counts" if plan is None else plan.kind(run)].append(run)
    return kinds


def _procedure(kinds, plan, classes, speakers, resamples):
    """Compute one procedure's figures, from at least one run that counts."""
    runs = kinds["counts"]
    clips = clip_table(runs)
    folds = sorted({run.fold for run in runs}, key=fold_order)
    trials = [
        fold_trials(clips[clips["fold"] == fold], classes, speakers)
        for fold in folds
    ]
    scores = protocol_scores(trials, len(classes))
    several = clips["speaker"].nunique() > 1
    name = runs[0].procedure
    return Procedure(
        name=name,
        title=procedure_title(name),
        runs=runs,
        discarded=kinds["discarded"],
        spare=kinds["spare"],
        clips=clips,
        folds=folds,
        scores={name: score[0] for name, score in scores.items()},
        by_clip=bootstrap(trials, len(classes), "clip", resamples),
        by_speaker=bootstrap(trials, len(classes), "speaker", resamples)
        if several
        else None,
        plan=plan,
    )


def fold_trials(clips, classes, speakers):
    """Predictions of the runs of one fold, as arrays in the order of clips.

    Arguments
    ---------
    clips : pandas.DataFrame
        The rows of one fold; all its runs test the same clips.
    classes, speakers : list of str
        Names for the indices.

    Returns
    -------
    FoldTrials
        The arrays.
    """
    said = clips.pivot(index="clip", columns="seed", values="prediction")
    truth = clips.drop_duplicates("clip").set_index("clip").loc[said.index]
    indices = pandas.Index(classes)
    return FoldTrials(
        truth=indices.get_indexer(truth["label"]),
        speaker=pandas.Index(speakers).get_indexer(truth["speaker"]),
        prediction=np.stack([indices.get_indexer(said[run]) for run in said]),
    )
