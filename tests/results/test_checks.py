"""What the report refuses, and what it calls incomplete."""

import argparse
import json
from pathlib import Path

import pytest
import run_trees

from ser_brain.commands import report as command
from ser_brain.errors import InputError
from ser_brain.plans.plan import Plan
from ser_brain.reporting.analysis import analyse
from ser_brain.reporting.missing import what_is_missing
from ser_brain.results.checks import check_one_protocol
from ser_brain.results.records import find_plans, read_plan
from ser_brain.results.runs import find_runs, find_unfinished

YAML = Path(__file__).resolve().parents[2] / "hparams" / "vft.yaml"


def look(folder, scale=None):
    """Reads and checks as the command does; returns what is missing."""
    runs = find_runs([folder], scale)
    plans = find_plans([folder], scale)
    check_one_protocol(runs, plans)
    return what_is_missing(runs, plans, find_unfinished([folder], scale))


@pytest.fixture
def tree(tmp_path):
    """V-FT on two folds, two runs each, as planned."""
    return run_trees.write_tree(tmp_path, ("vft",), "DC KL", 2)


def edit(folder, **changes):
    """metrics.json with other values."""
    path = folder / "metrics.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_a_whole_plan_lacks_nothing(tree):
    assert look(tree) == []


def test_procedures_may_stand_side_by_side(tree):
    for fold in ("DC", "KL"):
        run_trees.write_run(tree.parent, "tapt", fold, 1)
    run_trees.write_plan(tree.parent, "tapt", ["DC", "KL"], 1)
    assert look(tree) == []


@pytest.mark.parametrize(
    "change, said",
    [
        ({"corpus": "IEMOCAP"}, r"differ in corpus \(IEMOCAP; SAVEE\)"),
        ({"scale": "full"}, r"differ in scale \(full; nano\)"),
        ({"train_share": 0.5}, r"differ in train share \(0.5; 1.0\)"),
        ({"seed": 2}, "both hold vft, fold DC, seed 2"),
    ],
)
def test_runs_of_two_kinds_are_refused(tree, change, said):
    first = tree / "vft" / "nano" / "fold_DC" / "seed_1"
    edit(first, **change)
    with pytest.raises(InputError, match=said) as error:
        look(tree)
    assert str(first) in str(error.value)
    assert str(first.with_name("seed_2")) in str(error.value)


def test_scale_chooses(tree):
    run_trees.write_run(tree.parent, "vft", "DC", 1, scale="full")
    assert look(tree, "nano") == []
    assert look(tree, "full") == ["V-FT: no run of folds JE, JK, KL"]


def test_other_classes_are_refused(tree):
    folder = tree / "vft" / "nano" / "fold_DC" / "seed_1"
    path = folder / "predictions.csv"
    path.write_text(path.read_text().replace("surprise", "wonder"))
    edit(folder, predictions_sha256=None)
    with pytest.raises(InputError, match="differ in classes"):
        look(tree)


def test_other_settings_are_refused(tree):
    path = tree / "vft" / "nano" / "fold_KL" / "seed_2" / "hyperparams.yaml"
    path.write_text(path.read_text().replace("lr: 0.0005 ", "lr: 0.01 "))
    path.write_text(path.read_text().replace("\nlr: 0.0005", "\nlr: 0.01"))
    with pytest.raises(InputError, match=r"setting lr \(0.0005; 0.01\)"):
        look(tree)


def test_repeat_modes_do_not_mix(tree):
    root = tree.parent
    for seed, adaptation in [(1, 1), (2, 1), (3, 3)]:
        run_trees.write_run(
            root, "tapt", "DC", seed, adaptation_seed=adaptation
        )
    with pytest.raises(InputError, match="repeat the fine-tuning alone"):
        look(tree)


def test_repeat_modes_of_two_procedures_do_not_mix(tree):
    root = tree.parent
    for seed in (1, 2):
        run_trees.write_run(root, "tapt", "DC", seed, adaptation_seed=1)
        run_trees.write_run(root, "ptapt", "DC", seed)
    with pytest.raises(
        InputError, match=r"repeat mode \((all; fin|fin.*; all)"
    ):
        look(tree)


def test_outlier_rules_do_not_mix(tree):
    run_trees.write_run(tree.parent, "tapt", "DC", 1)
    run_trees.write_plan(tree.parent, "tapt", ["DC"], 1, outliers="keep")
    with pytest.raises(InputError, match="differ in outlier rule"):
        look(tree)


def test_two_plans_of_a_procedure_do_not_mix(tree, tmp_path):
    other = tmp_path / "other"
    run_trees.write_run(other, "vft", "JE", 1)
    run_trees.write_plan(other, "vft", ["JE"], 1)
    with pytest.raises(InputError, match="are both a plan of vft"):
        look(tmp_path)


def test_a_plan_of_another_scale_is_refused(tree):
    (tree / "vft" / "full").mkdir()
    run_trees.write_plan(tree.parent, "vft", ["DC"], 1, scale="full")
    with pytest.raises(InputError, match=r"differ in scale \(nano; full\)"):
        look(tree)
    assert look(tree, "nano") == []


