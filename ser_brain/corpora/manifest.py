"""The manifest: one JSON file that all later steps read.

`{id: {"wav", "duration", "emotion", "speaker", "session"[, "fold"][, "text"]}}`,
where `wav` starts with SpeechBrain's placeholder `{data_root}`, so that
`DynamicItemDataset.from_json(file, {"data_root": data_folder})` reads it on
any machine, and `duration` is in seconds.
"""

import difflib
import hashlib
import json
from pathlib import Path

from ser_brain.errors import MALFORMED, InputError

FIELDS = ("wav", "duration", "emotion", "speaker", "session")


def build_manifest(clips, durations):
    """Build a manifest from clips and their durations.

    Arguments
    ---------
    clips : iterable of Clip
        Clips that a reader found.
    durations : iterable of float
        Seconds, in the same order.

    Returns
    -------
    dict
        The manifest, sorted by id.

    Example
    -------
    >>> from ser_brain.corpora.corpus import Clip
    >>> clip = Clip("DC_a01", "DC/a01.wav", "anger", "DC", "DC")
    >>> build_manifest([clip], [3.25])["DC_a01"]["wav"]
    '{data_root}/DC/a01.wav'
    """
    manifest = {}
    for clip, duration in zip(clips, durations, strict=True):
        manifest[clip.id] = {
            "wav": f"{{data_root}}/{clip.wav}",
            "duration": round(duration, 6),
            "emotion": clip.emotion,
            "speaker": clip.speaker,
            "session": clip.session,
        }
        more = {"fold": clip.fold, "text": clip.text}
        given = {key: value for key, value in more.items() if value is not None}
        manifest[clip.id] |= given
    return dict(sorted(manifest.items()))


def manifest_text(manifest):
    """Serialise a manifest.

    Arguments
    ---------
    manifest : dict
        The manifest.

    Returns
    -------
    str
        JSON, one field per line.

    Example
    -------
    >>> manifest_text({})
    '{}\\n'
    """
    return json.dumps(manifest, indent=2, ensure_ascii=False) + "\n"


def load_manifest(path):
    """Read a manifest.

    Arguments
    ---------
    path : str or pathlib.Path
        A manifest that `prepare` wrote.

    Returns
    -------
    dict
        The manifest.

    Raises
    ------
    InputError
        If the file is missing or is not a manifest.

    Example
    -------
    >>> load_manifest("/nowhere.json")
    Traceback (most recent call last):
    ...
    ser_brain.errors.InputError: /nowhere.json is not a manifest (...): ...
    """
    try:
        manifest = json.loads(Path(path).read_text(encoding="utf-8"))
        for item in manifest.values():
            for field in FIELDS:
                item[field]
    except OSError as error:
        raise _no_manifest(path, error.strerror) from error
    except KeyError as error:
        raise _no_manifest(path, f"a clip has no {error}") from error
    except MALFORMED as error:
        raise _no_manifest(path, "its form is another") from error
    return manifest


def _no_manifest(path, reason):
    return InputError(
        f"{path} is not a manifest ({reason}): prepare the corpus again."
    )


