"""The frame around a recipe: clear sentences and exit codes."""

import errno
import logging
import sys

from transformers.utils import logging as transformers_logging

from ser_brain.errors import InputError
from ser_brain.experiment.experiment import Experiment

FULL_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
# torch and safetensors raise their own errors, without a number.
FULL_DISK_WORDS = ("PytorchStreamWriter", "StorageFull", "FileTooLarge")


def disk_is_full(error):
    """Whether an exception means that nothing more could be written."""
    number = getattr(error, "errno", None)
    said = any(words in str(error) for words in FULL_DISK_WORDS)
    return number in FULL_DISK or said


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
        Exit code: 0, or 2 after bad input, which is told in one sentence.
    """
    transformers_logging.disable_progress_bar()
    transformers_logging.set_verbosity_error()
    # Its search for fonts would fill log.txt.
    logging.getLogger("matplotlib").setLevel(logging.WARNING)
    # A full disk is told once, not for each line of log.txt.
    logging.raiseExceptions = False
    try:
        train(
            Experiment(sys.argv[1:] if argv is None else argv, corpus, prepare)
        )
    except InputError as error:
        return _refuse(str(error))
    except Exception as error:
        if not disk_is_full(error):
            raise
        told = " ".join(str(error).split())
        return _refuse(
            f"the disk is full ({told}): free some space and start the same "
            "command again, it goes on where it stopped."
        )
    return 0


def _refuse(sentence):
    logging.getLogger(__name__).debug("refused", exc_info=True)
    print(f"error: {sentence}", file=sys.stderr, flush=True)
    return 2
