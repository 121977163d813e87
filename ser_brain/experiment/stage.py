"""A stage of a run: done once, resumed if killed, repeated if stale."""

import json
import logging
import shutil
import time
from contextlib import nullcontext
from pathlib import Path

from speechbrain.utils.distributed import ddp_barrier, if_main_process

from ser_brain.files import changed_file, digests, sync_all, write_atomically
from ser_brain.locks import turn

logger = logging.getLogger(__name__)


class Stage:
    """A folder with the result of a stage and the key of its inputs.

    ``done.json`` is written last and has the checksum of every other file: a
    stage counts as done only as long as all of them are unchanged.
    ``unfinished.json`` marks the work of a killed process, which is resumed
    only for the same key.

    Arguments
    ---------
    name : str
        Name of the stage in logs.
    folder : str or Path
        Folder of its result.
    key : str
        Hash of everything that the result depends on.

    Example
    -------
    >>> import tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> stage = Stage("P2", Path(folder.name, "clusters"), key="abc")
    >>> stage.run(lambda: {"clips": 3})["clips"]
    3
    >>> stage.run(lambda: 1 / 0)["clips"]
    3
    >>> folder.cleanup()
    """

    def __init__(self, name, folder, key):
        self.name = name
        self.folder = Path(folder)
        self.key = key

    @property
    def checkpoints(self):
        """Folder of SpeechBrain checkpoints, deleted when the stage ends."""
        return self.folder / "checkpoints"

    @property
    def nonfinite(self):
        """Folder of skipped updates; not part of the result."""
        return self.folder / "nonfinite"

    def _record(self, name):
        record = read_record(self.folder / name)
        return record if record.get("key") == self.key else None

    @property
    def done(self):
        """Return what the finished stage recorded, or None."""
        record = self._record("done.json")
        if record is None:
            return None
        fault = "done.json names no files"
        if isinstance(record.get("files"), dict):
            fault = changed_file(self.folder, record["files"])
        if fault is None:
            return record
        logger.warning(f"{self.name}: {fault} in {self.folder}: done again.")
        return None

    @property
    def unfinished(self):
        """Whether it was begun but not finished."""
        return self._record("unfinished.json") is not None

    def run(self, work):
        """Runs ``work`` unless its result is there.

        Of several processes one does it, the others wait for its result.

        Arguments
        ---------
        work : callable
            Computes the stage and returns a dict to record. All data-parallel
            processes call it.

        Returns
        -------
        dict
            The record, with ``seconds`` of wall time.
        """
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        with self._turn():
            ddp_barrier()
            # Every process checks before one of them begins again.
            record = self.done
            if record is not None:
                logger.info(f"{self.name}: finished before, kept.")
                if if_main_process():
                    self._tidy()
                return record
            return self._do(work)

    def _turn(self):
        """Take the main process's turn; others wait at the next barrier."""
        if if_main_process():
            return turn(self.folder.with_suffix(".lock"), self.name)
        return nullcontext()

    def _do(self, work):
        """Run the stage itself, from its last checkpoint if there is one."""
        resumes = self.unfinished
        ddp_barrier()
        if if_main_process():
            self._begin(resumes)
        ddp_barrier()
        begun = time.time()
        record = dict(work())
        seconds = round(time.time() - begun, 2)
        ddp_barrier()
        if if_main_process():
            record.update(key=self.key, seconds=seconds, resumed=resumes)
            self._finish(record)
        ddp_barrier()
        return self._record("done.json")

    def _begin(self, resumes):
        if resumes:
            logger.info(f"{self.name}: continues where it was stopped.")
            self._clear()
            return
        logger.info(f"{self.name}: begins.")
        shutil.rmtree(self.folder, ignore_errors=True)
        write_atomically(
            self.folder / "unfinished.json", json.dumps({"key": self.key})
        )

    @property
    def _own(self):
        """Names in the folder that are not part of the result."""
        records = ("done.json", "unfinished.json")
        return (*records, self.checkpoints.name, self.nonfinite.name)

    def _clear(self):
        """Remove partial results of a killed process."""
        for path in self.folder.iterdir():
            if path.name not in self._own:
                remove(path)

    def _finish(self, record):
        # On the disk before the checkpoints go.
        sync_all(self.folder)
        record["files"] = digests(self.folder, leave_out=self._own)
        write_atomically(
            self.folder / "done.json", json.dumps(record, indent=2)
        )
        self._tidy()

    def _tidy(self):
        """Remove what a finished stage does not need; a kill may leave it."""
        shutil.rmtree(self.checkpoints, ignore_errors=True)
        (self.folder / "unfinished.json").unlink(missing_ok=True)


def in_round(name, number):
    """Name of a stage in a round of clustering and adaptation.

    Example
    -------
    >>> in_round("adapted", 1), in_round("adapted", 2)
    ('adapted', 'adapted_round2')
    """
    return name if number == 1 else f"{name}_round{number}"


def read_record(path):
    """Read a record; None if it is missing or incomplete.

    Example
    -------
    >>> path = getfixture("tmp_path") / "done.json"
    >>> write_atomically(path, '{"key": "a')
    >>> read_record(path)
    {}
    """
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (ValueError, RecursionError):
        logger.warning(f"{path} is damaged: it counts as missing.")
        return {}
    return record if isinstance(record, dict) else {}


def forget(folder, names):
    """Remove files of a finished stage that are no longer needed.

    Arguments
    ---------
    folder : Path
        Folder of the stage, which still counts as done afterwards.
    names : sequence of str
        Files and folders in it.
    """
    record = read_record(folder / "done.json")
    record["files"] = {
        name: found
        for name, found in record["files"].items()
        if name.split("/")[0] not in names
    }
    write_atomically(folder / "done.json", json.dumps(record, indent=2))
    for name in names:
        remove(folder / name)


def remove(path):
    """Remove a file or a folder, if it exists.

    Example
    -------
    >>> remove(getfixture("tmp_path") / "nothing")
    """
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
