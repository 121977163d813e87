"""Files that are either whole or not there."""

import hashlib
import os
import re
import socket
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from ser_brain.errors import InputError

# File systems take names of 255 bytes; something may be put before one.
LONGEST_NAME = 200
BLOCK = 1 << 22  # bytes read at once
HOST = socket.gethostname().split(".")[0]


def folder_name(name):
    """Any name as the name of one folder, whatever is in it.

    What comes from a table or a command line (a speaker, a fold, the stem of
    a file) goes through here before it becomes part of a path, so that it
    can neither leave the folder that it belongs to nor nest in it. Ordinary
    names stay as they are; different names stay different.

    Arguments
    ---------
    name : str
        The name.

    Returns
    -------
    str
        The name with separators, control characters, ``%`` and a leading dot
        in percent-encoding. A name of more than 200 bytes is cut, and ends
        in a hash of the whole.

    Example
    -------
    >>> folder_name("Ann B."), folder_name("a/b"), folder_name("../../home")
    ('Ann B.', 'a%2Fb', '%2E.%2F..%2Fhome')
    """
    dots, rest = ("%2E", name[1:]) if name.startswith(".") else ("", name)
    kept = dots + "".join(
        quote(each, safe="", errors="surrogatepass")
        if each in "/\\%" or not each.isprintable()
        else each
        for each in rest
    )
    encoded = kept.encode()
    if len(encoded) <= LONGEST_NAME:
        return kept
    short = encoded[: LONGEST_NAME - 65].decode(errors="ignore")
    return f"{short}-{hashlib.sha256(encoded).hexdigest()}"


@contextmanager
def atomic_path(path):
    """A path to write beside a file; the file is replaced at the end.

    What is written has reached the disk before the file gets its name, so
    that a power cut leaves either the old content or the new one. What a
    killed process of this machine left beside the file is removed.

    Arguments
    ---------
    path : str or Path
        The file; its folder is made if missing.

    Yields
    ------
    Path
        The path to write to, with the file's own suffix.

    Raises
    ------
    InputError
        If the disk is full or the folder may not be written; an older file
        is then still as it was.

    Example
    -------
    >>> import tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> file = Path(folder.name, "new", "a.txt")
    >>> with atomic_path(file) as beside:
    ...     _ = beside.write_text("whole")
    >>> file.read_text(), len(list(file.parent.iterdir()))
    ('whole', 1)
    >>> folder.cleanup()
    """
    path = Path(path)
    beside = _beside(path, os.getpid())
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _clear_beside(path)
        try:
            yield beside
            sync(beside)
            os.replace(beside, path)
            sync(path.parent)
        finally:
            beside.unlink(missing_ok=True)
    except OSError as error:
        raise InputError(
            f"{path} cannot be written ({error.strerror or error}): free "
            "some space or choose another folder."
        ) from error


def _beside(path, process):
    """The name under which a process of this machine writes a file."""
    return path.with_name(f".{path.stem}.{HOST}-{process}{path.suffix}")


def _clear_beside(path):
    """Removes what processes that are gone have left of a file."""
    pattern = re.escape(_beside(path, "PID").name).replace("PID", r"(\d+)")
    for each in path.parent.iterdir():
        found = re.fullmatch(pattern, each.name)
        if found and not is_alive(int(found[1])):
            each.unlink(missing_ok=True)


def is_alive(process):
    """Whether a process of this machine is still there.

    Arguments
    ---------
    process : int
        Its id.

    Example
    -------
    >>> is_alive(os.getpid())
    True
    """
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass
    return True


def sync(path):
    """Waits until a file, or the names in a folder, are on the disk.

    Arguments
    ---------
    path : str or Path
        The file or folder.

    Example
    -------
    >>> sync(getfixture("tmp_path"))
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_all(folder):
    """Waits until all files below a folder, and their names, are on the disk.

    Example
    -------
    >>> sync_all(getfixture("tmp_path"))
    """
    for path in (folder, *Path(folder).rglob("*")):
        sync(path)


def write_atomically(path, content):
    """Writes text (as UTF-8) or bytes to a file, whole or not at all.

    Example
    -------
    >>> import tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> write_atomically(Path(folder.name, "a.txt"), "whole")
    >>> Path(folder.name, "a.txt").read_text()
    'whole'
    >>> folder.cleanup()
    """
    if isinstance(content, str):
        content = content.encode("utf-8")
    with atomic_path(path) as beside:
        beside.write_bytes(content)


def is_file(path):
    """Whether a path leads to a file; one that is too long does not.

    Example
    -------
    >>> is_file(Path("x" * 300))
    False
    """
    try:
        return Path(path).is_file()
    except OSError:
        return False


def digest(path):
    """SHA-256 of a file, by which an edited one is found.

    Example
    -------
    >>> file = getfixture("tmp_path") / "empty"
    >>> file.touch()
    >>> digest(file)[:8]
    'e3b0c442'
    """
    found = hashlib.sha256()
    with open(path, "rb") as stream:
        while block := stream.read(BLOCK):
            found.update(block)
    return found.hexdigest()


def digests(folder, leave_out=()):
    """SHA-256 of every file below a folder.

    Arguments
    ---------
    folder : str or Path
        The folder.
    leave_out : sequence of str
        Names of files and folders in it that do not count.

    Returns
    -------
    dict
        Path within the folder, with forward slashes -> 64 hexadecimal digits.

    Example
    -------
    >>> folder = getfixture("tmp_path")
    >>> write_atomically(folder / "a" / "b.txt", "")
    >>> {name: found[:8] for name, found in digests(folder).items()}
    {'a/b.txt': 'e3b0c442'}
    """
    paths = {
        path.relative_to(folder).as_posix(): path
        for path in sorted(Path(folder).rglob("*"))
        if path.is_file()
    }
    return {
        name: digest(path)
        for name, path in paths.items()
        if name.split("/")[0] not in leave_out
    }


def changed_file(folder, files):
    """The first file that is not as it was written.

    Arguments
    ---------
    folder : str or Path
        The folder.
    files : dict
        As :func:`digests` gave them; files that it does not name do not
        matter.

    Returns
    -------
    str or None
        What is wrong, such as ``head.safetensors is missing``; None where
        all are whole.

    Example
    -------
    >>> folder = getfixture("tmp_path")
    >>> write_atomically(folder / "a.txt", "whole")
    >>> files = digests(folder)
    >>> changed_file(folder, files)
    >>> write_atomically(folder / "a.txt", "hole")
    >>> changed_file(folder, files)
    'a.txt was changed'
    """
    for name, wanted in files.items():
        path = Path(folder, name)
        if not is_file(path):
            return f"{name} is missing"
        if digest(path) != wanted:
            return f"{name} was changed"
    return None
