"""What a terminal shows of a run: the stage, epoch, loss and time left."""

import logging
import sys
import time
from pathlib import Path

from speechbrain.core import DEFAULT_LOG_CONFIG
from speechbrain.utils.distributed import if_main_process
from speechbrain.utils.train_logger import TrainLogger
from tqdm import tqdm

QUIET_LOG_CONFIG = str(Path(__file__).with_name("quiet_log.yaml"))
# Modules whose messages are shown; log.txt has those of all modules.
SHOWN = (
    "ser_brain.experiment.stage",
    "ser_brain.experiment.stages",
    "ser_brain.experiment.train_loggers",
)
BAR = "{desc} |{bar:10}| {remaining} left"
TEST_BAR = "{desc} |{bar:10}| {n_fmt}/{total_fmt}, {remaining} left"


class Shown(logging.Filter):
    """Pass warnings, errors, and the messages of the stages.

    Example
    -------
    >>> about = {"name": "speechbrain.core", "levelno": logging.INFO}
    >>> record = logging.makeLogRecord(about)
    >>> Shown().filter(record)
    False
    """

    def filter(self, record):
        """Whether a record is shown on the console."""
        return record.levelno >= logging.WARNING or record.name in SHOWN


class Sentences(logging.Formatter):
    """The message alone, after ``warning:`` if it is one.

    Example
    -------
    >>> record = {"msg": "2 clips are short.", "levelno": 30}
    >>> record = logging.makeLogRecord({**record, "levelname": "WARNING"})
    >>> Sentences().format(record)
    'warning: 2 clips are short.'
    """

    def format(self, record):
        """The text of a record, with its traceback if there is one."""
        text = super().format(record)
        if record.levelno < logging.WARNING:
            return text
        return f"{record.levelname.lower()}: {text}"


class Progress(TrainLogger):
    """The progress of a stage, shown by SpeechBrain's own bars and log.

    The base of two quiet views. A Brain calls ``begin`` at the start of each
    epoch, ``step`` after each update and each batch of the test, and
    ``log_stats`` at the end of an epoch.

    Arguments
    ---------
    stage : str
        Name of the stage.
    epochs, updates : int
        Of the whole stage.
    """

    def __init__(self, stage, epochs, updates):
        self.stage = stage
        self.epochs = epochs
        self.updates = updates

    def begin(self, epoch, done):
        """An epoch begins; ``done`` updates of the stage are done."""

    def begin_test(self, batches):
        """A test begins."""

    def step(self, loss=None):
        """Another update, with the epoch's mean loss so far, or test batch."""

    def log_stats(self, stats_meta, train_stats, valid_stats=None, **kwargs):
        """See ``TrainLogger``."""

    def close(self):
        """The training or test has ended, by an exception perhaps."""

    def described(self, epoch, loss, valid_stats=None):
        """Describe the state of the stage in words."""
        text = f"{self.stage}: epoch {epoch}/{self.epochs}, loss {loss:.4f}"
        if valid_stats:
            text += f", valid {valid_stats['loss']:.4f}"
        return text


class Lines(Progress):
    """One line on stderr per epoch, for files and pipes.

    Example
    -------
    >>> lines = Lines("classifier", epochs=2, updates=20)
    >>> lines.described(1, 0.123456)
    'classifier: epoch 1/2, loss 0.1235'
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.begun, self.done = None, 0

    def begin(self, epoch, done):
        """See ``Progress``."""
        if self.begun is None:
            self.begun, self.first = time.monotonic(), done
        self.done = done

    def step(self, loss=None):
        """See ``Progress``."""
        self.done += 1

    def log_stats(self, stats_meta, train_stats, valid_stats=None, **kwargs):
        """Print the line of an epoch."""
        elapsed = time.monotonic() - self.begun
        each = elapsed / max(self.done - self.first, 1)
        left = tqdm.format_interval(each * max(self.updates - self.done, 0))
        told = self.described(
            stats_meta["epoch"], train_stats["loss"], valid_stats
        )
        print(f"{told}, {left} left", file=sys.stderr, flush=True)


class Bar(Progress):
    """One bar for all epochs of a stage, on a terminal."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.bar, self.valid_stats = None, None

    def begin(self, epoch, done):
        """See ``Progress``."""
        self.epoch = epoch
        if self.bar is None:
            self.bar = tqdm(
                desc=self.stage,
                total=self.updates,
                initial=done,
                bar_format=BAR,
                dynamic_ncols=True,
            )

    def begin_test(self, batches):
        """See ``Progress``."""
        self.close()
        self.bar = tqdm(
            desc=f"{self.stage}: test",
            total=batches,
            bar_format=TEST_BAR,
            dynamic_ncols=True,
            leave=False,
        )

    def step(self, loss=None):
        """See ``Progress``."""
        if loss is not None:
            told = self.described(self.epoch, loss, self.valid_stats)
            self.bar.set_description_str(told, refresh=False)
        self.bar.update()

    def log_stats(self, stats_meta, train_stats, valid_stats=None, **kwargs):
        """Show the losses of the whole epoch."""
        self.valid_stats = valid_stats
        told = self.described(
            stats_meta["epoch"], train_stats["loss"], valid_stats
        )
        self.bar.set_description_str(told)

    def close(self):
        """See ``Progress``."""
        if self.bar is not None:
            self.bar.close()
            self.bar = None


def view_of(verbose, noprogressbar):
    """Choose how a run shows its progress.

    Arguments
    ---------
    verbose : bool
        Whether SpeechBrain's own log and bars are shown.
    noprogressbar : bool
        Whether bars are unwanted.

    Returns
    -------
    view : type
        ``Progress``, ``Lines`` or ``Bar``.
    log_config : str
        Path of the configuration of the log.

    Example
    -------
    >>> view_of(verbose=False, noprogressbar=True)[0].__name__
    'Lines'
    """
    if verbose:
        return Progress, DEFAULT_LOG_CONFIG
    if not if_main_process():
        return Progress, QUIET_LOG_CONFIG
    if noprogressbar or not sys.stderr.isatty():
        return Lines, QUIET_LOG_CONFIG
    return Bar, QUIET_LOG_CONFIG
