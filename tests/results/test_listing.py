"""``ser-brain list``: every run of a folder, in every state."""

import csv
import io
import json
import os

import pytest
import run_trees

from ser_brain import cli
from ser_brain.results.listing import list_runs
from ser_brain.results.outputs import read_metrics


@pytest.fixture
def tree(tmp_path):
    """Two finished runs, and one each unfinished, failed and broken."""
    tree = run_trees.write_tree(tmp_path, ("vft",), "DC", 2)
    failed = {"fold": "KL", "seed": 1, "error": "no space left"}
    run_trees.write_plan(tmp_path, "vft", ["DC", "KL"], 2, failed=[failed])
    begun = tree / "frozen" / "small" / "fold_A%2FB" / "seed_10"
    begun.mkdir(parents=True)
    (begun / "hyperparams.yaml").write_text("seed: 10\nfrozen:\n  lr: 1\n")
    os.utime(begun / "hyperparams.yaml", (0, 0))
    broken = run_trees.write_run(tmp_path, "tapt", "JE", 3)
    with open(broken / "predictions.csv", "a") as file:
        file.write("junk\n")
    return tree


def test_states_are_told_apart(tree):
    runs, errors = list_runs(tree)
    names = ["procedure", "scale", "fold", "seed", "state"]
    assert runs[names].values.tolist() == [
        ["frozen", "small", "A/B", 10, "unfinished"],
        ["tapt", "nano", "JE", 3, "broken"],
        ["vft", "nano", "DC", 1, "finished"],
        ["vft", "nano", "DC", 2, "finished"],
        ["vft", "nano", "KL", 1, "failed"],
    ]
    assert set(runs["corpus"]) == {"SAVEE"}
    for _, run in runs[runs["state"] == "finished"].iterrows():
        metrics = read_metrics(f"{run['folder']}/metrics.json")
        assert (run["UA"], run["WA"]) == (metrics["UA"], metrics["WA"])
        assert run["seconds"] == 60.0
    others = runs[runs["state"] != "finished"]
    assert others[["UA", "WA", "CCC", "seconds"]].isna().all(axis=None)
    assert runs["when"][0].startswith(("1970-01-01", "1969-12-31"))
    assert runs["when"][4] is None
    assert len(errors) == 2
    assert "fold_KL/seed_1 failed: no space left" in errors[0]
    assert "predictions.csv" in errors[1]


def test_a_failed_run_that_was_repeated_is_finished(tree, tmp_path):
    run_trees.write_run(tmp_path, "vft", "KL", 1)
    runs, errors = list_runs(tree / "vft")
    assert list(runs["state"]) == 3 * ["finished"] and errors == []


def test_a_fold_does_not_list_its_neighbours(tree):
    """The plan's record above it names a failed run of another fold."""
    runs, _ = list_runs(tree / "vft" / "nano" / "fold_DC")
    assert list(runs["fold"]) == ["DC", "DC"]


def test_the_model_of_a_table_is_no_run(tmp_path):
    tree = run_trees.write_tree(tmp_path, ("vft",), "DC", 1)
    (tree / "hyperparams.yaml").write_text("seed: 1\nfrozen:\n  lr: 1\n")
    assert list(list_runs(tree)[0]["state"]) == ["finished"]


def test_runs_that_predict_ratings(tmp_path, capsys):
    from ser_brain.results.ratings import write_ratings

    folder = tmp_path / "calls" / "vad" / "nano" / "fold_1" / "seed_1"
    folder.mkdir(parents=True)
    row = {"id": "a", "speaker": "s", "fold": "1"}
    row |= {"truth": [2.5], "prediction": [3.0]}
    named = dict(corpus="calls", procedure="vad", scale="nano", fold="1")
    scores = {"mean_CCC": 0.25, "wall_seconds": {"classifier": 7.0}, "seed": 1}
    write_ratings(folder, [row], ["valence"], named | scores)
    assert cli.main(["list", str(tmp_path)]) == 0
    head, line = capsys.readouterr().out.splitlines()
    assert head.split()[8] == "CCC"
    assert line.split()[:11] == (
        "calls vad nano 1 1 finished – – 0.250 7.0 s".split()
    )
    (folder / "ratings.csv").write_text("edited")
    assert cli.main(["list", str(tmp_path)]) == 1
    out, err = capsys.readouterr()
    assert " broken " in out and "ratings.csv is not the file" in err


def test_table_csv_and_json_agree(tree, capsys):
    """The summary and the reasons are on stderr; a broken run is exit 1."""
    assert cli.main(["list", str(tree)]) == 1
    out, err = capsys.readouterr()
    head, *lines = out.splitlines()
    assert head.split()[:8] == (
        "corpus procedure scale fold seed state UA WA".split()
    )
    assert len(lines) == 5 and "CCC" not in head
    assert err.splitlines()[-1] == (
        "5 runs: 2 finished, 1 unfinished, 1 failed, 1 broken"
    )
    assert err.count("warning: ") == 2
    assert cli.main(["list", str(tree), "--csv"]) == 1
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert cli.main(["list", str(tree), "--json"]) == 1
    records = json.loads(capsys.readouterr().out)
    for row, record, line in zip(rows, records, lines, strict=True):
        assert row == {
            k: "" if v is None else str(v) for k, v in record.items()
        }
        assert line.split()[:6] == list(map(str, record.values()))[:6]


def test_only_one_scale_and_no_run(tree, tmp_path, capsys):
    assert cli.main(["list", str(tree), "--scale", "small"]) == 0
    assert capsys.readouterr().out.count("\n") == 2
    empty = tmp_path / "empty"
    empty.mkdir()
    assert cli.main(["list", str(empty)]) == 2
    assert f"{empty} holds no finished run" in capsys.readouterr().err
