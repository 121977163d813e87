"""The frame around a recipe: clear sentences and exit codes."""

import logging
import os
import sys
import threading
from contextlib import closing, contextmanager

import torch

from ser_brain.errors import InputError, exit_code
from ser_brain.experiment.disk import disk_is_full
from ser_brain.experiment.experiment import Experiment
from ser_brain.inference.classifier import quiet_loading
from ser_brain.stopping import STOPPING, Stopped

# What gloo says, in errors of no type of its own, when another process ends.
LOST = ("closed by peer", "reset by peer", "Broken pipe", "gloo")

logger = logging.getLogger(__name__)


def run_recipe(train, corpus, prepare, argv=None):
    """Runs a recipe from the command line.

    Arguments
    ---------
    train : callable
        Takes the ``Experiment`` and does the procedure.
    corpus : str
        "IEMOCAP" or "SAVEE".
    prepare : callable
        Writes the corpus' manifest.
    argv : list of str, optional
        The command line; the process's own by default.

    Returns
    -------
    int
        0, or as :func:`ser_brain.errors.exit_code` says.

    Raises
    ------
    Stopped
        After SIGTERM or SIGINT: ends the process with 128 + its number.
    """
    quiet_libraries()
    words = sys.argv[1:] if argv is None else argv
    alone = int(os.environ.get("WORLD_SIZE", 1)) == 1

    def work():
        try:
            with full_disk_as_input_error():
                with closing(Experiment(words, corpus, prepare)) as experiment:
                    train(experiment)
        except Exception as error:
            logger.debug("ended by", exc_info=True)
            reason = reason_of(error, alone)
            if reason is error:
                raise
            raise reason from error
        except SystemExit as end:
            if end.code == 0:
                # After SpeechBrain's --help, the examples of the script.
                examples = sys.modules[train.__module__].__doc__ or ""
                print(f"\n{examples.strip()}")
            raise
        return 0

    try:
        with STOPPING.handled(alone):
            return exit_code(work)
    except Stopped as stopped:
        print(
            f"stopped by {stopped.name}: start the same command again to "
            "continue where it stopped.",
            file=sys.stderr,
            flush=True,
        )
        raise


def reason_of(error, alone):
    """What to tell instead of an exception, or the exception itself.

    Arguments
    ---------
    error : Exception
        What ended the work.
    alone : bool
        Whether this is the only process that computes.

    Returns
    -------
    BaseException
        ``Stopped`` after a signal, whatever a library that catches every
        exception has made of it.
    """
    if STOPPING.wanted:
        return Stopped(STOPPING.wanted)
    if alone or not lost_another(error):
        return error
    return InputError(
        "another of the data-parallel processes has ended: its own message "
        "tells why; start the same command again, it goes on where it stopped."
    )


def lost_another(error):
    """Whether an exchange between processes failed, as one of them is gone.

    Example
    -------
    >>> lost_another(RuntimeError("[../tcp/pair.cc] Connection closed by peer"))
    True
    >>> lost_another(RuntimeError("shapes do not fit"))
    False
    """
    if isinstance(error, torch.distributed.DistError):
        return True
    return any(words in str(error) for words in LOST)


def quiet_libraries():
    """Switches off what libraries say that helps nobody."""
    quiet_loading()
    # Its search for fonts would fill log.txt.
    logging.getLogger("matplotlib").setLevel(logging.WARNING)
    # Each lock would be told four times.
    logging.getLogger("filelock").setLevel(logging.WARNING)
    # A full disk is told once, not for each line of log.txt.
    logging.raiseExceptions = False
    threading.excepthook = tell_of_thread


def tell_of_thread(ended):
    """Report what ended a thread; a full disk without a traceback.

    TensorBoard's thread writes events. The next event raises its error again,
    in the main thread, unless there is none.

    Arguments
    ---------
    ended : threading.ExceptHookArgs
        The thread and its exception.
    """
    if ended.exc_value is None or not disk_is_full(ended.exc_value):
        threading.__excepthook__(ended)
        return
    logger.warning(
        "TensorBoard's events could not all be written: %s.", ended.exc_value
    )


@contextmanager
def full_disk_as_input_error():
    """Tells of a full disk, whoever noticed it, in one sentence.

    Raises
    ------
    InputError
        In place of what says that no space is left.

    Example
    -------
    >>> import errno
    >>> with full_disk_as_input_error():
    ...     raise OSError(errno.ENOSPC, "No space left on device")
    Traceback (most recent call last):
    ...
    ser_brain.errors.InputError: the disk is full (...): free some space ...
    """
    try:
        yield
    except Exception as error:
        told = isinstance(error, (InputError, BrokenPipeError))
        if told or not disk_is_full(error):
            raise
        told = " ".join(str(error).split())
        raise InputError(
            f"the disk is full ({told}): free some space and start the same "
            "command again to continue where it stopped."
        ) from error
