"""Real processes on this machine: side by side, failing, stopped, orphaned."""

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

from ser_brain.assets import ROOT
from ser_brain.engines.local import LocalEngine
from ser_brain.engines.runs import Run
from ser_brain.errors import InputError

# In place of a recipe: what it does is the value of --do.
SCRIPT = """
import os, sys, time
what = sys.argv[sys.argv.index("--do") + 1]
print("threads", os.environ.get("OMP_NUM_THREADS"))
print("devices", os.environ.get("CUDA_VISIBLE_DEVICES"), flush=True)
if what == "refuse":
    print("error: a.wav is empty: copy it again.", file=sys.stderr)
    sys.exit(2)
if what == "crash":
    raise RuntimeError("out of luck")
while what == "wait":
    time.sleep(0.01)
"""
linux = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="asks the Linux kernel"
)


@pytest.fixture
def recipe(tmp_path):
    """A folder with a script that imports nothing."""
    folder = tmp_path / "SAVEE"
    folder.mkdir()
    (folder / "train_vft.py").write_text(SCRIPT)
    return folder


@pytest.fixture
def make(recipe, tmp_path):
    """``make(seed, what)``: a run of that script."""

    def make(seed, what="end"):
        return Run(
            recipe=str(recipe),
            procedure="vft",
            yaml=Path("vft.yaml"),
            fold="1",
            seed=seed,
            overrides=("--do", what),
            folder=tmp_path / f"seed_{seed}",
        )

    return make


def wait_until(condition, seconds=60):
    """Waits until something is so."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def is_alive(pid):
    """Whether a process runs; a dead one may still wait for its parent."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1]
    except OSError:
        return False
    return state.split()[0] != "Z"


def pids_of(run):
    """Processes that a run's command line started."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = entry.read_bytes().decode().split("\0")
        except OSError:
            continue
        if words[1:-1] == run.command()[1:]:
            found.append(int(entry.parent.name))
    return found


def has_begun(run):
    """Whether its script has said something."""
    return run.log.exists() and "devices" in run.log.read_text()


def test_every_run_ends_once_and_the_failing_stop_nobody(make):
    runs = [make(1), make(2, "refuse"), make(3, "crash"), make(4)]
    outcomes = {
        outcome.run.seed: outcome
        for outcome in LocalEngine(workers=2, devices=[]).execute(runs)
    }
    assert sorted(outcomes) == [1, 2, 3, 4]
    assert [outcomes[seed].returncode for seed in (1, 2, 3, 4)] == [0, 2, 1, 0]
    assert outcomes[1].error == ""
    assert outcomes[2].error == "a.wav is empty: copy it again."
    assert outcomes[3].error == "RuntimeError: out of luck"
    assert "Traceback" in outcomes[3].run.log.read_text()
    assert all(outcome.seconds > 0 for outcome in outcomes.values())


def test_a_second_start_appends_to_the_log(make):
    for _ in range(2):
        list(LocalEngine(workers=1, devices=[]).execute([make(1)]))
    assert make(1).log.read_text().count("--seed 1 --do end") == 2


@linux
def test_no_more_than_the_workers_run_at_a_time(make):
    runs = [make(seed, "wait") for seed in range(4)]

    def end_one():
        wait_until(lambda: has_begun(runs[1]))
        os.kill(pids_of(runs[1])[0], signal.SIGKILL)

    killer = threading.Thread(target=end_one)
    killer.start()
    with closing(LocalEngine(workers=2, devices=[]).execute(runs)) as outcomes:
        first = next(outcomes)
        killer.join()
    assert first.run == runs[1]
    assert first.error == "ended by SIGKILL"
    assert runs[0].log.exists() and not runs[3].log.exists()


@linux
def test_closing_stops_what_runs(make):
    run = make(1, "wait")
    outcomes = LocalEngine(workers=2, devices=[]).execute([make(2), run])
    assert next(outcomes).run.seed == 2
    wait_until(lambda: has_begun(run))
    [pid] = pids_of(run)
    outcomes.close()
    assert not is_alive(pid)


@linux
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_killing_the_plan_leaves_no_orphan(make, number):
    run = make(1, "wait")
    program = (
        "from pathlib import Path, PosixPath\n"
        "from ser_brain.engines.local import LocalEngine\n"
        "from ser_brain.engines.runs import Run\n"
        f"list(LocalEngine(1, []).execute([{run!r}]))\n"
    )
    plan = subprocess.Popen(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    wait_until(lambda: has_begun(run))
    [child] = pids_of(run)
    plan.send_signal(number)
    plan.wait()
    wait_until(lambda: not is_alive(child))


def test_gpus_are_shared_out(make):
    engine = LocalEngine(devices=["4", "7"])
    assert engine.workers == 2
    seen = [engine.environment(slot)["CUDA_VISIBLE_DEVICES"] for slot in (0, 1)]
    assert seen == ["4", "7"]
    more = LocalEngine(workers=3, devices=["4", "7"])
    assert more.environment(2) == {"CUDA_VISIBLE_DEVICES": "4"}


def test_threads_are_divided_unless_the_user_chose(monkeypatch, make):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    list(LocalEngine(workers=1000, devices=[]).execute([make(1)]))
    assert "threads 1\n" in make(1).log.read_text()
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    list(LocalEngine(workers=1000, devices=[]).execute([make(2)]))
    assert "threads 3\n" in make(2).log.read_text()


@pytest.mark.parametrize("workers", [0, -1])
def test_no_workers(workers):
    with pytest.raises(InputError, match=f"--workers is {workers}"):
        LocalEngine(workers, devices=[])
