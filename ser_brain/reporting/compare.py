"""Comparison of two run folders, or two folders of runs, clip by clip."""

from dataclasses import dataclass, replace

import pandas

from ser_brain.errors import InputError
from ser_brain.evaluation.statistics import (
    bootstrap,
    bootstrap_difference,
    protocol_scores,
)
from ser_brain.reporting.analysis import fold_trials
from ser_brain.reporting.formats import (
    counted,
    interval,
    p_value,
    percent,
    signed,
)
from ser_brain.reporting.pairs import clip_answers, compare_clips
from ser_brain.reporting.published import procedure_title
from ser_brain.reporting.report_tables import few_speakers, worded_table
from ser_brain.results.checks import check_one_protocol
from ser_brain.results.frames import clip_table, fold_order
from ser_brain.results.records import find_plans
from ser_brain.results.runs import find_runs, refuse_nothing

SCORES = {"UA": "UA", "WA": "WA", "macro_f1": "macro-F1"}
MINI = "mini-"


@dataclass(frozen=True)
class Side:
    """One of the two folders, with the runs that count.

    Arguments
    ---------
    folder : str or Path
        As the user gave it.
    runs : list of Run
        Of one corpus, procedure and scale.
    clips : pandas.DataFrame
        Their predictions, as ``ser_brain.results.load`` returns them.
    """

    folder: object
    runs: list
    clips: pandas.DataFrame

    @property
    def corpus(self):
        """Name of the corpus."""
        return self.runs[0].metrics["corpus"]

    @property
    def tested(self):
        """Label, fold and speaker of each clip."""
        clips = self.clips.drop_duplicates("clip").set_index("clip")
        return clips[["label", "fold", "speaker"]].sort_index()

    def __str__(self):
        """Description, as ``SAVEE, V-FT, nano scale, 5 runs (folder)``."""
        run = self.runs[0]
        title, scale = procedure_title(run.procedure), run.metrics["scale"]
        runs = counted(len(self.runs), "run")
        return f"{self.corpus}, {title}, {scale} scale, {runs} ({self.folder})"


def compare(first, second, resamples=5000):
    """Compare runs on the clips that both tested.

    Arguments
    ---------
    first, second : str or Path
        Run folders, or folders with runs of one corpus, procedure and scale.
        Runs that their plan does not count are left out, unless there are no
        others.
    resamples : int
        Draws of the bootstrap and of the randomisation test.

    Returns
    -------
    list of Table
        Scores with intervals, paired tests, and recall by class.

    Raises
    ------
    InputError
        If a folder has no runs or runs of several kinds, or the two have no
        clip in common, other labels, folds or classes.

    Example
    -------
    >>> compare("/nowhere", "/nowhere")
    Traceback (most recent call last):
    ...
    ser_brain.errors.InputError: /nowhere is not a folder: give a folder ...
    """
    sides = on_common_clips(read_side(first), read_side(second))
    classes = sides[0].runs[0].classes
    trials = [all_trials(side, classes, sides[0].tested) for side in sides]
    return [
        scores_table(sides, trials, len(classes), resamples),
        tests_table(sides, classes, resamples),
        recall_table(sides, trials, classes),
    ]


def read_side(folder):
    """Read the runs of a folder that count.

    Raises
    ------
    InputError
        As for :func:`compare`.
    """
    runs, plans = find_runs([folder]), find_plans([folder])
    if not runs:
        refuse_nothing([folder])
    names = ("corpus", "procedure", "scale")
    kinds = {", ".join(run.metrics[name] for name in names) for run in runs}
    if len(kinds) > 1:
        raise InputError(
            f"{folder} holds runs of several kinds ({'; '.join(sorted(kinds))}"
            "): give the folder of one, as results/SAVEE/vft/nano."
        )
    check_one_protocol(runs, plans)
    counting = [
        run for run in runs if all(plan.kind(run) == "counts" for plan in plans)
    ]
    chosen = counting or runs
    return Side(folder, chosen, clip_table(chosen))


