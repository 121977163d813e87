"""Groups of speakers within a training part."""

from collections import Counter


def speaker_groups(manifest, ids, most=5):
    """Split utterances into groups that share no speaker.

    Speakers are assigned in descending order of their number of utterances,
    each to the smallest group. The utterances of a single speaker are
    distributed class by class instead.

    Arguments
    ---------
    manifest : dict
        The manifest.
    ids : iterable of str
        Utterances to group; their order does not matter.
    most : int
        Maximum number of groups.

    Returns
    -------
    dict
        Maps each id to the number of its group, from 0.

    Example
    -------
    >>> manifest = {
    ...     name: {"speaker": name[0], "emotion": "sad"}
    ...     for name in ("a1", "a2", "b1", "c1")
    ... }
    >>> speaker_groups(manifest, manifest, most=2)
    {'a1': 0, 'a2': 0, 'b1': 1, 'c1': 1}
    """
    ids = sorted(ids)
    counts = Counter(manifest[key]["speaker"] for key in ids)
    if len(counts) == 1:
        by_class = sorted(ids, key=lambda key: manifest[key]["emotion"])
        groups = min(most, len(ids))
        number = {key: place % groups for place, key in enumerate(by_class)}
        return {key: number[key] for key in ids}
    sizes = [0] * min(most, len(counts))
    group = {}
    for speaker, count in sorted(counts.items(), key=lambda one: -one[1]):
        group[speaker] = sizes.index(min(sizes))
        sizes[group[speaker]] += count
    return {key: group[manifest[key]["speaker"]] for key in ids}
