"""The plans for a table of the paper, and the table itself."""

import dataclasses
import shlex
from contextlib import nullcontext, redirect_stdout
from dataclasses import dataclass

from ser_brain.assets import ROOT
from ser_brain.errors import InputError
from ser_brain.experiment.outline import Outline
from ser_brain.experiment.settings import known_elsewhere, load_layer
from ser_brain.plans.plan import Plan
from ser_brain.plans.states import seconds_left, time_left
from ser_brain.reporting import published
from ser_brain.reporting.cells import Scores
from ser_brain.reporting.paper_tables import (
    SHARES,
    accuracy_table,
    data_size_table,
    share_name,
    systems_table,
)
from ser_brain.reporting.texts import TEXTS, notices

HPARAMS = ROOT / "hparams"
BATCH = "--adaptation_batch_seconds"
CORPUS = {1: "IEMOCAP", 2: "SAVEE", 4: "IEMOCAP", 5: "IEMOCAP"}


@dataclass(frozen=True)
class Part:
    """A plan for some cells of a table.

    Arguments
    ---------
    procedure : str
        The stem of its method file: "vft", "tapt", "ptapt", or another
        system of Table 5.
    share : float
        Fraction of the training part that it uses.
    plan : Plan
        Its runs.
    """

    procedure: str
    share: float
    plan: Plan

    @property
    def name(self):
        """A description of the part: ``TAPT``, or ``TAPT on 1/4``."""
        title = published.procedure_title(self.procedure)
        if self.share == 1:
            return title
        return f"{title} on {share_name(self.share)}"


def make_parts(number, folds, overrides, **choices):
    """Create the plans of a table, without running anything.

    Arguments
    ---------
    number : int
        1, 2, 4 or 5.
    folds : str
        As for ``Plan``.
    overrides : list of str
        Words of every run's command line.
    **choices
        runs (None: as in the paper), repeat and outliers, as for ``Plan``.

    Returns
    -------
    list of Part
        In the order of the table's columns, then of its rows.

    Raises
    ------
    InputError
        If a choice or setting is invalid, or is made by the table itself.
    """
    corpus = CORPUS[number]
    _check_words(number, folds, overrides)
    choices["runs"] = choices["runs"] or published.RUNS[corpus]
    if number == 4:
        folds = published.DATA_SIZE_FOLD
    parts = []
    systems = [system["procedure"] for system in published.OTHER_SYSTEMS]
    procedures = [*(systems if number == 5 else ()), *published.PROCEDURES]
    for share in SHARES if number == 4 else (1.0,):
        own = [] if share == 1 else ["--train_share", f"{share:g}"]
        for procedure in procedures:
            words = [*words_for(procedure, overrides), *own]
            yaml = HPARAMS / f"{procedure}.yaml"
            # The first one has already warned about the mini corpus.
            with redirect_stdout(None) if parts else nullcontext():
                plan = Plan(corpus, yaml, folds, overrides=words, **choices)
            parts.append(Part(procedure, share, plan))
    return parts


def _check_words(number, folds, words):
    """Refuse settings that the table itself decides."""
    given = {word.split("=")[0] for word in words if word.startswith("--")}
    if "--manifest" in given:
        raise InputError(
            f"table {number} is about {CORPUS[number]}: leave --manifest out, "
            "and use ser-brain run and ser-brain report for clips of your own."
        )
    if number != 4:
        return
    if folds != "all":
        raise InputError(
            f"table 4 is about fold {published.DATA_SIZE_FOLD} alone: leave "
            "--folds out."
        )
    if "--train_share" in given:
        raise InputError("table 4 chooses --train_share itself: leave it out.")


def mini_words(number, words):
    """Settings without which a table cannot run on the mini corpus.

    Arguments
    ---------
    number : int
        1, 2, 4 or 5.
    words : list of str
        The command line's own settings, which come first.

    Returns
    -------
    list of str
        An eighth of the mini corpus, 55 s of audio, cannot fill a batch of the
        nano scale's 60 s, so the whole of Table 4 uses smaller ones there.

    Example
    -------
    >>> mini_words(1, [])
    []
    """
    given = any(word.split("=")[0] == BATCH for word in words)
    if number != 4 or given:
        return []
    argv = [str(HPARAMS / "ptapt.yaml"), *words_for("ptapt", words)]
    return [BATCH, "30.0"] if Outline(argv, CORPUS[number]).mini else []


def words_for(procedure, words):
    """Select the words that a procedure knows.

    Arguments
    ---------
    procedure : str
        The stem of its method file.
    words : list of str
        A command line's ``--key value`` and ``--key=value``.

    Returns
    -------
    list of str
        Without the settings of other procedures. Unknown settings are kept:
        the run's own check reports them.

    Example
    -------
    >>> words = ["--states_steps", "2", "--lr=5e-5", "--n_clusters", "[4, 8]"]
    >>> words_for("vft", words)
    ['--lr=5e-5']
    """
    tree = load_layer(HPARAMS / f"{procedure}.yaml")
    others = known_elsewhere(HPARAMS).keys() - tree.keys()
    kept, keeps = [], True
    for word in words:
        if word.startswith("--"):
            keeps = word[2:].split("=")[0] not in others
        if keeps:
            kept.append(word)
    return kept


