"""Prepare a checked manifest from a folder of audio, once.

The labels are read every time, because that is fast. The audio is decoded only
where something changed since the manifest was written: a sibling file keeps
the fingerprint (names, sizes, times) of all that was read.
"""

import hashlib
import json
import logging
from pathlib import Path

from ser_brain.corpora.audio import check_audio_files
from ser_brain.corpora.corpus import count_differences
from ser_brain.corpora.manifest import (
    build_manifest,
    load_manifest,
    manifest_key,
    manifest_text,
)
from ser_brain.corpora.registry import find_data_folder, get_corpus, read_corpus
from ser_brain.corpora.table import read_table
from ser_brain.errors import InputError
from ser_brain.files import write_atomically

logger = logging.getLogger(__name__)

TABLE_VERSION = 1  # as Corpus.version


def prepare(
    corpus,
    data_folder,
    manifest_path,
    allow_incomplete=False,
    check_counts=True,
    workers=None,
    progress=True,
):
    """Check every file of a corpus and write its manifest.

    Arguments
    ---------
    corpus : str or Corpus
        "IEMOCAP" or "SAVEE".
    data_folder : str, pathlib.Path or None
        The folder of the corpus, for which `{data_root}` stands; None takes
        the one given by the environment variable.
    manifest_path : str or pathlib.Path
        The JSON file to write. An up-to-date one is read and kept.
    allow_incomplete : bool
        Only warn if counts differ or audio is missing.
    check_counts : bool
        Whether to compare the number of clips with the published one.
    workers : int, optional
        Threads that check the audio.
    progress : bool
        Show a progress bar.

    Returns
    -------
    dict
        The manifest.

    Raises
    ------
    InputError
        If the folder is not that corpus, the corpus is not complete, or a
        file is bad. Nothing is written then.

    Example
    -------
    >>> prepare("SAVEE", "/nowhere", "savee.json")
    Traceback (most recent call last):
    ...
    ser_brain.errors.InputError: /nowhere, named by data_folder, is not ...
    """
    corpus = get_corpus(corpus)
    root = find_data_folder(corpus, data_folder)
    reading = read_corpus(corpus, root, allow_incomplete)
    if check_counts:
        _check_counts(corpus, reading.clips, root, allow_incomplete)
    reader = f"{corpus.name} {corpus.version}"
    return _write(reading, root, manifest_path, reader, workers, progress)


def prepare_table(table, manifest_path, workers=None, progress=True):
    """Check every file of the user's own table and write its manifest.

    Arguments
    ---------
    table : str or pathlib.Path
        A .csv or .json file, see `read_table`; `{data_root}` stands for its
        folder.
    manifest_path : str or pathlib.Path
        The JSON file to write. A current one is read and kept.
    workers : int, optional
        Threads that check the audio.
    progress : bool
        Show a progress bar.

    Returns
    -------
    dict
        The manifest.

    Raises
    ------
    InputError
        If the table or a file in it is bad. Nothing is written then.

    Example
    -------
    >>> prepare_table("/nowhere/my.csv", "my_manifest.json")
    Traceback (most recent call last):
    ...
    ser_brain.errors.InputError: /nowhere/my.csv does not exist: ...
    """
    table = Path(table).expanduser()
    if Path(manifest_path).resolve() == table.resolve():
        raise InputError(
            f"{table} would be overwritten by its own manifest: give the "
            "manifest another name."
        )
    reading = read_table(table)
    reader = f"table {TABLE_VERSION}"
    return _write(
        reading, table.parent, manifest_path, reader, workers, progress
    )


def _check_counts(corpus, clips, root, allow_incomplete):
    """Compare with the published counts."""
    differences = count_differences(corpus, clips)
    if not differences:
        return
    sentence = (
        f"{root} is not the whole of {corpus.name}, as published: it has "
        f"{'; '.join(differences)}"
    )
    if not allow_incomplete:
        raise InputError(
            f"{sentence}. Copy the corpus again, or pass --allow_incomplete "
            "to work with what is there."
        )
    logger.warning("%s.", sentence)


def _write(reading, root, manifest_path, reader, workers, progress):
    """Read the manifest if it is current, else check and write it."""
    manifest_path = Path(manifest_path)
    memory = manifest_path.with_name(manifest_path.name + ".fingerprint")
    fingerprint = _fingerprint(reading, root, reader)
    if _is_current(manifest_path, memory, fingerprint):
        return load_manifest(manifest_path)
    paths = [root / clip.wav for clip in reading.clips]
    durations = check_audio_files(paths, workers, progress)
    manifest = build_manifest(reading.clips, durations)
    # The fingerprint is written last: without it the manifest is stale.
    write_atomically(manifest_path, manifest_text(manifest))
    stamp = {"read": fingerprint, "manifest": manifest_key(manifest)}
    write_atomically(memory, json.dumps(stamp) + "\n")
    return manifest


def _fingerprint(reading, root, reader):
    """A hash of the name, size and time of every file that was read."""
    digest = hashlib.sha256(reader.encode())
    audio = [root / clip.wav for clip in reading.clips]
    for path in sorted([*audio, *reading.label_files]):
        stat = path.stat()
        name = path.relative_to(root).as_posix()
        line = f"\n{name}\t{stat.st_size}\t{stat.st_mtime_ns}"
        digest.update(line.encode())
    return digest.hexdigest()


def _is_current(manifest_path, memory, fingerprint):
    """Whether the manifest describes exactly these files, unchanged."""
    if not (manifest_path.is_file() and memory.is_file()):
        return False
    try:
        key = manifest_key(load_manifest(manifest_path))
    except InputError:
        return False
    stamp = json.dumps({"read": fingerprint, "manifest": key}) + "\n"
    return memory.read_text(encoding="utf-8") == stamp
