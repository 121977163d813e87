"""A run on a share of the training part."""

import json

import pytest
from recipe_runs import pick_clips, run_folder


@pytest.fixture
def prepared(run, tmp_path):
    """V-FT on half of the training clips: its exit and its run folder."""
    result = run("SAVEE", "train_vft", train_share=0.5)
    folder = run_folder(tmp_path / "results", "vft", scale="nano-share0.5")
    return result, folder


def test_half_of_the_training_clips(prepared, tmp_path):
    result, folder = prepared
    assert result.code == 0, result.err
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["scale"] == "nano-share0.5"
    assert metrics["train_share"] == 0.5
    manifest = json.loads(
        (folder.parents[3] / "manifest.json").read_text(encoding="utf-8")
    )
    entries = manifest.get("clips", manifest).values()
    whole = sum(e["duration"] for e in entries if e["speaker"] != "03")
    assert 0 < metrics["train_hours"] < whole / 3600 * 0.7
    # The test part is whole.
    tested = sum(speaker == "03" for _, _, speaker in pick_clips())
    assert metrics["n"] == tested


def test_a_share_that_is_none(run):
    result = run("SAVEE", "train_vft", train_share=2)
    assert result.code == 2
    assert "train_share is 2.0" in result.err


def test_a_share_too_small_for_the_classes(run):
    result = run("SAVEE", "train_vft", train_share=0.1)
    assert result.code == 2
    assert "none of the class" in result.err