def manifest_key(manifest):
    """Compute a key of the content of a manifest.

    Arguments
    ---------
    manifest : dict
        A manifest, or a part of one.

    Returns
    -------
    str
        64 hexadecimal digits. It depends on ids, audio paths within the data
        folder, durations and labels; not on the order of the clips or the
        location of the data folder.

    Example
    -------
    >>> manifest_key({})[:8]
    '44136fa3'
    """
    canonical = json.dumps(manifest, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def without_texts(manifest):
    """A manifest as those see it who only listen.

    Arguments
    ---------
    manifest : dict
        A manifest, or a part of one.

    Returns
    -------
    dict
        The same entries without "text".

    Example
    -------
    >>> without_texts({"a": {"emotion": "sad", "text": "No."}})
    {'a': {'emotion': 'sad'}}
    """
    return {
        id: {key: value for key, value in item.items() if key != "text"}
        for id, item in manifest.items()
    }


def texts_of(manifest, source):
    """What is said in each clip.

    Arguments
    ---------
    manifest : dict
        A manifest, or a part of one.
    source : str or pathlib.Path
        Where its clips come from, for the sentence.

    Returns
    -------
    dict
        Text by id.

    Raises
    ------
    InputError
        If a clip has none.

    Example
    -------
    >>> texts_of({"a": {"text": "No."}}, "my.csv")
    {'a': 'No.'}
    >>> texts_of({"a": {}}, "my.csv")
    Traceback (most recent call last):
    ...
    ser_brain.errors.InputError: my.csv has no text for any clip: ...
    """
    lacking = [id for id, item in manifest.items() if not item.get("text")]
    fix = (
        "a table needs what is said in its column `text`; or take the "
        "transcripts of a recogniser, by hparams/audio_asr.yaml."
    )
    if len(lacking) == len(manifest):
        raise InputError(f"{source} has no text for any clip: {fix}")
    if lacking:
        raise InputError(
            f"{source} has no text for {len(lacking)} of {len(manifest)} "
            f"clips, the first of them {lacking[0]}: {fix}"
        )
    return {id: item["text"] for id, item in manifest.items()}


def class_names(classes):
    """Return the classes in the order of their indices.

    Arguments
    ---------
    classes : dict
        `{class: [labels that it joins]}`.

    Returns
    -------
    list of str
        The names in alphabetical order.

    Example
    -------
    >>> class_names({"sad": ["sad"], "happy": ["hap", "exc"]})
    ['happy', 'sad']
    """
    return sorted(classes)


def select_classes(manifest, classes, labels=None):
    """Select the clips of some classes, labelled with the classes.

    Arguments
    ---------
    manifest : dict
        The manifest with the corpus's own labels.
    classes : dict
        `{class: [labels that it joins]}`, as in the recipe's yaml.
    labels : iterable of str, optional
        All labels of the corpus; those in the manifest by default.

    Returns
    -------
    dict
        A new manifest whose "emotion" is the class.

    Raises
    ------
    InputError
        If a label is unknown or in two classes, or a class has no clip.

    Example
    -------
    >>> clips = {"a": {"emotion": "exc"}, "b": {"emotion": "fru"}}
    >>> select_classes(clips, {"happy": ["exc"]})
    {'a': {'emotion': 'happy'}}
    """
    present = {item["emotion"] for item in manifest.values()}
    class_of = _class_of(classes, sorted(labels or present))
    selected = {
        id: {**item, "emotion": class_of[item["emotion"]]}
        for id, item in manifest.items()
        if item["emotion"] in class_of
    }
    found = {item["emotion"] for item in selected.values()}
    for name in class_names(classes):
        if name not in found:
            raise InputError(
                f"The class {name!r} ({', '.join(classes[name])}) has no "
                "clip: take it out of `classes` or complete the corpus, "
                f"whose labels are {', '.join(sorted(present))}."
            )
    return selected


def _class_of(classes, labels):
    """Invert the mapping to label -> class, and check it."""
    class_of = {}
    for name, joined in classes.items():
        if not isinstance(joined, (list, tuple)):
            raise InputError(
                f"`classes` gives {joined!r} for the class {name!r}: write "
                f"a list, {name}: [{joined}]."
            )
        for label in joined:
            if label not in labels:
                near = difflib.get_close_matches(
                    str(label), labels, n=1, cutoff=0.0
                )
                hint = f"did you mean {near[0]!r}? " if near else ""
                raise InputError(
                    f"`classes` names the label {label!r}, which the corpus "
                    f"does not have: {hint}It has {', '.join(labels)}."
                )
            if label in class_of:
                raise InputError(
                    f"`classes` gives the label {label!r} to both "
                    f"{class_of[label]!r} and {name!r}: keep one."
                )
            class_of[label] = name
    return class_of
