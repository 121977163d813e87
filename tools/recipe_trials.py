"""Tiny runs of recipes in processes that are forked, not started.

What a recipe imports takes ten seconds, what it does at this size one. So one
process imports everything, and each run is a fork of it: a process of its own
that can be killed as any other, with nothing to go on from but its files.
"""

import json
import os
import runpy
import signal
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

from tqdm import tqdm

ROOT = Path(__file__).resolve().parents[1]
TESTS = ROOT / "tests"
sys.path[:0] = [str(ROOT), str(TESTS), str(TESTS / "recipes")]
CORPUS, FOLD = "SAVEE", "03"
NO_DROPOUT = {
    "attention_dropout": 0.0,
    "hidden_dropout": 0.0,
    "activation_dropout": 0.0,
    "feat_proj_dropout": 0.0,
}
# Of JSON files: what a clock says, and whether a process was stopped.
CLOCK = {
    "seconds",
    "resumed",
    "audio_per_second",
    "audio_seconds_per_second",
    "wall_seconds",
}
# Logs say when things happened; a stage that was done before has no section.
LOGS = {"log.txt", "env.log"}


def import_libraries():
    """Imports the libraries of recipes, on one thread, which forks need."""
    os.environ.update(OMP_NUM_THREADS="1", HF_HUB_OFFLINE="1")
    import torch

    torch.set_num_threads(1)
    import sklearn.linear_model  # noqa: F401
    import speechbrain  # noqa: F401
    import torch.utils.tensorboard  # noqa: F401
    from transformers.models.wav2vec2 import modeling_wav2vec2  # noqa: F401


def import_everything():
    """Imports what recipes import."""
    import_libraries()
    import ser_brain.corpora.savee  # noqa: F401
    import ser_brain.experiment.stages  # noqa: F401


def make_inputs(folder, **options):
    """Tiny models and a table of 21 clips, in classes of unequal size.

    Arguments
    ---------
    folder : Path
        Where they are written.
    **options
        Of wav2vec 2.0.

    Returns
    -------
    SimpleNamespace
        ``w1`` and ``w2``, folders of models, and ``clips``, the table.
    """
    import torch
    from recipe_runs import pick_clips, write_table
    from tiny_models import write_wav2vec, write_wav2vec2

    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    rows = pick_clips()
    # Losses are weighted by class.
    fewer = [row for row in rows[:16] if row[1] == "sad"][1:]
    write_table(folder / "few.csv", [row for row in rows if row not in fewer])
    return SimpleNamespace(
        w2=write_wav2vec2(folder / "w2", layerdrop=0.3, **options),
        w1=write_wav2vec(folder / "w1"),
        clips=folder / "few.csv",
    )


def command(recipe, inputs, results, **settings):
    """Script and words of a small run of a recipe."""
    from recipe_runs import command_line, script

    few = {"manifest": inputs.clips, "fold": FOLD, **settings}
    words = command_line(recipe, inputs, results, **few)
    return [script(CORPUS, recipe), *words]


def fork(words, log, environment=None, before=None):
    """Starts a recipe in a forked process.

    Arguments
    ---------
    words : list
        As ``command`` gives them.
    log : Path
        Where its output is appended.
    environment : dict, optional
        More variables.
    before : callable, optional
        Called in the new process first.

    Returns
    -------
    int
        The process.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    process = os.fork()
    if process:
        return process
    code = 1
    try:
        os.setpgid(0, 0)
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.environ.update(environment or {})
        # tqdm's own lock is one of all processes, and a killed one keeps it.
        tqdm.set_lock(threading.RLock())
        script, *rest = map(str, words)
        sys.argv = [script, *rest]
        sys.path.insert(0, str(Path(script).parent))
        if before is not None:
            before()
        code = run_as_main(script)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def run_as_main(script):
    """Runs a script as Python would; its exit code."""
    try:
        runpy.run_path(script, run_name="__main__")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else bool(end.code)
    except BaseException:
        sys.excepthook(*sys.exc_info())
        return 1
    return 0


def wait(process, seconds=None):
    """Exit code of a process, negative for a signal; None while it runs."""
    end = None if seconds is None else time.monotonic() + seconds
    while True:
        found, status = os.waitpid(process, 0 if end is None else os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() >= end:
            return None
        time.sleep(0.002)


def kill(process):
    """Ends a process as a power cut would; its exit code."""
    os.kill(process, signal.SIGKILL)
    return wait(process)


def run(words, log, **more):
    """Runs a recipe to its end.

    Raises
    ------
    RuntimeError
        If it failed; the error holds the end of its output.
    """
    code = wait(fork(words, log, **more))
    if code != 0:
        told = log.read_text(errors="replace")[-3000:]
        raise RuntimeError(f"exit code {code}: {words}\n{told}")


def contents(results):
    """What a run has left, as it must be after any number of kills.

    Returns
    -------
    dict
        Path below ``results`` -> bytes; of JSON files what does not depend
        on a clock.
    """
    found = {}
    for path in sorted(results.rglob("*")):
        name = path.relative_to(results).as_posix()
        if path.is_file() and not is_log(path):
            found[name] = content(path, results)
    return found


def is_log(path):
    """Whether a file says when things happened, or that it is locked."""
    events = path.name.startswith("events.out.tfevents")
    return path.name in LOGS or path.suffix == ".lock" or events


def content(path, results):
    """Bytes of a file, without its folder's name and without a clock."""
    read = path.read_bytes().replace(str(results).encode(), b"RESULTS")
    if path.name not in ("done.json", "metrics.json"):
        return read
    record = json.loads(read)
    kept = {key: value for key, value in record.items() if key not in CLOCK}
    return json.dumps(kept, sort_keys=True).encode()


def differences(found, expected):
    """Names of what differs, is missing or is too much."""
    names = sorted(found.keys() | expected.keys())
    return [name for name in names if found.get(name) != expected.get(name)]
