"""SIGTERM and Ctrl-C: the update is finished, a checkpoint left, the same
command goes on to the same bytes."""

import os
import signal

import pytest
import yaml
from recipe_runs import run_folder

from ser_brain.brains import UtteranceBrain

SETTINGS = {"epochs": 2, "batch_size": 4}


@pytest.fixture
def signals(monkeypatch):
    """``signals(n, number)``: the signal comes in the n-th update."""
    fit_batch = UtteranceBrain.fit_batch
    left = {}

    def counted(self, batch):
        asked = left.get("updates", 0) - 1
        left["updates"] = asked
        loss = fit_batch(self, batch)
        if asked == 0:
            os.kill(os.getpid(), left["number"])
        return loss

    monkeypatch.setattr(UtteranceBrain, "fit_batch", counted)
    return lambda updates, number: left.update(updates=updates, number=number)


@pytest.mark.parametrize(
    "updates, number, left",
    [
        (3, signal.SIGTERM, {"step": 3}),
        # The last update of an epoch, whose own checkpoint has begun a new one.
        (4, signal.SIGINT, {"step": 0}),
    ],
)
def test_a_signal_ends_a_training_after_its_update(
    run, signals, tmp_path, updates, number, left
):
    before = signal.getsignal(number)
    signals(updates, number)
    got = run("SAVEE", "train_vft", **SETTINGS)
    assert got.code == 128 + number
    assert f"stopped by {number.name}: start the same command again" in got.err
    assert "Traceback" not in got.err
    assert signal.getsignal(number) is before
    folder = run_folder(tmp_path / "results", "vft")
    (checkpoint,) = (folder / "save/classifier/checkpoints").glob("CKPT*")
    found = yaml.safe_load((checkpoint / "brain.ckpt").read_text())
    assert left.items() <= found.items()

    again = run("SAVEE", "train_vft", **SETTINGS)
    assert again.code == 0, again.err
    assert "classifier: continues where it was stopped" in again.out
    whole = run("SAVEE", "train_vft", results=tmp_path / "whole", **SETTINGS)
    assert whole.code == 0, whole.err
    expected = run_folder(tmp_path / "whole", "vft")
    for name in (
        "predictions.csv",
        "train_log.txt",
        "save/classifier/encoder/model.safetensors",
        "save/classifier/head.safetensors",
    ):
        assert (folder / name).read_bytes() == (expected / name).read_bytes()


def let_through():
    os.kill(os.getpid(), signal.SIGTERM)


def swallowed():
    """As some libraries do, which then raise an error of their own."""
    try:
        os.kill(os.getpid(), signal.SIGTERM)
        os.getpid()
    except:  # noqa: E722
        pass
    raise ValueError("no constructor for the tag")


@pytest.mark.parametrize("ask", [let_through, swallowed])
def test_between_trainings_a_signal_ends_at_once(
    run, monkeypatch, tmp_path, ask
):
    evaluate = UtteranceBrain.evaluate_batch

    def asked(self, batch, stage):
        ask()
        return evaluate(self, batch, stage)

    with monkeypatch.context() as patch:
        patch.setattr(UtteranceBrain, "evaluate_batch", asked)
        got = run("SAVEE", "train_vft")
    assert got.code == 128 + signal.SIGTERM
    folder = run_folder(tmp_path / "results", "vft")
    assert not (folder / "predictions.csv").exists()
    assert not list(folder.glob("*.owner"))
    again = run("SAVEE", "train_vft")
    assert again.code == 0, again.err
