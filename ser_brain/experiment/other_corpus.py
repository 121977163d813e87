"""Cross-corpus tests: trained on one corpus, tested on another's table."""

from collections import Counter
from pathlib import Path

from speechbrain.utils.distributed import if_main_process, run_on_main

from ser_brain.corpora import load_manifest, prepare_table
from ser_brain.errors import InputError

# Placeholder for the test table's folder in the paths of its clips.
ROOT = "{test_root}"


def label_map(given):
    """Parse the map from labels of the test table to classes.

    Arguments
    ---------
    given : str, dict or None
        For example ``anger=angry,joy=happy`` on the command line, or a dict.

    Returns
    -------
    dict or None
        None if nothing is given: labels are classes.

    Raises
    ------
    InputError
        If it is not such a list, or gives a label twice.

    Example
    -------
    >>> label_map("anger=angry, joy=happy")
    {'anger': 'angry', 'joy': 'happy'}
    """
    if given is None:
        return None
    if isinstance(given, dict):
        return {str(label): str(name) for label, name in given.items()}
    mapping = {}
    for part in str(given).split(","):
        label, equals, name = (each.strip() for each in part.partition("="))
        if not (label and equals and name):
            raise InputError(
                f"--labels has {part.strip()!r}: write label=class, with "
                "commas between, as anger=angry,joy=happy."
            )
        if label in mapping:
            raise InputError(
                f"--labels gives the label {label!r} to both "
                f"{mapping[label]!r} and {name!r}: keep one."
            )
        mapping[label] = name
    return mapping


def read_test_table(table, manifest_path, classes, labels):
    """Read clips of another corpus, with the classes of the training.

    Arguments
    ---------
    table : str or Path
        A table as for ``--manifest``.
    manifest_path : Path
        The file for its manifest.
    classes : list of str
        Classes of the training.
    labels : dict or None
        As returned by ``label_map``.

    Returns
    -------
    dict
        Manifest entries. Ids, speakers and sessions begin with the table's
        name, so that a speaker 1 here is not a speaker 1 of the training;
        audio paths begin with ``ROOT``.

    Raises
    ------
    InputError
        If a label or class is unknown, or a class has no clip left.
    """
    table = Path(table).expanduser()
    run_on_main(prepare_table, args=[table, manifest_path])
    whole = load_manifest(manifest_path)
    counts = Counter(entry["emotion"] for entry in whole.values())
    class_of = {name: name for name in counts if name in classes}
    if labels is not None:
        _check_labels(table, labels, counts, classes)
        class_of = labels
    _check_classes(table, class_of, counts, classes)
    _tell_left_out(table, class_of, counts)
    return {
        f"{table.stem}/{key}": {
            **entry,
            "wav": entry["wav"].replace("{data_root}", ROOT),
            "emotion": class_of[entry["emotion"]],
            "speaker": f"{table.stem}/{entry['speaker']}",
            "session": f"{table.stem}/{entry['session']}",
        }
        for key, entry in whole.items()
        if entry["emotion"] in class_of
    }


def _check_labels(table, labels, counts, classes):
    """Check that the map names labels of the table and known classes."""
    for label, name in labels.items():
        if label not in counts:
            raise InputError(
                f"--labels names the label {label!r}, which {table} does not "
                f"have: it has {', '.join(sorted(counts))}."
            )
        if name not in classes:
            raise InputError(
                f"--labels makes {label!r} the class {name!r}, which the "
                f"training does not have: it has {', '.join(classes)}."
            )


def _check_classes(table, class_of, counts, classes):
    """Check that every class of the training is tested."""
    lost = [name for name in classes if name not in class_of.values()]
    if lost:
        raise InputError(
            f"the class {lost[0]!r} of the training has no label in {table} "
            f"(labels: {', '.join(sorted(counts))}): map one to it by "
            "--labels label=class, or take the class out by --classes."
        )


def _tell_left_out(table, class_of, counts):
    """Log which labels of the table are not tested."""
    left = {label: n for label, n in counts.items() if label not in class_of}
    if left and if_main_process():
        labels = ", ".join(sorted(left))
        print(
            f"{table}: {sum(left.values())} clips of {labels} are no class "
            "of the training and are left out.",
            flush=True,
        )


def check_apart(train, test, train_root, test_root):
    """Refuse a test clip that is also in the training part.

    Arguments
    ---------
    train, test : dict
        Manifest entries.
    train_root, test_root : Path
        The folders for which their placeholders stand.

    Raises
    ------
    InputError
        Naming the first such file.
    """
    heard = {
        Path(entry["wav"].replace("{data_root}", str(train_root))).resolve()
        for entry in train.values()
    }
    for entry in test.values():
        path = Path(entry["wav"].replace(ROOT, str(test_root))).resolve()
        if path in heard:
            raise InputError(
                f"{path} is a clip of the training and of --test_manifest: "
                "take it out of one of them."
            )
