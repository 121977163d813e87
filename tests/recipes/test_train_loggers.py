"""Losses and scores of a run in TensorBoard, Weights & Biases and MLflow."""

import importlib.util
import json

import pytest
from recipe_runs import done, run_folder
from tensorboard.backend.event_processing.event_accumulator import (
    EventAccumulator,
)

from ser_brain.errors import InputError
from ser_brain.experiment.train_loggers import PACKAGES, chosen, is_installed

LOSSES = {"epochs": 2}


def needs(*packages):
    """Skips a test whose packages are not installed."""
    missing = [name for name in packages if not is_installed(name)]
    return pytest.mark.skipif(
        bool(missing), reason=f"{', '.join(missing)} is not installed"
    )


def losses(folder):
    """The losses of train_log.txt, by epoch."""
    lines = (folder / "train_log.txt").read_text().splitlines()
    return [float(line.split("train loss: ")[1]) for line in lines]


@pytest.fixture
def folder(tmp_path):
    """Where the run of a test leaves its files."""
    return run_folder(tmp_path / "results", "vft")


def test_tensorboard_has_losses_and_scores(run, folder):
    got = run("SAVEE", "train_vft", **LOSSES)
    assert got.code == 0, got.err
    events = EventAccumulator(str(folder / "tensorboard" / "classifier"))
    events.Reload()
    found = [each.value for each in events.Scalars("loss/train")]
    assert found == pytest.approx(losses(folder), rel=1e-3)
    metrics = json.loads((folder / "metrics.json").read_text())
    assert events.Scalars("UA/test")[0].value == pytest.approx(metrics["UA"])


def test_a_logger_is_no_part_of_a_key(run, folder):
    got = run("SAVEE", "train_vft", logger="null", **LOSSES)
    assert got.code == 0, got.err
    assert not (folder / "tensorboard").exists()
    before = done(folder, "classifier")
    again = run("SAVEE", "train_vft", **LOSSES)
    assert "classifier: finished before, kept." in again.out
    assert done(folder, "classifier") == before


@needs("mlflow", "sqlalchemy")
def test_mlflow_continues_the_run_of_a_killed_stage(
    run, folder, tmp_path, monkeypatch
):
    from mlflow import MlflowClient

    store = f"sqlite:///{tmp_path}/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "emotions")
    settings = {"logger": "mlflow", **LOSSES}
    with monkeypatch.context() as patch:
        patch.setattr("ser_brain.experiment.training.mean_posteriors", no_test)
        assert run("SAVEE", "train_vft", **settings).code == 2
    client = MlflowClient(store)
    number = client.get_experiment_by_name("emotions").experiment_id
    (stopped,) = client.search_runs([number])
    assert stopped.info.status == "FAILED"
    got = run("SAVEE", "train_vft", **settings)
    assert got.code == 0, got.err
    (finished,) = client.search_runs([number])
    assert finished.info.run_id == stopped.info.run_id
    assert finished.info.status == "FINISHED"
    history = client.get_metric_history(finished.info.run_id, "train/loss")
    assert [each.step for each in history] == [1, 2]
    found = [each.value for each in history]
    assert found == pytest.approx(losses(folder), rel=1e-3)
    metrics = json.loads((folder / "metrics.json").read_text())
    assert finished.data.metrics["test/UA"] == pytest.approx(metrics["UA"])
    assert finished.data.params["fold"] == "03"
    assert "results" not in finished.data.params


def no_test(*args):
    """What ends a run between its training and its test."""
    raise InputError("the test cannot be run: try again.")


@needs("mlflow")
def test_a_store_that_mlflow_cannot_use(run, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "nowhere://x")
    got = run("SAVEE", "train_vft", logger="mlflow")
    assert got.code == 2
    assert "error: --logger mlflow cannot log (" in got.err
    assert "correct MLFLOW_TRACKING_URI" in got.err


def history(path):
    """The rows that an offline run of Weights & Biases logged.

    The file has LevelDB's format: a header, then records with a checksum,
    length and type before each.
    """
    from wandb.proto.wandb_internal_pb2 import Record

    data = path.read_bytes()[7:]
    while data:
        length = int.from_bytes(data[4:6], "little")
        items = Record.FromString(data[7 : 7 + length]).history.item
        row = {"/".join(item.nested_key) or item.key: item for item in items}
        if row:
            yield {key: json.loads(row[key].value_json) for key in row}
        data = data[7 + length :]


@needs("wandb")
def test_weights_and_biases_offline(run, folder, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    got = run("SAVEE", "train_vft", logger="wandb", **LOSSES)
    assert got.code == 0, got.err
    assert "few-vft-nano-03-seed1-classifier: Weights & Biases, " in got.out
    (path,) = (folder / "wandb").glob("offline-run-*/run-*.wandb")
    rows = list(history(path))
    assert [row["epoch"] for row in rows] == [1, 2]
    found = [row["train/loss"] for row in rows]
    assert found == pytest.approx(losses(folder), rel=1e-3)
    metrics = json.loads((folder / "metrics.json").read_text())
    assert rows[-1]["test/UA"] == pytest.approx(metrics["UA"])


@pytest.mark.parametrize(
    "names, sentence",
    [
        ("comet", "--logger is 'comet': give tensorboard, wandb, mlflow, sev"),
        ("wandb,", "--logger is 'wandb,': give"),
    ],
)
def test_an_unknown_logger(names, sentence, monkeypatch):
    monkeypatch.setattr(
        "ser_brain.experiment.train_loggers.is_installed", lambda name: True
    )
    with pytest.raises(InputError) as refused:
        chosen(names)
    assert str(refused.value).startswith(sentence)


@pytest.mark.parametrize("name", sorted(PACKAGES))
def test_a_package_that_is_not_installed(run, monkeypatch, name, tmp_path):
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda asked: None if asked == PACKAGES[name] else find_spec(asked),
    )
    got = run("SAVEE", "train_vft", logger=name)
    assert got.code == 2
    assert f"error: --logger {name} needs the package {name}" in got.err
    assert "run pip install 'ser_brain[loggers]'" in got.err
    assert not (tmp_path / "results").exists()


def test_a_folder_of_that_name_is_no_package(tmp_path, monkeypatch):
    # Weights & Biases makes one where it is started.
    (tmp_path / "no_package").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    assert not is_installed("no_package")
