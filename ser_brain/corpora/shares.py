"""A share of a training part, drawn so that smaller shares lie in larger.

The paper halves the training data at random, again and again (Chen and
Rudnicky, Table 4). What is drawn depends on the clips and on a seed of the
data alone, so that every procedure and every run sees the same halves.
"""

import numpy as np

from ser_brain.errors import InputError


def training_share(manifest, ids, share, seed=0):
    """Draws a share of a training part, stratified by class and speaker.

    All clips are put into one random order in which the classes, and the
    speakers within a class, are spread evenly; a share is the beginning of
    that order. The shares of one seed are therefore nested, and the class
    frequencies stay as they are up to a clip.

    Arguments
    ---------
    manifest : dict
        The manifest, its "emotion" already the class.
    ids : iterable of str
        The training part; its order does not matter.
    share : float
        Part of the clips to keep, in (0, 1].
    seed : int
        Another seed draws other clips.

    Returns
    -------
    tuple of str
        Ids of the share, sorted.

    Raises
    ------
    InputError
        If the share is no share, or too small to hold a clip of each class.

    Example
    -------
    >>> clips = {
    ...     f"{emotion}{number}": {"emotion": emotion, "speaker": "DC"}
    ...     for emotion in ("sad", "angry")
    ...     for number in range(8)
    ... }
    >>> half = training_share(clips, clips, 0.5)
    >>> quarter = training_share(clips, clips, 0.25)
    >>> len(half), len(quarter), set(quarter) < set(half)
    (8, 4, True)
    """
    if not 0 < share <= 1:
        raise InputError(
            f"train_share is {share}: give a share of the training part "
            "above 0 and up to 1."
        )
    ids = sorted(ids)
    classes = _groups(ids, lambda id: manifest[id]["emotion"])
    rng = np.random.default_rng(seed)
    spread = {
        emotion: _interleave(
            _groups(members, lambda id: manifest[id]["speaker"]), rng
        )
        for emotion, members in classes.items()
    }
    taken = _interleave(spread, rng, shuffled=False)[: round(share * len(ids))]
    for emotion, members in classes.items():
        if not set(members) & set(taken):
            raise InputError(
                f"train_share {share} of {len(ids)} training clips leaves "
                f"none of the class {emotion!r}: give a larger share."
            )
    return tuple(sorted(taken))


def hours(manifest, ids):
    """Audio of some clips, in hours.

    Example
    -------
    >>> hours({"a": {"duration": 1800.0}, "b": {"duration": 9.0}}, ["a"])
    0.5
    """
    return sum(manifest[id]["duration"] for id in ids) / 3600


def _groups(ids, name_of):
    """Ids by name, the names sorted."""
    groups = {}
    for id in ids:
        groups.setdefault(name_of(id), []).append(id)
    return dict(sorted(groups.items()))


def _interleave(groups, rng, shuffled=True):
    """One order in which each group is spread evenly.

    The n clips of a group take the places (i + u) / n of the unit interval,
    u random: any beginning of the order holds its share of each group.
    """
    placed = []
    for members in groups.values():
        order = rng.permutation(members) if shuffled else np.array(members)
        places = (np.arange(len(order)) + rng.random()) / len(order)
        placed += zip(places.tolist(), order.tolist(), strict=True)
    return [id for _, id in sorted(placed)]
