"""SIGTERM and Ctrl-C: a process ends where it can be resumed.

A cluster sends SIGTERM some seconds before it takes a machine away. Training
then finishes its update and leaves a checkpoint; everything else ends at once,
because what it has written so far is kept.
"""

import os
import signal
import sys
import threading
from contextlib import contextmanager, nullcontext

SIGNALS = (signal.SIGTERM, signal.SIGINT)
# Of several processes that compute an update, one may wait for long for
# another that is gone.
PATIENCE = 20  # seconds


class Stopped(SystemExit):
    """End the process with the exit code 128 + the signal's number."""

    def __init__(self, number):
        super().__init__(128 + number)
        self.name = signal.Signals(number).name


class Stopping:
    """The signal that has asked this process to end, if any.

    Attributes
    ----------
    wanted : int
        Number of the signal, or 0.

    Example
    -------
    >>> stopping = Stopping()
    >>> with stopping.handled(), stopping.deferred():
    ...     os.kill(os.getpid(), signal.SIGTERM)
    ...     stopping.wanted == signal.SIGTERM
    True
    """

    def __init__(self):
        self.wanted = 0
        self._defers = False
        self._process = os.getpid()

    @contextmanager
    def handled(self, alone=True):
        """Handle the signals while the block runs, in the main thread.

        Arguments
        ---------
        alone : bool
            Whether this process computes updates alone. If not, it ends
            ``PATIENCE`` seconds after the signal, even if it hangs.

        Raises
        ------
        Stopped
            When a signal arrives, unless it is deferred; a second one is not.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        self.wanted, self._process = 0, os.getpid()
        before = [signal.signal(number, self._answer) for number in SIGNALS]
        try:
            with nullcontext() if alone else impatient():
                yield
        finally:
            for number, handler in zip(SIGNALS, before):
                signal.signal(number, handler)

    def _answer(self, number, frame):
        # A process that decodes audio ends with its parent.
        if os.getpid() != self._process:
            return
        defers = self._defers and not self.wanted
        self.wanted = number
        if not defers:
            raise Stopped(number)

    @contextmanager
    def deferred(self):
        """Leave the end to the block, which must check ``wanted``."""
        self._defers = True
        try:
            yield
        finally:
            self._defers = False


@contextmanager
def impatient():
    """End the process some time after a signal, even if it hangs.

    Python handles a signal only between two of its instructions, and a process
    that waits for others is in the middle of one.
    """
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    left = threading.Event()
    before = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    watch = threading.Thread(target=_watch, args=(reading, left), daemon=True)
    watch.start()
    try:
        yield
    finally:
        left.set()
        signal.set_wakeup_fd(before)
        os.close(writing)
        watch.join()
        os.close(reading)


def _watch(reading, left):
    """Wait for one of the signals, then for the block to end."""
    while number := os.read(reading, 1):
        if number[0] in SIGNALS and not left.wait(PATIENCE):
            name = signal.Signals(number[0]).name
            told = f"error: {name} came {PATIENCE} s ago: ended by force.\n"
            os.write(sys.stderr.fileno(), told.encode())
            os._exit(128 + number[0])


def ignore_in_worker(number):
    """Make a worker process that decodes audio ignore the signals.

    They may reach every process of a job. The worker ends with its parent,
    which may still need it for the current update.

    Arguments
    ---------
    number : int
        Number of the worker, as ``torch.utils.data.DataLoader`` passes it.
    """
    for each in SIGNALS:
        signal.signal(each, signal.SIG_IGN)


STOPPING = Stopping()
