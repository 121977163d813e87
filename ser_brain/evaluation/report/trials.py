"""What runs said, as arrays and by speaker."""

import numpy as np

from ser_brain.evaluation.metrics import confusion, unweighted_accuracy
from ser_brain.evaluation.statistics import FoldTrials


def fold_trials(runs, classes, speakers=None):
    """What runs of one fold said, as arrays; clips in the order of their ids.

    Arguments
    ---------
    runs : list of Run
        Of one fold; they test the same clips.
    classes : list of str
        What the indices of classes mean.
    speakers : list of str, optional
        What the indices of speakers mean; by default those of the fold.

    Returns
    -------
    FoldTrials
        The arrays.
    """
    ordered = [sorted(run.rows, key=lambda row: row["id"]) for run in runs]
    if speakers is None:
        speakers = sorted({row["speaker"] for row in ordered[0]})
    return FoldTrials(
        truth=np.array([classes.index(row["label"]) for row in ordered[0]]),
        speaker=np.array(
            [speakers.index(row["speaker"]) for row in ordered[0]]
        ),
        prediction=np.array(
            [
                [classes.index(row["prediction"]) for row in rows]
                for rows in ordered
            ]
        ),
    )


def pooled_confusion(procedure, classes, fold=None):
    """Counts over all runs of one fold, or of all folds.

    Arguments
    ---------
    procedure : Procedure
        Whose runs.
    classes : list of str
        Rows and columns.
    fold : str, optional
        One fold alone.

    Returns
    -------
    numpy.ndarray
        Shape (classes, classes), true classes in rows.
    """
    rows = [
        row
        for run in procedure.runs
        if fold in (None, run.fold)
        for row in run.rows
    ]
    return confusion(
        [row["label"] for row in rows],
        [row["prediction"] for row in rows],
        classes,
    )


def speaker_accuracies(procedure):
    """UA of each speaker's clips in every run that tested the speaker.

    Arguments
    ---------
    procedure : Procedure
        Whose runs.

    Returns
    -------
    dict
        Speaker -> list of UA, one a run.
    """
    found = {}
    for run in procedure.runs:
        said = {}
        for row in run.rows:
            pair = (row["label"], row["prediction"])
            said.setdefault(row["speaker"], []).append(pair)
        for speaker, pairs in said.items():
            accuracy = unweighted_accuracy(*zip(*pairs))
            found.setdefault(speaker, []).append(accuracy)
    return found
