"""Runs of a plan: shared adaptations, locks, and the same bytes anyhow."""

import json
import os
import signal
import sys
import threading
from pathlib import Path

import pytest
from filelock import FileLock
from recipe_runs import command_line, done, run_folder, start
from test_recipes import wait_for

from ser_brain import cli
from ser_brain.experiment import experiment
from ser_brain.experiment.results import RESULTS
from ser_brain.experiment.stage import Stage

CUT = {"epochs": 6, "ckpt_interval_steps": 1}


def snapshot(folder):
    """Content of a run's results and stages."""
    results = [folder / name for name in RESULTS]
    stages = [path for path in folder.glob("save/**/*") if path.is_file()]
    return {path: path.read_bytes() for path in results + stages}


def test_runs_share_the_adaptation_of_a_seed(run, tmp_path):
    assert run("SAVEE", "train_ptapt").code == 0
    first = run_folder(tmp_path / "results", "ptapt")
    before = snapshot(first)
    got = run("SAVEE", "train_ptapt", seed=2, adaptation_seed=1)
    assert got.code == 0, got.err
    for stage in ("emotion_states", "clusters", "adapted"):
        assert f"{stage}: finished before, kept" in got.out
    # The first run is as it was: another only looked.
    assert snapshot(first) == before
    second = run_folder(tmp_path / "results", "ptapt", seed=2)
    assert not (second / "save" / "adapted").exists()
    told = [
        json.loads((folder / "metrics.json").read_text())
        for folder in (first, second)
    ]
    assert [one["adaptation_seed"] for one in told] == [1, 1]
    assert told[0]["key"] != told[1]["key"]
    assert told[1]["key"] == done(second, "classifier")["key"]
    names = [path.name for path in (tmp_path / "results/few/pseudo").rglob("*")]
    assert "seed_2" not in names


def test_the_adaptation_follows_its_own_seed_alone(run, tmp_path):
    """That of seed 2 is the same, whichever run asks for it first."""
    weights = Path("save", "adapted", "model.safetensors")
    for name, settings in {
        "own": {"seed": 2},
        "asked": {"seed": 5, "adaptation_seed": 2},
    }.items():
        got = run("SAVEE", "train_tapt", results=tmp_path / name, **settings)
        assert got.code == 0, got.err
    own, asked = (
        (run_folder(tmp_path / name, "tapt", seed=2) / weights).read_bytes()
        for name in ("own", "asked")
    )
    assert own == asked


def test_fine_tuning_alone_has_no_adaptation_seed(run):
    got = run("SAVEE", "train_vft", adaptation_seed=1)
    assert got.code == 2
    assert "--adaptation_seed is not a setting of this method" in got.err


def test_one_process_at_a_time_writes_to_a_run_folder(
    run, tmp_path, monkeypatch
):
    monkeypatch.setattr(experiment, "LOCK_SECONDS", 0)
    folder = run_folder(tmp_path / "results", "vft")
    folder.mkdir(parents=True)
    with FileLock(folder / "run.lock"):
        got = run("SAVEE", "train_vft")
    assert got.code == 2
    assert f"{folder} is being written by another process" in got.err
    assert {path.name for path in folder.iterdir()} == {"run.lock"}


def test_of_two_processes_one_does_a_stage(tmp_path):
    begun, records = [], []
    both = threading.Barrier(2)

    def work():
        begun.append(threading.get_ident())
        return {"clips": 3}

    def ask():
        stage = Stage("adapted", tmp_path / "save" / "adapted", "key")
        both.wait()
        records.append(stage.run(work))

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(begun) == 1
    assert records[0] == records[1]


def children(pid):
    """Processes that a process has started."""
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(word) for word in text.split()]


def is_gone(pid):
    """Whether a process has ended, be it waited for or not."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return True
    return status.rsplit(")", 1)[1].split()[0] == "Z"


@pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="asks the Linux kernel"
)
def test_same_bytes_alone_in_a_plan_and_killed(
    run, environment, models, clips, tmp_path
):
    """Two at a time, the plan killed in mid-epoch, and started again."""
    results = tmp_path / "plan"
    yaml, *words = command_line(
        "train_vft", models, results, manifest=clips, **CUT
    )
    argv = ["run", "IEMOCAP", yaml, "--folds", "03", "--runs", "2"]
    argv += ["--workers", "2", *map(str, words)]
    plan = start("ser_brain.cli", argv, launcher=["-m"])
    folders = [run_folder(results, "vft", seed=seed) for seed in (1, 2)]
    for folder in folders:
        wait_for(plan, folder / "save/classifier/checkpoints/CKPT*", 300)
    runs = children(plan.pid)
    assert len(runs) == 2
    os.kill(plan.pid, signal.SIGKILL)
    plan.communicate()
    while not all(map(is_gone, runs)):
        pass
    assert not (folders[1] / "predictions.csv").exists()

    assert cli.main(argv) == 0
    assert done(folders[1], "classifier")["resumed"]
    record = json.loads((results / "few/vft/nano/plan.json").read_text())
    assert record["missing"] == record["failed"] == []

    for seed, folder in enumerate(folders, start=1):
        alone = tmp_path / "alone"
        got = run("IEMOCAP", "train_vft", results=alone, seed=seed, **CUT)
        assert got.code == 0, got.err
        expected = run_folder(alone, "vft", seed=seed) / "predictions.csv"
        assert (
            folder / "predictions.csv"
        ).read_bytes() == expected.read_bytes()
