"""Shares of a training part, each contained in the larger ones.

The paper repeatedly halves the training data at random (Chen and Rudnicky,
Table 4). The draw depends only on the clips and on a seed of the data, so that
every procedure and every run uses the same halves.
"""

import numpy as np

from ser_brain.errors import InputError


def training_share(manifest, ids, share, seed=0):
    """Draw a share of a training part, stratified by class and speaker.

    All clips are put into one random order in which the classes, and the
    speakers within a class, are spread evenly; a share is the beginning of
    that order. The shares of one seed are therefore nested, and the class
    frequencies are preserved to within one clip.

    Arguments
    ---------
    manifest : dict
        The manifest, its "emotion" already the class.
    ids : iterable of str
        The training part; its order does not matter.
    share : float
        Fraction of the clips to keep, in (0, 1].
    seed : int
        Another seed draws other clips.

    Returns
    -------
    tuple of str
        Ids of the share, sorted.

    Raises
    ------
    InputError
        If the share is not in (0, 1], or too small to hold a clip of each
        class.

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
    """Total duration of some clips, in hours.

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
    """Return one order in which each group is spread evenly.

    The n clips of a group are placed at (i + u) / n in the unit interval, u
    random: any beginning of the order holds its share of each group.
    """
    placed = []
    for members in groups.values():
        order = rng.permutation(members) if shuffled else np.array(members)
        places = (np.arange(len(order)) + rng.random()) / len(order)
        placed += zip(places.tolist(), order.tolist(), strict=True)
    return [id for _, id in sorted(placed)]
