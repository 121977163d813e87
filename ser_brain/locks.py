"""Locks between processes, released when their holder ends.

They are locks of the operating system: a killed process holds none, so a lock
is never stale. A file beside the lock names its holder.
"""

import json
import logging
import os
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from ser_brain.errors import InputError
from ser_brain.files import HOST, is_alive

logger = logging.getLogger(__name__)


class Lock:
    """A lock file and its holder.

    Arguments
    ---------
    path : str or Path
        The lock file; its folder must be there.

    Example
    -------
    >>> lock = Lock(getfixture("tmp_path") / "run.lock")
    >>> lock.acquire(seconds=0)
    >>> lock.holder == f"process {os.getpid()} on {HOST}"
    True
    >>> lock.release()
    >>> lock.holder
    'another process'
    """

    def __init__(self, path):
        self.path = Path(path)
        self._owner = self.path.with_suffix(".owner")
        self._lock = FileLock(self.path)

    def acquire(self, seconds=-1):
        """Take the lock.

        Arguments
        ---------
        seconds : float
            How long to wait for it; below 0, indefinitely.

        Raises
        ------
        Timeout
            If another process still holds it.
        OSError
            If the disk is full; the lock is free then.
        """
        self._lock.acquire(timeout=seconds)
        owner = {"process": os.getpid(), "host": HOST}
        try:
            self._owner.write_text(json.dumps(owner), encoding="utf-8")
        except OSError:
            self.release()
            raise

    def release(self):
        """Release the lock."""
        self._owner.unlink(missing_ok=True)
        self._lock.release()

    @property
    def holder(self):
        """The holder of the lock, for a message."""
        try:
            owner = json.loads(self._owner.read_text(encoding="utf-8"))
            process, host = int(owner["process"]), str(owner["host"])
        except (OSError, ValueError, KeyError, TypeError):
            return "another process"
        if host == HOST and not is_alive(process):
            # Left by a killed holder; its successor has not written its own
            # yet.
            return "another process"
        return f"process {process} on {host}"


def hold(path, refusal, seconds=0):
    """Take a lock and keep it, or raise an error.

    Arguments
    ---------
    path : Path
        The lock file; its folder is created if missing.
    refusal : callable
        Maps the holder of the lock, such as ``process 12 on node7``, to the
        error message.
    seconds : float
        Seconds to wait for that process to end.

    Returns
    -------
    Lock
        The lock, to be released; it is also released if the process is killed.

    Raises
    ------
    InputError
        If it is taken, or the folder is not writable.

    Example
    -------
    >>> path = getfixture("tmp_path") / "results" / "plan.lock"
    >>> lock = hold(path, lambda holder: f"{holder} writes here: wait.")
    >>> hold(path, lambda holder: f"{holder} writes here: wait.")
    Traceback (most recent call last):
    ...
    ser_brain.errors.InputError: process ... on ... writes here: wait.
    >>> lock.release()
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = Lock(path)
        until = f"waiting up to {seconds:g} s for it to end"
        _wait(lock, logging.WARNING, path.parent, until, seconds)
    except Timeout as error:
        raise InputError(refusal(lock.holder)) from error
    except OSError as error:
        raise InputError(
            f"{path} cannot be written ({error.strerror or error}): give a "
            "folder of your own by --results."
        ) from error
    return lock


def _wait(lock, level, what, until, seconds):
    """Take a lock, and log whom it has to wait for."""
    try:
        lock.acquire(seconds=0)
    except Timeout:
        if seconds:
            logger.log(
                level, "%s: %s is working on it, %s.", what, lock.holder, until
            )
        lock.acquire(seconds)


@contextmanager
def turn(path, what):
    """Wait for a turn at work that one process at a time may do.

    Arguments
    ---------
    path : Path
        The lock file; its folder must be there.
    what : str
        The work, for the log, if another process is doing it.

    Example
    -------
    >>> with turn(getfixture("tmp_path") / "stage.lock", "adapted"):
    ...     pass
    """
    lock = Lock(path)
    _wait(lock, logging.INFO, what, "waiting", -1)
    try:
        yield
    finally:
        lock.release()