def fold_scores(plan, fold):
    """UA of a fold's runs so far, in percent.

    Returns
    -------
    Scores
        Scores of the finished runs that count, and of the discarded ones.
    """
    chosen = plan.selection(fold)
    planned = [plan.planned(fold, seed) for seed in chosen.seeds]
    return Scores(
        kept=tuple(100 * run.metrics["UA"] for run in planned if run.finished),
        discarded=tuple(100 * one.score for one in chosen.discarded),
    )


def drawn_hours(parts):
    """Hours of training audio by share, from finished runs."""
    return {
        part.share: run.metrics["train_hours"]
        for part in parts
        for run in part.plan.counting()
        if run.finished
    }


def lacking(parts):
    """Describe missing runs of a table, one sentence per plan.

    Returns
    -------
    list of str
        Empty if every run that counts has finished.
    """
    return [
        f"{part.name} lacks {'; '.join(names)}"
        for part in parts
        if (names := [_lacking(part.plan, run) for run in part.plan.missing()])
    ]


def _lacking(plan, run):
    error = plan.failed.get((run.fold, run.seed))
    return run.name + (f" (failed: {error.rstrip('.')})" if error else "")


def discarded(parts):
    """Describe discarded runs, one sentence per plan.

    Returns
    -------
    list of str
    """
    told = []
    for part in parts:
        names = [
            f"fold {fold}, seed {one.seed} ({100 * one.score:.1f})"
            for fold in part.plan.folds
            for one in part.plan.selection(fold).discarded
        ]
        if names:
            told.append(f"{part.name}, discarded: {'; '.join(names)}")
    return told


def dry_run(parts, workers):
    """List every run with its state, and the total remaining time."""
    lines, seconds = [], []
    for part in parts:
        lines += [f"{part.name}, {part.plan.dry_run(workers)}", ""]
        seconds.append(seconds_left(part.plan.counting()))
    estimated = [value for value in seconds if value is not None]
    total = time_left(sum(estimated) if estimated else None, workers)
    if None in seconds and estimated:
        unknown = seconds.count(None)
        total += f"; {unknown} of {len(parts)} plans not counted: no run yet"
    return "\n".join([*lines, f"together: {total}"])


def filled(number, parts, overrides):
    """Build the table from finished runs, and list what is missing.

    Arguments
    ---------
    number : int
        1, 2, 4 or 5.
    parts : list of Part
        Its plans.
    overrides : list of str
        Mentioned below the table.

    Returns
    -------
    Table, list of str
        The heading says INCOMPLETE if the list is not empty.
    """
    # The last part uses the whole training part.
    plan = parts[-1].plan
    scale = plan.outline.scale
    ours = "ours" if scale == "full" else f"ours ({scale})"
    shown_as = (plan.outline.name, ours)
    lacks = lacking(parts)
    notes = [f"INCOMPLETE: {sentence}" for sentence in lacks]
    notes += [*discarded(parts), *plan_notes(parts, overrides)]
    # Table 4 is of one fold.
    if number != 4 and plan.folds != plan.all_folds:
        folds, every = ", ".join(plan.folds), len(plan.all_folds)
        said = TEXTS["paper"]["folds"]
        notes.append(said.format(folds=folds, every=every))
    scores = {
        (part.procedure, part.share if number == 4 else fold): fold_scores(
            part.plan, fold
        )
        for part in parts
        for fold in part.plan.folds
    }
    known = shown_as, plan.folds, scores, notes
    if number == 4:
        table = data_size_table(shown_as, scores, drawn_hours(parts), notes)
    elif number == 5:
        table = systems_table(*known)
    else:
        table = accuracy_table(number, CORPUS[number], *known)
    if lacks:
        table = dataclasses.replace(table, title=f"{table.title}: INCOMPLETE")
    return table, lacks


def plan_notes(parts, overrides):
    """Notes on how the figures were computed.

    Arguments
    ---------
    parts : list of Part
        The table's plans.
    overrides : list of str
        Words of the runs' command lines.

    Returns
    -------
    list of str
    """
    plan, said = parts[-1].plan, TEXTS["paper"]
    told = said["runs"].format(
        runs=plan.runs,
        repeat=plan.repeat,
        repeats=TEXTS["repeats"][plan.repeat],
        outlier=plan.outliers,
        outliers=TEXTS["outliers"][plan.outliers],
    )
    outlines = {part.name: part.plan.outline for part in parts}
    known = notices(plan.outline.name, plan.outline.scale)
    notes = [told, *known]
    for name, outline in outlines.items():
        more = notices(outline.name, outline.scale)
        notes += [f"{name}: {note}" for note in more if note not in known]
    if overrides:
        notes.append(said["words"].format(words=shlex.join(overrides)))
    return [*notes, f"paper: {published.SOURCE}"]
