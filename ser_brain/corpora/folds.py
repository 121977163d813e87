"""Speaker-independent folds, as a pure function of the manifest.

A fold is named by the group that it tests: session 3 of IEMOCAP, speaker DC
of SAVEE, or the fold name in the user's table. Everything else is its
training part, and adaptation sees that part only.
"""

import re
from dataclasses import dataclass

import numpy as np

from ser_brain.errors import InputError

RULES = ("session", "speaker", "fold")
# The fold that trains on all clips, for a model to be used elsewhere.
ALL = "all"


@dataclass(frozen=True)
class Fold:
    """One fold of the protocol.

    Arguments
    ---------
    name : str
        The group that is tested.
    train : tuple of str
        Ids of the clips that training and adaptation may see, sorted.
    test : tuple of str
        Ids of the clips that are tested, sorted.

    Example
    -------
    >>> Fold("1", train=("b",), test=("a",)).test
    ('a',)
    """

    name: str
    train: tuple[str, ...]
    test: tuple[str, ...]


def folds(manifest, by):
    """Return all folds of a manifest.

    Arguments
    ---------
    manifest : dict
        The manifest.
    by : str
        What is left out in turn: "session", "speaker", or "fold" (the user's
        own).

    Returns
    -------
    dict
        `{name: Fold}`, in natural order: 2 before 10, DC before JE.

    Raises
    ------
    InputError
        If there are fewer than two groups, a clip has no group, or a speaker
        is in two groups.

    Example
    -------
    >>> clips = {
    ...     "a": {"speaker": "DC", "session": "1"},
    ...     "b": {"speaker": "JE", "session": "2"},
    ... }
    >>> folds(clips, "session")["2"]
    Fold(name='2', train=('a',), test=('b',))
    """
    groups = _groups(manifest, by)
    if len(groups) < 2:
        raise InputError(
            f"Folds by {by} need at least two {by}s, and the manifest has "
            f"{len(groups)} ({', '.join(groups) or 'no clip'}): add clips "
            "or choose another rule."
        )
    _check_speakers(manifest, groups)
    everything = sorted(manifest)
    return {
        name: Fold(
            name,
            train=tuple(i for i in everything if i not in groups[name]),
            test=tuple(sorted(groups[name])),
        )
        for name in sorted(groups, key=_natural)
    }


def get_fold(manifest, by, name):
    """Return one fold by its name.

    Arguments
    ---------
    manifest : dict
        The manifest.
    by : str
        As for `folds`.
    name : str or int
        Name of the fold, such as 3 or "DC". "all", unless a group has that
        name, trains on every clip and tests none.

    Returns
    -------
    Fold
        The fold.

    Raises
    ------
    InputError
        If there is no such fold.

    Example
    -------
    >>> clips = {
    ...     "a": {"speaker": "DC", "session": "DC"},
    ...     "b": {"speaker": "JE", "session": "JE"},
    ... }
    >>> get_fold(clips, "speaker", "DC").train
    ('b',)
    """
    if str(name) == ALL and ALL not in _groups(manifest, by):
        return Fold(ALL, train=tuple(sorted(manifest)), test=())
    every = folds(manifest, by)
    if str(name) not in every:
        raise InputError(
            f"There is no fold {str(name)!r}: the folds by {by} are "
            f"{', '.join(every)}."
        )
    return every[str(name)]


def fold_rule(manifest):
    """Choose the fold rule of a manifest without a published protocol.

    Arguments
    ---------
    manifest : dict
        The manifest of a user's own table.

    Returns
    -------
    str
        "fold" if the table gives folds, else "session", which is the speaker
        if the table gives no sessions.

    Example
    -------
    >>> fold_rule({"a": {"speaker": "DC", "session": "DC", "fold": "x"}})
    'fold'
    """
    given = any("fold" in item for item in manifest.values())
    return "fold" if given else "session"


def check_training_classes(manifest, fold, classes):
    """Check that every class has a clip in the training part.

    Arguments
    ---------
    manifest : dict
        The manifest, its "emotion" already the class.
    fold : Fold
        The fold.
    classes : iterable of str
        All classes.

    Raises
    ------
    InputError
        If a class has no training clip.

    Example
    -------
    >>> clips = {"a": {"emotion": "sad"}, "b": {"emotion": "angry"}}
    >>> check_training_classes(clips, Fold("1", ("a",), ("b",)), ["angry"])
    Traceback (most recent call last):
    ...
    ser_brain.errors.InputError: The class 'angry' has no training clip ...
    """
    trained = {manifest[id]["emotion"] for id in fold.train}
    for name in classes:
        if name not in trained:
            raise InputError(
                f"The class {name!r} has no training clip in fold "
                f"{fold.name}: take it out of `classes`, add clips of other "
                "speakers, or choose another fold."
            )


def split_validation(ids, fraction=0.1, seed=0):
    """Split a training part at random (Chen and Rudnicky, step P1).

    Arguments
    ---------
    ids : iterable of str
        The clips; their order does not matter.
    fraction : float
        Fraction to validate on, between 0 and 1; at least one clip is taken
        and one is left.
    seed : int
        The same seed gives the same split.

    Returns
    -------
    train : tuple of str
        Ids to train on, sorted.
    valid : tuple of str
        Ids to validate on, sorted.

    Raises
    ------
    InputError
        If there are fewer than two clips, or the fraction is not in (0, 1).

    Example
    -------
    >>> train, valid = split_validation("abcdefghij", fraction=0.2)
    >>> len(train), len(valid)
    (8, 2)
    """
    ids = sorted(ids)
    if not 0 < fraction < 1:
        raise InputError(
            f"The validation fraction is {fraction}: give one between 0 and 1."
        )
    if len(ids) < 2:
        raise InputError(
            f"A validation split needs at least two clips, not {len(ids)}: "
            "add clips to the training part."
        )
    n_valid = min(max(round(len(ids) * fraction), 1), len(ids) - 1)
    order = np.random.default_rng(seed).permutation(len(ids))
    valid = sorted(ids[i] for i in order[:n_valid])
    train = sorted(ids[i] for i in order[n_valid:])
    return tuple(train), tuple(valid)


def _groups(manifest, by):
    """Ids by session, speaker or fold."""
    if by not in RULES:
        raise InputError(
            f"There is no fold rule {by!r}: the rules are {', '.join(RULES)}."
        )
    groups = {}
    for id, item in manifest.items():
        if by not in item:
            raise InputError(
                f"The clip {id} has no {by}: give every clip one or choose "
                "another fold rule."
            )
        groups.setdefault(item[by], set()).add(id)
    return groups


def _check_speakers(manifest, groups):
    """Refuse a speaker in two groups, on both sides of a fold."""
    group_of = {}
    for name in sorted(groups, key=_natural):
        for speaker in {manifest[id]["speaker"] for id in groups[name]}:
            if group_of.setdefault(speaker, name) != name:
                raise InputError(
                    f"The speaker {speaker} is in both {group_of[speaker]} "
                    f"and {name}, so a fold would train on a voice that it "
                    "tests: fix the table, or make folds by speaker."
                )


def _natural(name):
    """Sort numbers in a name by value."""
    parts = re.split(r"(\d+)", name)
    return [int(p) if p.isdecimal() else p for p in parts], name
