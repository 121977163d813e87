"""Cross-validation folds of a table without a protocol, and warnings."""

from ser_brain.corpora.folds import ALL, folds
from ser_brain.corpora.groups import speaker_groups
from ser_brain.errors import InputError

# Up to this many speakers are left out one by one, more of them in groups.
MOST_SPEAKERS = 10
GROUPS = 5
# A recall from fewer clips of a class than this is unreliable.
FEW_CLIPS = 10


def with_folds(manifest):
    """Assign every clip of a manifest to the fold that tests it.

    The table's own folds are used if it has any. Else each of 2 to 10 speakers
    is a fold, more speakers are distributed over 5 folds, and the clips of a
    single speaker are distributed class by class.

    Arguments
    ---------
    manifest : dict
        The manifest, its "emotion" already the class.

    Returns
    -------
    manifest : dict
        The same clips with "fold".
    rule : str
        "table", "speakers", "groups" or "clips".

    Raises
    ------
    InputError
        If the table has fewer than two folds, or two that share a speaker.

    Example
    -------
    >>> clips = {
    ...     "a": {"speaker": "DC", "emotion": "sad"},
    ...     "b": {"speaker": "JE", "emotion": "sad"},
    ... }
    >>> folded, rule = with_folds(clips)
    >>> folded["a"]["fold"], rule
    ('DC', 'speakers')
    """
    speakers = speakers_of(manifest)
    if any("fold" in item for item in manifest.values()):
        rule = "table"
        name = {key: item["fold"] for key, item in manifest.items()}
    elif 1 < len(speakers) <= MOST_SPEAKERS:
        rule = "speakers"
        name = {key: item["speaker"] for key, item in manifest.items()}
    else:
        rule = "clips" if len(speakers) == 1 else "groups"
        groups = speaker_groups(manifest, manifest, GROUPS)
        name = {key: str(1 + group) for key, group in groups.items()}
    folded = {
        key: {**item, "fold": _fold_name(name[key])}
        for key, item in manifest.items()
    }
    folds(as_speakers(folded), "fold")
    return folded, rule


def as_speakers(manifest):
    """Treat the folds of a single speaker as speakers.

    Every later step then works as it does for several speakers.

    Arguments
    ---------
    manifest : dict
        As :func:`with_folds` returns it.

    Returns
    -------
    dict
        The manifest itself if it has several speakers.

    Example
    -------
    >>> as_speakers({"a": {"speaker": "DC", "fold": "2"}})["a"]["speaker"]
    'DC, part 2'
    """
    if len(speakers_of(manifest)) > 1:
        return manifest
    return {
        key: {**item, "speaker": f"{item['speaker']}, part {item['fold']}"}
        for key, item in manifest.items()
    }


def speakers_of(manifest):
    """Names of the speakers, each once, in alphabetical order."""
    return sorted({item["speaker"] for item in manifest.values()})


def _fold_name(name):
    """The fold's name, changed if it is that of the fold of all clips."""
    return f"{name}_" if name == ALL else name


def validated_classes(manifest):
    """Return the classes that can be both learned and tested.

    Arguments
    ---------
    manifest : dict
        As :func:`with_folds` returns it.

    Returns
    -------
    list of str
        Classes with clips in two folds or more, in alphabetical order.

    Raises
    ------
    InputError
        If there are fewer than two.

    Example
    -------
    >>> clips = [("1", "sad"), ("1", "calm"), ("2", "sad"), ("2", "calm")]
    >>> clips.append(("2", "angry"))
    >>> validated_classes(
    ...     {
    ...         n: {"fold": fold, "emotion": name}
    ...         for n, (fold, name) in enumerate(clips)
    ...     }
    ... )
    ['calm', 'sad']
    """
    held = {}
    for item in manifest.values():
        held.setdefault(item["emotion"], set()).add(item["fold"])
    if len(held) < 2:
        raise InputError(
            f"all clips are of the class {next(iter(held))!r}: give clips of "
            "at least two emotions."
        )
    found = sorted(name for name, where in held.items() if len(where) > 1)
    if len(found) < 2:
        alone = sorted(set(held) - set(found))
        raise InputError(
            f"the class {alone[0]!r} is in one fold only, and cross-validation "
            "needs at least two classes with clips in two folds each: add "
            "clips of other speakers."
        )
    return found


