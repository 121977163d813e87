"""The frame around a recipe: clear sentences and exit codes."""

import logging
import sys
from contextlib import closing

from transformers.utils import logging as transformers_logging

from ser_brain.errors import InputError
from ser_brain.experiment.disk import disk_is_full
from ser_brain.experiment.experiment import Experiment


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
    # Each lock would be told four times.
    logging.getLogger("filelock").setLevel(logging.WARNING)
    # A full disk is told once, not for each line of log.txt.
    logging.raiseExceptions = False
    try:
        words = sys.argv[1:] if argv is None else argv
        with closing(Experiment(words, corpus, prepare)) as experiment:
            train(experiment)
    except InputError as error:
        return _refuse(" ".join(str(error).splitlines()))
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
