"""Every promise is broken in the code once: its test must fail.

``breaks.yaml`` has a line of code for each promise of docs/reliability.md, what
to write in its place, and a test. In a copy of the checkout the line is
replaced, the test is run, and the line is restored. A test that passes all the
same does not check the promise.
"""

import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

import recipe_trials as trials
import yaml

HELP = "promises broken in the code, for tests that must fail"
TABLE = Path(__file__).with_name("breaks.yaml")
# pytest's exit codes.
PASSED, FAILED = 0, 1
NOT_COPIED = (".git", ".venv", "results", "build", "dist", "site")


def add_arguments(parser):
    """Add the part's arguments."""
    parser.add_argument("--only", help="promises with these words")


def run(arguments):
    """Break each promise; the number of those whose test does not fail."""
    wanted = arguments.only or ""
    chosen = [one for one in table() if wanted in one["promise"]]
    unnoticed = 0
    # What the tests import from elsewhere is imported once.
    trials.import_libraries()
    with tempfile.TemporaryDirectory(prefix="breaks-") as folder:
        copy = Path(folder, "checkout")
        ignore = shutil.ignore_patterns(*NOT_COPIED, "__pycache__")
        shutil.copytree(trials.ROOT, copy, ignore=ignore)
        for one in chosen:
            begun = time.time()
            code = broken_code(copy, one)
            told = {FAILED: "fails", PASSED: "PASSES"}.get(code, f"code {code}")
            unnoticed += code != FAILED
            print(
                f"{one['promise']}: {one['test']} {told} "
                f"({time.time() - begun:.0f} s)",
                flush=True,
            )
    return unnoticed


def table():
    """The promises, each with file, old, new and test."""
    return yaml.safe_load(TABLE.read_text(encoding="utf-8"))


def broken(root, one):
    """A file's text with the promise broken.

    Raises
    ------
    ValueError
        If the old text does not occur exactly once.
    """
    text = Path(root, one["file"]).read_text(encoding="utf-8")
    if text.count(one["old"]) != 1:
        raise ValueError(
            f"{one['file']} has {text.count(one['old'])} times {one['old']!r}"
        )
    return text.replace(one["old"], one["new"])


def broken_code(copy, one):
    """pytest's exit code on a copy in which the promise is broken."""
    path = Path(copy, one["file"])
    before = path.read_text(encoding="utf-8")
    path.write_text(broken(copy, one), encoding="utf-8")
    try:
        return tested(copy, one["test"])
    finally:
        path.write_text(before, encoding="utf-8")


def tested(copy, test):
    """pytest's exit code, in a forked process that imports from the copy."""
    sys.stdout.flush()
    process = os.fork()
    if process:
        return trials.wait(process)
    os.chdir(copy)
    leave_checkout()
    sys.path.insert(0, str(copy))
    # Bytes compiled from the line before would be taken for the new ones.
    sys.dont_write_bytecode = True
    os.environ.update(PYTHONPATH=str(copy), PYTHONDONTWRITEBYTECODE="1")
    os._exit(quiet_pytest(copy, test))


def leave_checkout():
    """Forget every module of the checkout, and where it lies."""

    def ours(path):
        path = Path(path or ".")
        inside = path.is_relative_to(trials.ROOT)
        return inside and not path.is_relative_to(sys.prefix)

    for name, module in list(sys.modules.items()):
        # Not getattr, at which SpeechBrain's lazy modules are imported.
        file = vars(module).get("__file__")
        if file and ours(file):
            del sys.modules[name]
    sys.path[:] = [path for path in sys.path if not ours(path)]


def quiet_pytest(copy, test):
    """pytest's exit code; its output is in a file beside the copy."""
    import pytest

    log = os.open(copy.parent / "log.txt", os.O_WRONLY | os.O_CREAT)
    os.dup2(log, 1)
    os.dup2(log, 2)
    return int(pytest.main(["-xq", "-p", "no:cacheprovider", test]))
