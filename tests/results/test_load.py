"""Results as pandas tables, and the examples of docs/results.md."""

import re
from pathlib import Path

import numpy as np
import pandas
import pytest
import run_trees

from ser_brain.errors import InputError
from ser_brain.evaluation.metrics import confusion, unweighted_accuracy
from ser_brain.results import load, load_runs
from ser_brain.results.outputs import read_metrics, read_predictions

DOCS = Path(__file__).resolve().parents[2] / "docs"
CLASSES = list(run_trees.CLASSES)


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """Two procedures on two folds; P-TAPT has a run more."""
    root = tmp_path_factory.mktemp("examples") / "results"
    return run_trees.write_tree(root, ("vft", "ptapt"), "DC KL", 2)


def test_one_row_per_clip_and_run(tree):
    clips = load(tree)
    paths = sorted(tree.rglob("predictions.csv"))
    rows = [row for path in paths for row in read_predictions(path)]
    assert len(clips) == len(rows)
    assert list(clips) == [
        *["corpus", "procedure", "scale", "share", "fold", "seed"],
        *["speaker", "clip", "label", "prediction", *CLASSES],
    ]
    assert clips["clip"].tolist() == [row["id"] for row in rows]
    assert clips["label"].tolist() == [row["label"] for row in rows]
    expected = [list(row["posteriors"].values()) for row in rows]
    np.testing.assert_array_equal(clips[CLASSES], expected)
    assert set(clips["share"]) == {1.0}


def test_one_row_per_run(tree):
    runs = load_runs(tree / "vft", str(tree / "ptapt"))
    assert len(runs) == 9
    for _, run in runs.iterrows():
        metrics = read_metrics(run["folder"] / "metrics.json")
        assert (run["fold"], run["seed"]) == (metrics["fold"], metrics["seed"])
        assert run["UA"] == metrics["UA"]
        assert run["recall.anger"] == metrics["recall"]["anger"]
        assert run["versions.torch"] == metrics["versions"]["torch"]
        assert run["wall_seconds.classifier"] == 60.0


def test_a_fold_is_a_name(tmp_path):
    """Numbers of sessions too: they are joined with the clips' folds."""
    for share in (0.5, 1.0):
        root = tmp_path / str(share)
        folder = run_trees.write_run(root, "vft", "DC", 1, train_share=share)
        path = folder / "metrics.json"
        text = path.read_text().replace('"fold": "DC"', '"fold": 5')
        path.write_text(text)
    runs, clips = load_runs(tmp_path), load(tmp_path)
    assert runs["fold"].tolist() == ["5", "5"]
    assert set(clips["fold"]) == {"5"}
    assert set(clips["share"]) == set(runs["share"]) == {0.5, 1.0}


def test_scale_chooses(tree):
    assert len(load_runs(tree, scale="nano")) == 9
    with pytest.raises(InputError, match="no finished run of scale full"):
        load(tree, scale="full")


def test_a_class_may_not_be_called_like_a_column(tmp_path):
    folder = run_trees.write_run(tmp_path, "vft", "DC", 1)
    for name in ("predictions.csv", "metrics.json"):
        text = (folder / name).read_text().replace("sadness", "scale")
        text = text.replace('"predictions_sha256"', '"no_sha256"')
        (folder / name).write_text(text)
    with pytest.raises(InputError, match="is called 'scale'"):
        load(tmp_path)


def test_a_label_without_a_posterior_is_found(tmp_path):
    folder = run_trees.write_run(tmp_path, "vft", "DC", 1)
    for name in ("predictions.csv", "metrics.json"):
        text = (folder / name).read_text()
        text = text.replace(",anger,", ",rage,", 1).replace("_sha256", "_sha")
        (folder / name).write_text(text)
    with pytest.raises(InputError, match="predictions.csv has the label"):
        load(tmp_path)


@pytest.fixture(scope="module")
def examples(tree):
    """The names that the examples of docs/results.md define, after a run."""
    text = (DOCS / "results.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    names = {}
    for block in blocks:
        exec(block.replace("results/SAVEE", str(tree)), names)
    return names


def test_the_example_s_confusion_matrix(examples, tree):
    found = confusion(
        *[
            [row[key] for path in sorted(tree.rglob("ptapt/**/*.csv"))
             for row in read_predictions(path)]
            for key in ("label", "prediction")
        ],
        sorted(CLASSES),
    )  # fmt: skip
    np.testing.assert_array_equal(examples["matrix"], found)
    np.testing.assert_allclose(examples["percent"].sum(axis=1), 100)


def test_the_example_s_score_by_speaker(examples, tree):
    for path in tree.rglob("predictions.csv"):
        rows = pandas.read_csv(path)
        metrics = read_metrics(path.with_name("metrics.json"))
        name = (metrics["procedure"], rows["speaker"][0], metrics["fold"])
        assert examples["accuracy"][(*name, metrics["seed"])] == pytest.approx(
            unweighted_accuracy(rows["label"], rows["prediction"])
        )


def test_the_example_s_comparison(examples):
    runs = examples["runs"].set_index(["procedure", "fold", "seed"])["UA"]
    seeds = {"DC": (1, 2), "KL": (1, 2)}
    gains = [
        np.mean([runs["ptapt", f, s] - runs["vft", f, s] for s in of_fold])
        for f, of_fold in seeds.items()
    ]
    assert examples["gain"].groupby("fold").mean().mean() == pytest.approx(
        np.mean(gains)
    )
    vft = [runs["vft", fold].mean() for fold in seeds]
    assert examples["by_fold"]["vft"].mean() == pytest.approx(np.mean(vft))
