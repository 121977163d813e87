"""Copy run folders to a store that all machines can reach, and back.

Machines without a common file system share a *home*: any URL that fsspec can
open. The unit of a copy is a part of a run folder: the folder's own files, or
one stage. At home, the files of a part have the same names as in the run
folder, so that a home on a disk can be read like any results folder. A list of
the files and their hashes is written last. Only files that match the list are
copied back. If a machine dies while it sends, the previous state remains
valid, or the stage starts again.
"""

import contextlib
import hashlib
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from uuid import uuid4

import fsspec
from filelock import FileLock, Timeout

from ser_brain.errors import MALFORMED, InputError

LIST = ".home.json"
BLOCK = 2**22
# Stores in which others can read a file while it is being written, and in which
# a rename replaces the old one. Object stores show only complete files; in any
# other store, only the hashes tell whether a file is complete.
RENAMES = {"file", "sftp"}


@dataclass(frozen=True)
class Part:
    """Files that are copied together: all of them, or none.

    Arguments
    ---------
    folder : Path
        A run folder, or a stage's folder in its ``save``.
    place : str
        Its path below the home.
    is_stage : bool
        A stage is copied with everything in it. The stages of a run folder
        are parts of their own.
    """

    folder: Path
    place: str
    is_stage: bool

    def files(self):
        """Map the name of each file to its size and modification time.

        Incomplete files (hidden, or checkpoints without their final name)
        and locks are left out.
        """
        found = {}
        for root, folders, names in os.walk(self.folder):
            if Path(root) == self.folder and not self.is_stage:
                folders[:] = [name for name in folders if name != "save"]
            incomplete = (".", "partial+")
            folders[:] = [f for f in folders if not f.startswith(incomplete)]
            for name in names:
                if not name.startswith(".") and not name.endswith(".lock"):
                    path = Path(root, name)
                    state = path.stat().st_size, path.stat().st_mtime_ns
                    found[path.relative_to(self.folder).as_posix()] = state
        return found


