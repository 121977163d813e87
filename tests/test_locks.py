"""Who holds a lock is told, and nobody holds it longer than he lives."""

import logging
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest

from ser_brain.errors import InputError
from ser_brain.files import HOST
from ser_brain.locks import hold, turn

HOLDER = """
import sys, time
from pathlib import Path
from ser_brain.locks import hold
lock = hold(Path(sys.argv[1]), str)
print("held", flush=True)
time.sleep(600)
"""


def refusal(holder):
    return f"{holder} writes here: wait."


@contextmanager
def other_process(path):
    """Another process that holds a lock until it is killed."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdout=subprocess.PIPE
    ) as process:
        assert process.stdout.readline() == b"held\n"
        try:
            yield process
        finally:
            process.kill()


def test_the_holder_is_named_by_process_and_host(tmp_path, caplog):
    path = tmp_path / "run.lock"
    with other_process(path) as other:
        holder = f"process {other.pid} on {HOST}"
        with pytest.raises(InputError, match=f"^{holder} writes here: wait."):
            hold(path, refusal)
        assert not caplog.messages
        with pytest.raises(InputError, match=holder):
            hold(path, refusal, seconds=0.1)
        (told,) = caplog.messages
        assert told == (
            f"{tmp_path}: {holder} is working on it, waiting up to 0.1 s for "
            "it to end."
        )


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
def test_a_full_disk_leaves_the_lock_free(tmp_path):
    owner = tmp_path / "run.owner"
    owner.symlink_to("/dev/full")
    with pytest.raises(InputError, match="No space left"):
        hold(tmp_path / "run.lock", refusal)
    assert not owner.is_symlink()
    hold(tmp_path / "run.lock", refusal).release()


def test_the_lock_of_a_killed_process_is_taken_over(tmp_path):
    path = tmp_path / "run.lock"
    with other_process(path) as other:
        other.send_signal(signal.SIGKILL)
        other.wait()
    left = (tmp_path / "run.owner").read_text()
    assert str(other.pid) in left
    lock = hold(path, refusal)
    assert lock.holder == f"process {os.getpid()} on {HOST}"
    lock.release()
    assert [each.name for each in tmp_path.iterdir()] == ["run.lock"]


def test_a_dead_owner_is_not_named(tmp_path):
    path = tmp_path / "run.lock"
    with other_process(path) as other:
        (tmp_path / "run.owner").write_text(
            '{"process": 4194305, "host": "%s"}' % HOST
        )
        with pytest.raises(InputError, match="^another process writes here"):
            hold(path, refusal)
        for damaged in ("", "[]", "{", '{"process": "x", "host": "a"}'):
            (tmp_path / "run.owner").write_text(damaged)
            with pytest.raises(InputError, match="^another process writes"):
                hold(path, refusal)
    assert other.returncode == -signal.SIGKILL


def test_a_turn_comes_when_the_other_ends(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    path = tmp_path / "adapted.lock"
    with other_process(path) as other:
        subprocess.Popen(["sh", "-c", f"sleep 0.3; kill -9 {other.pid}"])
        before = time.monotonic()
        with turn(path, "adapted"):
            assert time.monotonic() - before > 0.2
    assert (
        f"adapted: process {other.pid} on {HOST} is working on it, waiting."
    ) in (caplog.messages)
