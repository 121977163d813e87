"""The scores of a model, from its own folder."""

from dataclasses import dataclass, field
from pathlib import Path

from ser_brain.inference.checks import CLASSIFIER, check_run
from ser_brain.inference.classifier import read_description
from ser_brain.reporting.analysis import analyse
from ser_brain.reporting.formats import DIVIDED, counted, interval, percent
from ser_brain.results.outputs import read_json
from ser_brain.results.runs import METRICS, read_run

SCORES = "cross_validation.json"
NAMES = {"UA": "UA", "WA": "WA", "macro_f1": "macro F1"}


@dataclass(frozen=True)
class Record:
    """Description and scores of a model.

    Arguments
    ---------
    description : dict
        The content of classifier.json.
    tested : str
        One sentence on the test data.
    clips : int
        Number of test clips; 0 if no test is recorded.
    scores : dict
        Name of a score -> fraction; ``recall`` -> fraction by class.
    over_clips, over_speakers : dict or None
        The same names -> 95 % interval; None if there is none.
    chance, baseline : float or None
        UA of guessing and of the log-mel baseline.
    warnings : list of str
        Sentences about what makes the scores doubtful.
    """

    description: dict
    tested: str = "No test of this model is recorded."
    clips: int = 0
    scores: dict = field(default_factory=dict)
    over_clips: dict | None = None
    over_speakers: dict | None = None
    chance: float | None = None
    baseline: float | None = None
    warnings: list = field(default_factory=list)

    def rows(self):
        """Rows of a table: name, percent and the two intervals as text.

        Example
        -------
        >>> record = Record(
        ...     {}, scores={"UA": 0.75}, over_clips={"UA": (0.7, 0.8)}
        ... )
        >>> record.rows()
        [['UA', '75.0', '70.0 to 80.0', '–']]
        """
        rows = [
            self._row(title, self.scores[name], name)
            for name, title in NAMES.items()
            if name in self.scores
        ]
        if self.baseline is not None:
            rows.append(["UA of a log-mel baseline", percent(self.baseline)])
        if self.chance is not None:
            rows.append(["UA of chance", percent(self.chance)])
        for name, value in self.scores.get("recall", {}).items():
            rows.append(self._row(f"recall of {name}", value, "recall", name))
        return [[*row, *["–"] * (4 - len(row))] for row in rows]

    def _row(self, title, value, *keys):
        """One row: a score with its intervals."""
        return [title, percent(value)] + [
            _interval(found, *keys)
            for found in (self.over_clips, self.over_speakers)
        ]


def _interval(found, *keys):
    """An interval as text; a dash if there is none."""
    for key in keys:
        found = (found or {}).get(key)
    return interval(found) if found else "–"


def read_record(model):
    """Read the record of a model from its folder.

    Arguments
    ---------
    model : str or Path
        What ``ser-brain train`` left, a run folder, or a pushed model.

    Returns
    -------
    Record
        Without scores if the folder has none.

    Raises
    ------
    InputError
        If the model is incomplete, or its results were edited.
    """
    model = Path(model)
    check_run(model)
    description = read_description(model / CLASSIFIER)
    if (model / SCORES).is_file():
        return _of_table(description, read_json(model / SCORES))
    if (model / METRICS).is_file():
        return _of_run(description, read_run(model))
    return Record(description)


def _of_table(description, found):
    """The cross-validation of ``ser-brain train``."""
    intervals = found["intervals"]
    divided = DIVIDED[found["folds_by"]].capitalize()
    folds = counted(len(found["folds"]), "fold")
    clips = counted(found["clips"], "clip")
    speakers = counted(found["speakers"], "speaker")
    return Record(
        description,
        f"{divided} was tested by a model trained on the others "
        f"({folds}, {clips}, {speakers}); "
        "this model was trained on all of them.",
        found["clips"],
        {name: found[name] for name in (*NAMES, "recall")},
        intervals["clips"],
        intervals["speakers"],
        found["chance"],
        found["baseline_UA"],
        found["warnings"],
    )


def _of_run(description, run):
    """One run of a recipe, which tested its fold."""
    analysis = analyse([run], [], [])
    procedure = analysis.procedures[0]
    speakers = procedure.clips["speaker"].nunique()
    by_speaker = procedure.by_speaker
    count = run.metrics["n"]
    clips = counted(count, "clip")
    return Record(
        description,
        f"Fold {run.fold} ({clips}, {counted(speakers, 'speaker')}) "
        "was tested by this model, which was trained on the other folds.",
        count,
        {name: run.metrics[name] for name in (*NAMES, "recall")},
        _by_name(procedure.by_clip, analysis.classes),
        by_speaker and _by_name(by_speaker, analysis.classes),
        analysis.chance,
    )


def _by_name(found, classes):
    """The intervals of a procedure, as in cross_validation.json."""
    lows, highs = found["recall"]
    recalls = dict(zip(classes, zip(lows.tolist(), highs.tolist())))
    scores = {name: tuple(map(float, found[name])) for name in NAMES}
    return {**scores, "recall": recalls}
