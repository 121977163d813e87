"""Locks between processes, which end with the process that holds them."""

import logging
from contextlib import contextmanager

from filelock import FileLock, Timeout
from speechbrain.utils.distributed import if_main_process

from ser_brain.errors import InputError

logger = logging.getLogger(__name__)


def hold(path, sentence, seconds=0):
    """Takes a lock and keeps it, or refuses.

    Arguments
    ---------
    path : Path
        The lock file; its folder is made if missing.
    sentence : str
        What to tell if another process has it.
    seconds : float
        How long to wait for that process to end.

    Returns
    -------
    FileLock
        To be released; a killed process lets go of it too.

    Raises
    ------
    InputError
        If it is taken, or the folder may not be written.

    Example
    -------
    >>> path = getfixture("tmp_path") / "results" / "plan.lock"
    >>> lock = hold(path, "somebody writes here: wait.")
    >>> hold(path, "somebody writes here: wait.")
    Traceback (most recent call last):
    ...
    ser_brain.errors.InputError: somebody writes here: wait.
    >>> lock.release()
    """
    lock = FileLock(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _acquire(lock, path, seconds)
    except Timeout as error:
        raise InputError(sentence) from error
    except OSError as error:
        raise InputError(
            f"{path} cannot be written ({error.strerror or error}): give a "
            "folder of your own by --results."
        ) from error
    return lock


def _acquire(lock, path, seconds):
    """Takes a lock; says so where it has to wait for it."""
    try:
        lock.acquire(timeout=0)
    except Timeout:
        if seconds:
            logger.warning(
                f"{path.parent} is being written by another process: waiting "
                f"up to {seconds:g} s for it to end."
            )
        lock.acquire(timeout=seconds)


@contextmanager
def turn(path, what):
    """Waits for its turn at what one process at a time may do.

    In data-parallel training the main process alone takes the lock; the
    others wait for it at the barrier that must follow.

    Arguments
    ---------
    path : Path
        The lock file; its folder must be there.
    what : str
        For the log, if there is somebody to wait for.

    Example
    -------
    >>> with turn(getfixture("tmp_path") / "stage.lock", "adapted"):
    ...     pass
    """
    if not if_main_process():
        yield
        return
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        logger.info(f"{what}: another process is at it, waiting.")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()
