"""How a command ends: in one sentence, or without a word."""

import errno
import subprocess
import sys
from pathlib import Path

import pytest

from ser_brain.errors import InputError, exit_code

ROOT = Path(__file__).resolve().parents[1]
LINES = "lambda: print('line\\n' * 100_000) or 0"


def run(work, stdout):
    """A command in a process of its own; exit code and stderr."""
    code = f"import sys; from ser_brain.errors import *; sys.exit({work})"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    return done.returncode, done.stderr


def test_nobody_reads_the_output():
    closed = subprocess.Popen(["true"], stdin=subprocess.PIPE)
    closed.wait()
    assert run(f"exit_code({LINES})", closed.stdin) == (141, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
@pytest.mark.parametrize("work", [LINES, "lambda: print('short') or 0"])
def test_the_output_is_full(work):
    with open("/dev/full", "w") as full:
        code, told = run(f"exit_code({work})", full)
    assert code == 2
    assert told.startswith("error: the output cannot be written (No space")
    assert len(told.splitlines()) == 1


def test_a_disk_that_is_full_names_the_file(tmp_path, capsys):
    path = tmp_path / "a.txt"

    def work():
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    assert exit_code(work) == 2
    told = capsys.readouterr().err
    assert told.startswith(f"error: {path} cannot be written (No space left")
    assert len(told.splitlines()) == 1


def test_bytes_that_steer_a_terminal_do_not_reach_it(capsys):
    def work():
        raise InputError("\x1b[2Ja.wav\nis bad: \x07give another.")

    assert exit_code(work) == 2
    told = capsys.readouterr().err
    assert told == "error: \\x1b[2Ja.wav is bad: \\x07give another.\n"


def test_other_errors_are_not_hidden():
    with pytest.raises(ZeroDivisionError):
        exit_code(lambda: 1 / 0)
    with pytest.raises(FileNotFoundError):
        exit_code(lambda: open("/nowhere"))
