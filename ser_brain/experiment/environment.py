"""The environment of a run: the text of env.log."""

import platform
import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path

import torch


def environment():
    """Python, machine, revision, and the packages of this interpreter.

    SpeechBrain's own function calls the ``pip`` that the shell finds, which
    takes seconds and may belong to another environment.

    Returns
    -------
    str
        The text of env.log.

    Example
    -------
    >>> "speechbrain==" in environment()
    True
    """
    packages = sorted(
        {f"{each.name}=={each.version}" for each in distributions()},
        key=str.lower,
    )
    lines = [
        f"Python {sys.version}",
        f"{platform.platform()}, {platform.machine()}",
        f"CUDA of torch: {torch.version.cuda or 'none'}",
        f"git revision: {_revision()}",
        *packages,
    ]
    return "\n".join(lines) + "\n"


def _revision():
    """Commit of the checkout, if it is one and git is installed."""
    command = ("git", "rev-parse", "--short", "HEAD")
    folder = Path(__file__).parent
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, check=False
        )
    except OSError:
        return "no git"
    return done.stdout.strip() or "no checkout"
