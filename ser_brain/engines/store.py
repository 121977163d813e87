"""Run folders carried to a store that all machines reach, and back.

Machines without a common file system meet at a *home*: any URL that fsspec
opens. What is carried is a part of a run folder: the folder's own files, or
one stage. A part at home lies under the names it has in the run folder, so
that a home on a disk is read like any results folder; beside its files lies
a list of them with their hashes, written last. Only what that list vouches
for is taken back, so that a machine that dies while it sends spoils nothing:
the state before still holds, or the stage begins anew.
"""

import contextlib
import hashlib
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import fsspec
from filelock import FileLock, Timeout

from ser_brain.errors import InputError

LIST = ".home.json"
BLOCK = 2**22
# Stores in which a file that is being written can be read, and a rename
# replaces. Object stores show a file when it is whole; in any other, the
# hashes alone tell.
RENAMES = {"file", "sftp"}


@dataclass(frozen=True)
class Part:
    """What is carried as one: whole, or not at all.

    Arguments
    ---------
    folder : Path
        A run folder, or a stage's folder in its ``save``.
    place : str
        Its path below the home.
    is_stage : bool
        A stage is taken with all that is in it; of a run folder, the stages
        are parts of their own.
    """

    folder: Path
    place: str
    is_stage: bool

    def files(self):
        """Its files: name to size and time of change.

        What is half written (hidden, or a checkpoint without its name) is
        left out, and so are locks.
        """
        found = {}
        for root, folders, names in os.walk(self.folder):
            at_top = Path(root) == self.folder
            folders[:] = [
                name
                for name in folders
                if not name.startswith((".", "partial+"))
                and not (name == "save" and at_top and not self.is_stage)
            ]
            for name in names:
                path = Path(root, name)
                if not name.startswith(".") and not name.endswith(".lock"):
                    state = path.stat()
                    key = path.relative_to(self.folder).as_posix()
                    found[key] = (state.st_size, state.st_mtime_ns)
        return found


class Home:
    """A store of run folders.

    Arguments
    ---------
    url : str
        Any that fsspec opens: ``s3://bucket/ser``, ``sftp://host/folder``,
        ``file:///mnt/ser``.

    Raises
    ------
    InputError
        If nothing here can open such a URL.

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
        # What this process knows to lie there: the hashes of a part's files,
        # and the state of each when it was carried.
        self._known, self._states = {}, {}

    def check(self):
        """Writes and removes a small file, so that a fault is told early.

        Raises
        ------
        InputError
            If the store may not be written.
        """
        probe = f"{self.base}/.probe.{os.getpid()}"
        try:
            self.store.makedirs(self.base, exist_ok=True)
            self.store.pipe_file(probe, b"probe")
            self.store.rm_file(probe)
        except Exception as error:
            # Each store has exceptions of its own.
            raise InputError(
                f"--home {self.url} cannot be written ({_reason(error)}): "
                "check the URL and the rights."
            ) from error

    def push(self, part):
        """Brings a part home, if it has changed.

        Arguments
        ---------
        part : Part
            May be written to meanwhile; it then stays at home as it was.

        Returns
        -------
        bool
            Whether the home holds the part as it is here.

        Raises
        ------
        OSError
            Where the store fails.
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
            # A checkpoint made way for its successor.
            return False
        self._write(part, LIST, [json.dumps(new, indent=0).encode()])
        self._known[part], self._states[part] = new, states
        self._clear(part, old, new)
        return True

    def _send_all(self, part, states, old):
        """Brings home what has changed; the hashes of all files."""
        sent = self._states.get(part, {})
        return {
            name: old[name]
            if sent.get(name) == state
            else self._send(part, name)
            for name, state in states.items()
        }

    def _clear(self, part, old, new):
        """Removes from home what the part no longer has."""
        gone = old.keys() - new.keys()
        if "done.json" in new:
            # Also what a machine sent that died before it wrote the list.
            top = self._path(part, "")
            self.store.invalidate_cache()
            found = {path.rpartition(top)[2] for path in self.store.find(top)}
            gone |= found - new.keys() - {LIST}
        for name in gone:
            # Another machine that had the part may have removed it.
            with contextlib.suppress(FileNotFoundError):
                self.store.rm_file(self._path(part, name))

    def pull(self, part):
        """Takes a part from home.

        A stage at which a process of this machine works is left to it.

        Arguments
        ---------
        part : Part
            Where it goes to; a stage's folder is replaced.

        Returns
        -------
        bool
            Whether the home has it, whole.
        """
        try:
            text = self.store.cat_file(self._path(part, LIST))
        except FileNotFoundError:
            return False
        hashes = self._known[part] = json.loads(text)
        if not part.is_stage:
            return self._fetch_all(part, hashes, part.folder)
        part.folder.parent.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(lock_of(part.folder), timeout=0):
                return self._replace(part, hashes)
        except Timeout:
            return False

    def _replace(self, part, hashes):
        """A stage, fetched beside and put in place when it is whole."""
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
        """Brings one file home; its hash."""
        digest = hashlib.sha256()
        with (part.folder / name).open("rb") as stream:
            self._write(part, name, _blocks(stream, digest))
        return digest.hexdigest()

    def _write(self, part, name, blocks):
        """A file at home, under its name only when it is whole."""
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
        """Takes what is whole; whether all is."""
        return all(
            [
                self._fetch(self._path(part, name), folder / name, wanted)
                for name, wanted in hashes.items()
            ]
        )

    def _fetch(self, source, path, wanted):
        """Takes one file; whether it is the one that the list means."""
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
    """The lock that a process holds while it works at a stage."""
    return stage.with_name(f"{stage.name}.lock")


def _blocks(stream, digest):
    """The blocks of a stream, hashed as they pass."""
    while block := stream.read(BLOCK):
        digest.update(block)
        yield block


def _reason(error):
    """An exception as part of a sentence."""
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__