class Home:
    """A store of run folders.

    Arguments
    ---------
    url : str
        Any URL that fsspec can open: ``s3://bucket/ser``,
        ``sftp://host/folder``, ``file:///mnt/ser``.

    Raises
    ------
    InputError
        If no installed package can open such a URL.

    Example
    -------
    >>> import tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> here, there = Path(folder.name, "here"), Path(folder.name, "there")
    >>> here.mkdir()
    >>> _ = (here / "a.txt").write_text("whole")
    >>> home = Home(f"file://{folder.name}/home")
    >>> home.push(Part(here, "run", True))
    True
    >>> home.pull(Part(there, "run", True))
    True
    >>> (there / "a.txt").read_text()
    'whole'
    >>> folder.cleanup()
    """

    def __init__(self, url):
        self.url = url
        try:
            self.store, self.base = fsspec.core.url_to_fs(url)
        except (ImportError, ValueError, OSError) as error:
            raise InputError(
                f"--home {url} cannot be opened ({_reason(error)}): give a "
                "URL that fsspec knows, as file:///mnt/ser, or install what "
                "it names."
            ) from error
        protocol = self.store.protocol
        names = {protocol} if isinstance(protocol, str) else set(protocol)
        self._renames = bool(names & RENAMES)
        # What this process knows about the home: the hashes of a part's files,
        # and the state of each file when it was copied.
        self._known, self._states = {}, {}

    def check(self):
        """Write and remove a small file, so that errors appear early.

        Raises
        ------
        InputError
            If the store is not writable.
        """
        probe = f"{self.base}/.probe.{os.getpid()}"
        try:
            self.store.makedirs(self.base, exist_ok=True)
            self.store.pipe_file(probe, b"probe")
            self.store.rm_file(probe)
        except Exception as error:
            # Each kind of store has its own exceptions.
            raise InputError(
                f"--home {self.url} cannot be written ({_reason(error)}): "
                "check the URL and the permissions."
            ) from error

    def push(self, part):
        """Copy a part to the home if it has changed.

        Arguments
        ---------
        part : Part
            If it changes meanwhile, the home keeps the old state.

        Returns
        -------
        bool
            Whether the home holds the part's present state.

        Raises
        ------
        OSError
            If the store fails.
        """
        old = self._known.get(part, {})
        try:
            states = part.files()
            if not states or states == self._states.get(part):
                return bool(states)
            new = self._send_all(part, states, old)
            if part.is_stage and part.files() != states:
                return False
        except FileNotFoundError:
            # A checkpoint was replaced by its successor.
            return False
        self._write(part, LIST, [json.dumps(new, indent=0).encode()])
        self._known[part], self._states[part] = new, states
        self._clear(part, old, new)
        return True

    def _send_all(self, part, states, old):
        """Copy what has changed; return the hashes of all files."""
        sent = self._states.get(part, {})
        return {
            name: old[name]
            if sent.get(name) == state
            else self._send(part, name)
            for name, state in states.items()
        }

    def _clear(self, part, old, new):
        """Remove from the home what the part no longer has."""
        gone = old.keys() - new.keys()
        if "done.json" in new:
            # Also files from a machine that died before it wrote the list.
            top = self._path(part, "")
            self.store.invalidate_cache()
            found = {path.rpartition(top)[2] for path in self.store.find(top)}
            gone |= found - new.keys() - {LIST}
        for name in gone:
            # Another machine that had the part may have removed it.
            with contextlib.suppress(FileNotFoundError):
                self.store.rm_file(self._path(part, name))

    def pull(self, part):
        """Copy a part from the home.

        A stage that a process of this machine is working on is left alone.

        Arguments
        ---------
        part : Part
            The destination; a stage's folder is replaced.

        Returns
        -------
        bool
            Whether the home has the complete part.
        """
        try:
            text = self.store.cat_file(self._path(part, LIST))
        except FileNotFoundError:
            return False
        hashes = self._known[part] = self._listed(part, text)
        if not part.is_stage:
            return self._fetch_all(part, hashes, part.folder)
        part.folder.parent.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(lock_of(part.folder), timeout=0):
                return self._replace(part, hashes)
        except Timeout:
            return False

    def _listed(self, part, text):
        """Read the hashes of a list that others may have written.

        Raises
        ------
        InputError
            If it is not such a list, or a name would leave the part's folder.
        """
        try:
            hashes = json.loads(text)
            # A name that is not UTF-8 is not a valid file name everywhere.
            names = [PurePosixPath(name.encode().decode()) for name in hashes]
            astray = [
                name
                for name, path in zip(hashes, names)
                if path.is_absolute() or ".." in path.parts or "\0" in name
            ]
            whole = all(isinstance(one, str) for one in hashes.values())
        except MALFORMED as error:
            raise self._no_list(part, _reason(error)) from error
        if astray or not whole:
            fault = repr(astray[0]) if astray else "a hash"
            raise self._no_list(part, f"{fault} is not one of ours")
        return hashes

    def _no_list(self, part, reason):
        return InputError(
            f"{self._path(part, LIST)} is not a list of a run's files "
            f"({reason}): remove that folder from --home, it is computed again."
        )

    def _replace(self, part, hashes):
        """Fetch a stage into a temporary folder, then move it into place."""
        beside = part.folder.with_name(f".{part.folder.name}.{os.getpid()}")
        try:
            if not self._fetch_all(part, hashes, beside):
                return False
            shutil.rmtree(part.folder, ignore_errors=True)
            beside.rename(part.folder)
        finally:
            shutil.rmtree(beside, ignore_errors=True)
        self._states[part] = part.files()
        return True

    def _path(self, part, name):
        return f"{self.base}/{part.place}/{name}"

    def _send(self, part, name):
        """Copy one file to the home; return its hash."""
        digest = hashlib.sha256()
        with (part.folder / name).open("rb") as stream:
            self._write(part, name, _blocks(stream, digest))
        return digest.hexdigest()

    def _write(self, part, name, blocks):
        """Write a file at home, under its name only when it is complete."""
        path = self._path(part, name)
        folder, _, last = path.rpartition("/")
        self.store.makedirs(folder, exist_ok=True)
        first = f"{folder}/.{last}.{uuid4().hex}" if self._renames else path
        with self.store.open(first, "wb") as stream:
            for block in blocks:
                stream.write(block)
        if self._renames:
            self.store.mv(first, path)

    def _fetch_all(self, part, hashes, folder):
        """Fetch every file; return whether all are complete."""
        return all(
            [
                self._fetch(self._path(part, name), folder / name, wanted)
                for name, wanted in hashes.items()
            ]
        )

    def _fetch(self, source, path, wanted):
        """Fetch one file; return whether it has the hash in the list."""
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f".{path.name}.{os.getpid()}")
        digest = hashlib.sha256()
        try:
            with (
                self.store.open(source, "rb") as stream,
                beside.open("wb") as copy,
            ):
                copy.writelines(_blocks(stream, digest))
            if digest.hexdigest() != wanted:
                return False
            beside.replace(path)
            return True
        except FileNotFoundError:
            return False
        finally:
            beside.unlink(missing_ok=True)


def lock_of(stage):
    """The lock that a process holds while it works on a stage."""
    return stage.with_name(f"{stage.name}.lock")


def _blocks(stream, digest):
    """Yield the blocks of a stream, and hash them."""
    while block := stream.read(BLOCK):
        digest.update(block)
        yield block


def _reason(error):
    """An exception as part of a sentence."""
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__