def on_common_clips(first, second):
    """Reduce two sides to the clips that both tested.

    Raises
    ------
    InputError
        If there are none, or they differ in label, fold or classes.
    """
    sides = first, second
    one, other = (side.tested for side in sides)
    common = one.index.intersection(other.index)
    # Its clips have the names of the corpus's.
    mini = {side.corpus.startswith(MINI) for side in sides}
    if common.empty or len(mini) > 1:
        told = "; ".join(
            f"{s.corpus}, {s.clips['clip'].iloc[0]}" for s in sides
        )
        raise InputError(
            f"{first.folder} and {second.folder} have no clip in common "
            f"({told}): give runs that test the same clips."
        )
    classes = [sorted(side.runs[0].classes) for side in sides]
    if classes[0] != classes[1]:
        raise InputError(
            f"{first.folder} and {second.folder} differ in classes "
            f"({', '.join(classes[0])}; {', '.join(classes[1])}): give runs of "
            "the same classes."
        )
    for name in ("label", "fold"):
        pairs = pandas.concat([one[name], other[name]], axis=1).loc[common]
        differing = pairs[pairs.iloc[:, 0] != pairs.iloc[:, 1]]
        if len(differing):
            clip, (ours, theirs) = differing.index[0], differing.iloc[0]
            raise InputError(
                f"the {name} of clip {clip} is {ours} in {first.folder} and "
                f"{theirs} in {second.folder}: give runs that agree in it."
            )
    folds = set(one["fold"][common])
    return [
        replace(
            side,
            runs=[run for run in side.runs if run.fold in folds],
            clips=side.clips[side.clips["clip"].isin(common)],
        )
        for side in sides
    ]


def all_trials(side, classes, tested):
    """The predictions of a side by fold, in the order of the folds."""
    speakers = sorted(set(tested["speaker"]))
    # Speakers of both sides are those of the first.
    clips = side.clips.assign(speaker=side.clips["clip"].map(tested["speaker"]))
    return [
        fold_trials(clips[clips["fold"] == fold], classes, speakers)
        for fold in sorted(set(clips["fold"]), key=fold_order)
    ]


def scores_table(sides, trials, n_classes, resamples):
    """UA, WA and macro-F1 of both and their difference, with intervals."""
    speakers = sorted(set(sides[0].tested["speaker"]))
    ways = ["clip", "speaker"] if len(speakers) > 1 else ["clip"]
    draws = [
        [
            *(bootstrap(one, n_classes, way, resamples) for one in trials),
            bootstrap_difference(*trials[::-1], n_classes, way, resamples),
        ]
        for way in ways
    ]
    found = [protocol_scores(one, n_classes) for one in trials]
    rows = []
    for name, said in SCORES.items():
        first, second = (float(scores[name][0]) for scores in found)
        values = [percent(first), percent(second), signed(second - first)]
        for place, side in enumerate(("A", "B", "B − A")):
            form = signed_interval if place == 2 else interval
            ends = [form(way[place][name]) for way in draws]
            rows.append([f"{said}, {side}", values[place], *ends])
    table = worded_table(
        "compared_scores",
        rows,
        ["95 % over speakers"] * (len(ways) - 1),
        speakers=few_speakers(speakers),
    )
    notes = [f"{name}: {side}." for name, side in zip("AB", sides)]
    clips = counted(len(sides[0].tested), "common clip")
    folds = counted(len(trials[0]), "fold")
    told = f"{clips} of {counted(len(speakers), 'speaker')} in {folds}."
    return replace(table, notes=(*notes, told, *table.notes))


def signed_interval(pair):
    """Format an interval of a difference."""
    return " to ".join(map(signed, pair))


def tests_table(sides, classes, resamples):
    """The paired tests of B − A."""
    first, second = (clip_answers(side.clips, classes) for side in sides)
    found = compare_clips(second, first, resamples)
    only = f"only A right {found['only_second']}, only B {found['only_first']}"
    rows = [
        ["randomisation", f"UA {signed(found['difference'])}", found["p"]],
        ["McNemar", only, found["p_mcnemar"]],
    ]
    rows = [[*names, p_value(p)] for *names, p in rows]
    return worded_table("compared_tests", rows)


def recall_table(sides, trials, classes):
    """Recall of each class, side by side."""
    one, other = (
        protocol_scores(side, len(classes))["recall"][0] for side in trials
    )
    clips = sides[0].tested["label"].value_counts()
    rows = [
        [
            name,
            str(clips.get(name, 0)),
            percent(one[place]),
            percent(other[place]),
            signed(other[place] - one[place]),
        ]
        for place, name in enumerate(classes)
    ]
    return worded_table("compared_recall", rows)
