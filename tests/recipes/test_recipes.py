"""Every recipe from its command line to its last file."""

import csv
import json
import signal
import time

import numpy as np
import pytest
from recipe_runs import command_line, done, run_folder, script, start
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score

from ser_brain.clustering import PseudoLabels

METRICS = {
    "corpus",
    "procedure",
    "scale",
    "fold",
    "seed",
    "UA",
    "WA",
    "macro_f1",
    "recall",
    "n",
    "audio_seconds_per_second",
    "wall_seconds",
    "versions",
}
STAGES = {
    "vft": ["classifier"],
    "tapt": ["adapted", "classifier"],
    "ptapt": ["emotion_states", "clusters", "adapted", "classifier"],
}


def check_predictions(folder, fold):
    """predictions.csv holds posteriors, and metrics.json its scores."""
    with (folder / "predictions.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    metrics = json.loads((folder / "metrics.json").read_text())
    classes = list(metrics["recall"])
    shares = np.array([[float(row[name]) for name in classes] for row in rows])
    np.testing.assert_allclose(shares.sum(1), 1, atol=1e-5)
    truth = [row["label"] for row in rows]
    prediction = [row["prediction"] for row in rows]
    assert prediction == [classes[index] for index in shares.argmax(1)]
    assert metrics["n"] == len(rows)
    assert {row["fold"] for row in rows} == {fold}
    expected = {
        "UA": balanced_accuracy_score(truth, prediction),
        "WA": accuracy_score(truth, prediction),
        "macro_f1": f1_score(truth, prediction, average="macro"),
    }
    for name, score in expected.items():
        assert metrics[name] == pytest.approx(score, abs=1e-6)
    return metrics


def check_run(folder, procedure, fold):
    """All of a run folder is there and agrees with itself."""
    names = {path.name for path in folder.iterdir()}
    assert {
        "hyperparams.yaml",
        "log.txt",
        "train_log.txt",
        "tensorboard",
        "save",
        "predictions.csv",
        "metrics.json",
        "confusion.png",
    } <= names
    assert not [name for name in names if name.startswith(".")]
    assert "experiment.py" not in names
    assert (folder / "confusion.png").read_bytes().startswith(b"\x89PNG")
    metrics = check_predictions(folder, fold)
    assert metrics.keys() >= METRICS
    stages = STAGES[procedure]
    assert list(metrics["wall_seconds"]) == stages
    trained = [name for name in stages if name != "clusters"]
    assert list(metrics["audio_seconds_per_second"]) == trained
    assert {path.name for path in (folder / "tensorboard").iterdir()} == set(
        trained
    )
    log = (folder / "train_log.txt").read_text()
    assert all(f"stage: {name}" in log for name in trained)
    assert metrics["procedure"] == procedure
    return metrics


@pytest.mark.parametrize(
    "corpus, fold, n", [("IEMOCAP", "3", 50), ("SAVEE", "JE", 25)]
)
def test_mini_corpus(run, tmp_path, corpus, fold, n):
    got = run(corpus, "train_vft", manifest=None, fold=fold, batch_size=32)
    assert got.code == 0, got.err
    folder = run_folder(tmp_path / "results", "vft", f"mini-{corpus}", fold)
    metrics = check_run(folder, "vft", fold)
    assert metrics["corpus"] == f"mini-{corpus}"
    assert metrics["n"] == n
    assert f"{corpus} is not configured" in got.out
    assert f"mini-{corpus}, vft, nano, fold {fold}" in got.out
    assert "--data_folder" in got.out


@pytest.mark.parametrize("corpus", ["IEMOCAP", "SAVEE"])
@pytest.mark.parametrize("recipe", ["train_vft", "train_tapt", "train_ptapt"])
def test_own_corpus(run, tmp_path, corpus, recipe):
    got = run(corpus, recipe)
    assert got.code == 0, got.err
    procedure = recipe.removeprefix("train_")
    check_run(run_folder(tmp_path / "results", procedure), procedure, "03")
    assert "mini corpus" not in got.out


def test_pseudo_labels_see_the_training_part_and_are_reused(run, tmp_path):
    assert run("SAVEE", "extract_pseudo").code == 0
    shared = run_folder(tmp_path / "results", "pseudo")
    file = shared / "save" / "clusters" / "pseudo_labels.safetensors"
    labels = PseudoLabels.load(file)
    assert {name[:2] for name in labels.labels} == {"01", "02"}
    before = file.stat().st_mtime_ns, done(shared, "emotion_states")
    got = run("SAVEE", "train_ptapt")
    assert got.code == 0, got.err
    assert before == (file.stat().st_mtime_ns, done(shared, "emotion_states"))
    assert "emotion_states: finished before, kept" in got.out
    assert "clusters: finished before, kept" in got.out
    assert "adapted: begins" in got.out


def begun(got):
    """Stages that a run did anew."""
    assert got.code == 0, got.err
    return [name for name in STAGES["ptapt"] if f"{name}: begins" in got.out]


def test_only_what_changed_is_done_again(run, tmp_path):
    assert begun(run("IEMOCAP", "train_ptapt")) == STAGES["ptapt"]
    folder = run_folder(tmp_path / "results", "ptapt")
    written = (folder / "predictions.csv").read_bytes()
    same = run("IEMOCAP", "train_ptapt", num_workers=1, micro_batch_seconds=9)
    assert begun(same) == []
    assert (folder / "predictions.csv").read_bytes() == written
    assert begun(run("IEMOCAP", "train_ptapt", lr=0.01)) == ["classifier"]
    assert (folder / "predictions.csv").read_bytes() != written
    clusters = run("IEMOCAP", "train_ptapt", lr=0.01, n_clusters=[4, 6])
    assert begun(clusters) == STAGES["ptapt"][1:]
    states = run("IEMOCAP", "train_ptapt", states_lr=0.01)
    assert begun(states) == STAGES["ptapt"]


def test_a_trial_with_debug_stays_apart(run, tmp_path):
    assert run("IEMOCAP", "train_vft", more=["--debug"]).code == 0
    debugged = run_folder(tmp_path / "results", "vft", scale="nano-debug")
    assert json.loads((debugged / "metrics.json").read_text())["n"] == 2
    assert not run_folder(tmp_path / "results", "vft").exists()


def predictions(run, results, recipe, seed):
    """The bytes of predictions.csv of a run."""
    got = run("IEMOCAP", recipe, results=results, seed=seed)
    assert got.code == 0, got.err
    folder = run_folder(results, recipe.removeprefix("train_"), seed=seed)
    return (folder / "predictions.csv").read_bytes()


@pytest.mark.parametrize("recipe", ["train_tapt", "train_ptapt"])
def test_same_seed_same_bytes(run, tmp_path, recipe):
    first = predictions(run, tmp_path / "a", recipe, seed=1)
    assert first == predictions(run, tmp_path / "b", recipe, seed=1)


def test_other_seed_other_bytes(run, tmp_path):
    first = predictions(run, tmp_path, "train_vft", seed=1)
    assert first != predictions(run, tmp_path, "train_vft", seed=2)


@pytest.mark.parametrize(
    "variant, recipe",
    [
        ("released_code", "train_tapt"),
        ("released_code", "train_ptapt"),
        ("augment", "train_vft"),
    ],
)
def test_variants(run, tmp_path, variant, recipe):
    got = run("SAVEE", recipe, variant=variant)
    assert got.code == 0, got.err
    procedure = recipe.removeprefix("train_")
    scale = f"nano-{variant}"
    folder = run_folder(tmp_path / "results", procedure, scale=scale)
    assert check_run(folder, procedure, "03")["scale"] == scale


@pytest.mark.parametrize(
    "pooling", ["StatisticsPooling", "AttentivePooling", "LSTMPooling"]
)
def test_pooling_is_chosen_in_the_yaml(run, tmp_path, pooling):
    kind = f"!new:ser_brain.nnet.pooling.{pooling}"
    sizes = {"LSTMPooling": " {dim: 32, hidden: 8}"}
    sizes["AttentivePooling"] = " {dim: 32}"
    got = run(
        "SAVEE",
        "train_vft",
        pooling=kind + sizes.get(pooling, ""),
        # A probe finds no weights of a pooling.
        head_start="random",
    )
    assert got.code == 0, got.err
    check_run(run_folder(tmp_path / "results", "vft"), "vft", "03")


def wait_for(process, path, seconds=120):
    """Waits until a process has written what matches a path."""
    end = time.monotonic() + seconds
    while not list(path.parent.glob(path.name)):
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < end
        time.sleep(0.01)


def test_killed_run_goes_on(run, environment, models, clips, tmp_path):
    """Killed in the adaptation, then in the fine-tuning, then finished."""
    more = {"adaptation_steps": 9, "adaptation_checkpoint_steps": 6}
    more |= {"epochs": 4, "ckpt_interval_steps": 1}
    results = tmp_path / "cut"
    folder = run_folder(results, "tapt")
    few = {"manifest": clips, "fold": "03", **more}
    for stage in ("adapted", "classifier"):
        argv = command_line("train_tapt", models, results, **few)
        process = start(script("IEMOCAP", "train_tapt"), argv)
        wait_for(process, folder / "save" / stage / "checkpoints" / "CKPT*")
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert not (folder / "save" / stage / "done.json").exists()
        assert not (folder / "predictions.csv").exists()
    again = run("IEMOCAP", "train_tapt", results=results, **more)
    assert again.code == 0, again.err
    assert "adapted: finished before, kept" in again.out
    assert "classifier: continues where it was stopped" in again.out
    assert done(folder, "adapted")["resumed"]
    whole = run("IEMOCAP", "train_tapt", results=tmp_path / "whole", **more)
    assert whole.code == 0, whole.err
    expected = run_folder(tmp_path / "whole", "tapt")
    for name in ("predictions.csv", "save/adapted/model.safetensors"):
        assert (folder / name).read_bytes() == (expected / name).read_bytes()
