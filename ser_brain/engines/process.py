"""The process of a run, which ends with the process that started it."""

import ctypes
import os
import shlex
import signal
import subprocess
import sys

STOP_SECONDS = 10
PR_SET_PDEATHSIG = 1
# Loaded before the fork: nothing may be imported after it.
LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


def start(run, environment=None):
    """Start a run in a process group of its own.

    Its output is appended to the run's ``process.log``. On Linux the kernel
    kills it when the process that started it dies for any reason; elsewhere
    it survives a ``kill -9`` of that process.

    Arguments
    ---------
    run : Run
        The run.
    environment : dict, optional
        Environment variables in addition to those of this process.

    Returns
    -------
    subprocess.Popen
        The process.
    """
    run.log.parent.mkdir(parents=True, exist_ok=True)
    command = run.command()
    with run.log.open("ab") as log:
        log.write(f"\n$ {shlex.join(command)}\n".encode())
        log.flush()
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(environment or {})},
            start_new_session=True,
            preexec_fn=_die_with(os.getpid()) if LIBC else None,
        )


def _die_with(parent):
    """Return what the new process does before it becomes the recipe."""

    def ask():
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        # The parent may have died before this was requested.
        if os.getppid() != parent:
            os._exit(1)

    return ask


def stop(process):
    """End a process and its group, if it is still running."""
    if process.poll() is not None:
        return
    os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