def test_a_plan_none_of_whose_runs_has_finished(tree):
    run_trees.write_plan(
        tree.parent, "vft", ["DC", "KL"], 1, seeds={"DC": [8], "KL": [9]}
    )
    runs, plans = find_runs([tree]), find_plans([tree])
    with pytest.raises(InputError, match="no run that .*plan.json counts"):
        analyse(runs, plans, [])


def test_a_changed_prediction_is_found(tree):
    path = tree / "vft" / "nano" / "fold_DC" / "seed_1" / "predictions.csv"
    path.write_text(path.read_text().replace(",0.1", ",0.2", 1))
    with pytest.raises(InputError, match="predictions.csv is not the file"):
        look(tree)


def test_a_changed_score_is_found(tree):
    folder = tree / "vft" / "nano" / "fold_DC" / "seed_1"
    edit(folder, UA=0.99, predictions_sha256=None)
    with pytest.raises(InputError, match="metrics.json says 99.00"):
        look(tree)


def test_another_classifier_is_found(tree):
    folder = tree / "vft" / "nano" / "fold_DC" / "seed_1"
    edit(folder, key="abc")
    done = folder / "save" / "classifier" / "done.json"
    done.parent.mkdir(parents=True)
    done.write_text('{"key": "abc"}')
    assert look(tree) == []
    done.write_text('{"key": "other"}')
    with pytest.raises(InputError, match="the key in .*metrics.json"):
        look(tree)


def test_other_labels_are_found(tree):
    folder = tree / "vft" / "nano" / "fold_DC" / "seed_1"
    path = folder / "predictions.csv"
    path.write_text(path.read_text().replace("DC_anger00", "DC_anger99"))
    edit(folder, predictions_sha256=None)
    with pytest.raises(InputError, match="other clips or labels"):
        look(tree)


@pytest.mark.parametrize("content", ["{", "[]", "{}"])
def test_a_broken_file_is_named(tree, content):
    path = tree / "vft" / "nano" / "fold_DC" / "seed_1" / "metrics.json"
    path.write_text(content)
    with pytest.raises(InputError, match="seed_1/metrics.json"):
        look(tree)


def test_an_unfinished_plan_says_what_is_missing(tree):
    (tree / "vft" / "nano" / "fold_KL" / "seed_2" / "metrics.json").unlink()
    run_trees.write_plan(
        tree.parent,
        "vft",
        ["DC", "KL"],
        2,
        failed=[{"fold": "KL", "seed": 2, "error": "the disk is full."}],
    )
    assert look(tree) == [
        "V-FT, fold KL: no result of seed 2",
        "V-FT, fold KL, seed 2 failed: the disk is full.",
    ]
    # One fold alone is still part of its plan.
    missing = look(tree / "vft/nano/fold_DC")
    assert "V-FT, fold KL: no result of seeds 1, 2" in missing


def test_a_run_that_was_begun_without_a_plan_is_missing(tree):
    (tree / "vft" / "nano" / "plan.json").unlink()
    begun = tree / "vft" / "nano" / "fold_KL" / "seed_2"
    (begun / "metrics.json").unlink()
    assert look(tree) == [
        "V-FT: no run of folds JE, JK",
        f"{begun} was begun and has no result",
    ]


def test_an_incomplete_report_is_written_and_says_so(tree, capsys):
    (tree / "vft" / "nano" / "fold_KL" / "seed_2" / "metrics.json").unlink()
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    words = [str(tree), "--resamples", "200"]
    assert command.run(parser.parse_args(words)) == 1
    assert "INCOMPLETE" in capsys.readouterr().out
    page = (tree / "report" / "report.html").read_text(encoding="utf-8")
    assert "<h1>INCOMPLETE: SAVEE, nano scale</h1>" in page


@pytest.mark.parametrize("words", [["--scale", "full"], ["--resamples", "5"]])
def test_nothing_to_report(tree, words):
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    with pytest.raises(InputError):
        command.run(parser.parse_args([str(tree), *words]))


def test_a_run_that_no_plan_asks_for_does_not_count(tree):
    """Seed 3, left by a longer plan; a fold without a plan counts."""
    run_trees.write_run(tree.parent, "vft", "DC", 3)
    run_trees.write_run(tree.parent, "vft", "JE", 3)
    runs, plans = find_runs([tree]), find_plans([tree])
    [procedure] = analyse(runs, plans, [], 100).procedures
    assert [(run.fold, run.seed) for run in procedure.spare] == [("DC", 3)]
    assert len(procedure.runs) == 5
    assert procedure.discarded == []


def test_the_record_of_a_real_plan_is_read(tmp_path):
    plan = Plan(
        "SAVEE",
        YAML,
        runs=2,
        repeat="finetune",
        outliers="keep",
        overrides=["--results", str(tmp_path), "--scale", "nano"],
    )
    path = tmp_path / "plan.json"
    path.write_text(json.dumps(plan.record()))
    record = read_plan(path)
    assert record.scale == "nano"
    assert (record.repeat, record.outliers) == ("finetune", "keep")
    assert record.seeds == {fold: {1, 2} for fold in record.folds}
    assert record.planned_runs == 2 * len(record.folds)


def test_no_folder(tmp_path):
    with pytest.raises(InputError, match="nowhere is not a folder"):
        look(tmp_path / "nowhere")
