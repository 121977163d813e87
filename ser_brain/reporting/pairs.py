"""Paired comparison of procedures on the runs and clips that both have."""

from itertools import combinations

from ser_brain.evaluation.comparison import (
    accuracy_contributions,
    holm,
    mcnemar,
    randomisation_test,
)


def compare_all(procedures, classes, resamples):
    """Compare all pairs that share runs; p values are corrected together.

    Arguments
    ---------
    procedures : list of Procedure
        The later one is the first of a pair.
    classes : list of str
        Columns of their posteriors.
    resamples : int
        Draws of the randomisation test.

    Returns
    -------
    list of dict
        One per pair that shares runs of the same fold and seed: pair (their
        titles); runs and clips (number shared); difference in UA over
        these runs; p of the randomisation test; only_first and only_second
        (clips that only one of them classifies correctly by mean posterior);
        p_mcnemar; p_holm and p_mcnemar_holm, after Holm's correction.
    """
    found = []
    for second, first in combinations(procedures, 2):
        clips = first.clips, second.clips
        runs = [one[["fold", "seed"]].drop_duplicates() for one in clips]
        shared = runs[0].merge(runs[1])
        if len(shared):
            answers = [clip_answers(c.merge(shared), classes) for c in clips]
            pair = f"{first.title} − {second.title}"
            compared = compare_clips(*answers, resamples)
            found.append({"pair": pair, "runs": len(shared), **compared})
    for name in ("p", "p_mcnemar"):
        for one, p in zip(found, holm([one[name] for one in found])):
            one[f"{name}_holm"] = p
    return found


def compare_clips(first, second, resamples):
    """Apply both tests to one pair of procedures.

    Arguments
    ---------
    first, second : pandas.DataFrame
        Answers to the same clips, as :func:`clip_answers` returns them.
    resamples : int
        Draws of the randomisation test.

    Returns
    -------
    dict
        clips, difference (first − second), p, only_first, only_second and
        p_mcnemar, as for :func:`compare_all`.
    """
    contributions = accuracy_contributions(
        first["label"].factorize()[0],
        first.index.get_level_values("fold").factorize()[0],
        first["correct"].to_numpy(),
        second["correct"].to_numpy(),
    )
    right = first["right"].to_numpy(), second["right"].to_numpy()
    only_first, only_second, p_mcnemar = mcnemar(*right)
    return {
        "clips": len(contributions),
        "difference": float(contributions.sum()),
        "p": randomisation_test(contributions, resamples),
        "only_first": only_first,
        "only_second": only_second,
        "p_mcnemar": p_mcnemar,
    }


def clip_answers(clips, classes):
    """Combine the predictions of several runs for each clip.

    Arguments
    ---------
    clips : pandas.DataFrame
        Rows of some runs, as ``ser_brain.results.load`` returns them.
    classes : list of str
        Columns of the posteriors.

    Returns
    -------
    pandas.DataFrame
        One row per fold and clip, in their order: label; correct, the fraction
        of correct runs; right, whether their mean posterior is correct.

    Example
    -------
    >>> import pandas
    >>> clips = pandas.DataFrame(
    ...     {
    ...         "fold": "1",
    ...         "clip": "a",
    ...         "label": "x",
    ...         "prediction": ["x", "y"],
    ...         "x": [0.9, 0.4],
    ...         "y": [0.1, 0.6],
    ...     }
    ... )
    >>> clip_answers(clips, ["x", "y"])[["correct", "right"]].values.tolist()
    [[0.5, True]]
    """
    correct = clips["prediction"] == clips["label"]
    by_clip = clips.assign(correct=correct).groupby(["fold", "clip"])
    found = by_clip.agg({"label": "first", "correct": "mean"})
    guess = by_clip[classes].mean().idxmax(axis=1)
    return found.assign(right=guess == found["label"])
