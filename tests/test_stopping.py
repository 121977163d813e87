"""Signals that ask a process to end: noted, answered, and enforced."""

import os
import signal
import subprocess
import sys
import time

import pytest

from ser_brain.stopping import SIGNALS, Stopped, Stopping

# Python's own handler cannot be called in the middle of this computation.
HANGING = """
import hashlib
from ser_brain import stopping
stopping.PATIENCE = 0.2
with stopping.STOPPING.handled(alone={alone}):
    print("begun", flush=True)
    hashlib.pbkdf2_hmac("sha256", b"a", b"b", {rounds})
"""


def ended(alone, rounds, number):
    """A process that computes for long, after it was asked to end."""
    code = HANGING.format(alone=alone, rounds=rounds)
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout.readline() == "begun\n"
            time.sleep(0.5)  # The computation has begun, too.
            process.send_signal(number)
            _, told = process.communicate(timeout=60)
        finally:
            process.kill()
    return process.returncode, told


@pytest.mark.parametrize("number", SIGNALS)
def test_a_process_that_hangs_is_ended_by_force(number):
    # An hour, if it were let.
    code, told = ended(False, 2**31 - 1, number)
    assert code == 128 + number
    assert told == f"error: {number.name} came 0.2 s ago: ended by force.\n"


def test_one_that_computes_alone_is_waited_for():
    code, told = ended(True, 3_000_000, signal.SIGTERM)
    assert code == 128 + signal.SIGTERM
    assert "by force" not in told


@pytest.mark.parametrize("number", SIGNALS)
def test_the_first_signal_is_noted_and_the_second_answered(number):
    before = signal.getsignal(number)
    stopping = Stopping()
    with pytest.raises(Stopped) as stopped, stopping.handled():
        with stopping.deferred():
            os.kill(os.getpid(), number)
            assert stopping.wanted == number
            os.kill(os.getpid(), number)
    assert stopped.value.code == 128 + number
    assert signal.getsignal(number) is before


def test_without_a_training_the_first_is_answered():
    stopping = Stopping()
    with pytest.raises(Stopped), stopping.handled(alone=False):
        os.kill(os.getpid(), signal.SIGTERM)
    assert signal.set_wakeup_fd(-1) == -1


def test_another_process_leaves_it_to_its_parent():
    """Workers that decode audio are forked with the handlers."""
    stopping = Stopping()
    with stopping.handled():
        process = os.fork()
        if process == 0:
            os.kill(os.getpid(), signal.SIGTERM)
            os._exit(7)
        assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 7
        assert stopping.wanted == 0