def doubts(manifest, digests=None):
    """List what makes the score of a cross-validation doubtful.

    Arguments
    ---------
    manifest : dict
        As :func:`with_folds` returns it.
    digests : dict, optional
        Id to a digest of the clip's audio.

    Returns
    -------
    list of str
        One sentence for each doubt.

    Example
    -------
    >>> clips = {
    ...     n: {"speaker": f"s{n % 2}", "emotion": "sad"} for n in range(6)
    ... }
    >>> print(*doubts(with_folds(clips)[0]))
    a recall from fewer than 10 clips is hardly known: 'sad' has 6.
    """
    found = []
    if len(speakers_of(manifest)) == 1:
        found.append(
            "all clips are of one speaker, so that the folds share a voice: "
            "the score says nothing about new speakers."
        )
    found += class_doubts(manifest)
    found += _lone_classes(manifest)
    return found + _repeated_clips(manifest, digests or {})


def class_doubts(manifest):
    """List what is doubtful about the classes themselves, whatever the folds.

    Arguments
    ---------
    manifest : dict
        The manifest, its "emotion" already the class.

    Returns
    -------
    list of str
        One sentence for each doubt.

    Example
    -------
    >>> names = ["anger"] * 10 + ["Anger"] * 10
    >>> print(*class_doubts({n: {"emotion": x} for n, x in enumerate(names)}))
    the classes 'Anger' and 'anger' differ only in case or spaces and are ...
    """
    return [*_look_alikes(manifest), *_thin_classes(manifest)]


def _look_alikes(manifest):
    """Classes that a reader would take for the same."""
    alike = {}
    for name in sorted({item["emotion"] for item in manifest.values()}):
        alike.setdefault("".join(name.split()).casefold(), []).append(name)
    return [
        f"the classes {' and '.join(map(repr, names))} differ only in case "
        "or spaces and are counted apart: give them one name if they are one "
        "emotion."
        for names in alike.values()
        if len(names) > 1
    ]


def _thin_classes(manifest):
    """Classes with few clips."""
    few = [
        f"{name!r} has {len(items)}"
        for name, items in _by_class(manifest).items()
        if len(items) < FEW_CLIPS
    ]
    if few:
        yield (
            f"a recall from fewer than {FEW_CLIPS} clips is hardly known: "
            f"{', '.join(few)}."
        )


def _by_class(manifest):
    """The clips of each class, in alphabetical order."""
    held = {}
    for item in manifest.values():
        held.setdefault(item["emotion"], []).append(item)
    return dict(sorted(held.items()))


def _lone_classes(manifest):
    """Classes that only one speaker or fold has."""
    several = len(speakers_of(manifest)) > 1
    for name, items in _by_class(manifest).items():
        speakers = {item["speaker"] for item in items}
        places = {item["fold"] for item in items}
        if several and len(speakers) == 1:
            yield (
                f"the class {name!r} is spoken by {min(speakers)} only: no "
                "fold can learn and test it, so that the score leaves it "
                "out, and the model may take that voice for it."
            )
        elif len(places) == 1:
            yield (
                f"the class {name!r} is in fold {min(places)} only: no fold "
                "can learn and test it, so that the score leaves it out."
            )


def _repeated_clips(manifest, digests):
    """Clips whose audio is in another fold as well."""
    first, pairs = {}, []
    for key in sorted(digests):
        other = first.setdefault(digests[key], key)
        if manifest[key]["fold"] != manifest[other]["fold"]:
            pairs.append((other, key))
    if not pairs:
        return []
    one, two = pairs[0]
    count = "1 clip has" if len(pairs) == 1 else f"{len(pairs)} clips have"
    return [
        f"{count} the same audio as a clip of another fold (first: {one} in "
        f"fold {manifest[one]['fold']} and {two} in fold "
        f"{manifest[two]['fold']}), so that the score counts what was "
        "learned by heart: keep one of each."
    ]
