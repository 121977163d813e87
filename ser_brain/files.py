"""Files that are either complete or absent."""

import hashlib
import os
import re
import socket
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from ser_brain.errors import InputError

# File systems allow names of 255 bytes; a prefix or suffix may be added.
LONGEST_NAME = 200
BLOCK = 1 << 22  # bytes read at once
HOST = socket.gethostname().split(".")[0]


def folder_name(name):
    """Turn any name into the name of one folder, whatever it contains.

    Text from a table or a command line (a speaker, a fold, the stem of a file)
    is passed through this function before it becomes part of a path, so that
    it can neither leave the folder that it belongs to nor create a subfolder.
    Ordinary names are unchanged; different names stay different.

    Arguments
    ---------
    name : str
        The name.

    Returns
    -------
    str
        The name with separators, control characters, ``%`` and a leading dot
        percent-encoded. A name of more than 200 bytes is truncated, and ends
        in a hash of the whole name.

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
    """Yield a temporary path beside a file; it replaces the file at the end.

    The content has reached the disk before the file gets its name, so that a
    power cut leaves either the old content or the new. Temporary files left
    beside the file by a killed process of this machine are removed.

    Arguments
    ---------
    path : str or Path
        The file; its folder is created if missing.

    Yields
    ------
    Path
        The path to write to, with the file's own suffix.

    Raises
    ------
    InputError
        If the disk is full or the folder is not writable; an older file is
        then unchanged.

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
    """Temporary name under which a process of this machine writes a file."""
    return path.with_name(f".{path.stem}.{HOST}-{process}{path.suffix}")


def _clear_beside(path):
    """Remove temporary files left by processes that have ended."""
    pattern = re.escape(_beside(path, "PID").name).replace("PID", r"(\d+)")
    for each in path.parent.iterdir():
        found = re.fullmatch(pattern, each.name)
        if found and not is_alive(int(found[1])):
            each.unlink(missing_ok=True)


def is_alive(process):
    """Whether a process of this machine is still running.

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
    """Wait until a file, or the names in a folder, are on the disk.

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
    """Wait until all files below a folder, and their names, are on the disk.

    Example
    -------
    >>> sync_all(getfixture("tmp_path"))
    """
    for path in (folder, *Path(folder).rglob("*")):
        sync(path)


def write_atomically(path, content):
    """Write text (as UTF-8) or bytes to a file, completely or not at all.

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
    """Whether a path is that of a file; False if it is too long.

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
    """SHA-256 of a file, which reveals a change.

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
        Names of files and folders in it to ignore.

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
    """Find the first file that has changed since it was written.

    Arguments
    ---------
    folder : str or Path
        The folder.
    files : dict
        As :func:`digests` returned them; other files are ignored.

    Returns
    -------
    str or None
        What is wrong, such as ``head.safetensors is missing``; None if nothing
        is.

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
