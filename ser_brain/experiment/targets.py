"""Regression targets and soft targets of utterances."""

from ser_brain.corpora import get_corpus, read_numbers
from ser_brain.errors import InputError

TARGETS, SOFT = "targets", "soft_targets"


def with_targets(outline, classes):
    """Add the targets that the settings require to a run's manifest.

    Arguments
    ---------
    outline : Outline
        Its manifest has the classes chosen.
    classes : dict
        ``{class: labels that it joins}``.

    Returns
    -------
    dict
        With ``targets: [valence, …]``, entries have those numbers as their
        ``target``; with ``soft_targets``, the raters' shares of the classes.
        Else the unchanged manifest.

    Raises
    ------
    InputError
        If there are no such numbers, or some clips lack them.
    """
    targets = outline.settings.get(TARGETS)
    soft = outline.settings.get(SOFT, False)
    if targets is None and not soft:
        return outline.manifest
    labels = [label for joined in classes.values() for label in joined]
    numbers = _numbers(outline, TARGETS if targets else SOFT, targets or labels)
    return {
        key: {
            **entry,
            "target": _ratings(key, numbers[key], targets)
            if targets
            else _shares(key, numbers[key], classes),
        }
        for key, entry in outline.manifest.items()
    }


def _numbers(outline, setting, columns):
    """Numbers of every clip, from a table's columns or from raters."""
    if outline.table is not None:
        return read_numbers(outline.table, columns)
    corpus = get_corpus(outline.name.removeprefix("mini-"))
    if corpus.numbers is None:
        raise InputError(
            f"{corpus.name} has no ratings, which --{setting} asks for: take "
            "IEMOCAP, or a --manifest with a column for each of "
            f"{', '.join(columns)}."
        )
    return corpus.numbers(outline.data_folder)


def _ratings(key, numbers, targets):
    """Return the targets of a clip in order."""
    lacking = [name for name in targets if name not in numbers]
    if lacking:
        raise InputError(
            f"the clip {key} has no {lacking[0]}, which --{TARGETS} asks for: "
            f"its ratings are {', '.join(numbers)}."
        )
    return [round(numbers[name], 6) for name in targets]


def _shares(key, numbers, classes):
    """Return the share of each class, in the order of the classes' names."""
    votes = [
        sum(numbers.get(label, 0.0) for label in classes[name])
        for name in sorted(classes)
    ]
    if min(votes) < 0 or sum(votes) <= 0:
        raise InputError(
            f"the clip {key} has no votes for any class, or some below 0 "
            f"({', '.join(map(str, votes))}): correct its columns, or take it "
            "out."
        )
    return [round(vote / sum(votes), 6) for vote in votes]
