"""``ser-brain compare``: two folders of runs on their common clips."""

import json

import numpy as np
import pytest
import run_trees
from scipy.stats import binomtest

from ser_brain import cli
from ser_brain.errors import InputError
from ser_brain.reporting.compare import compare
from ser_brain.results import load, load_runs


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """V-FT and P-TAPT on two folds; P-TAPT discarded one run."""
    root = tmp_path_factory.mktemp("compared")
    return run_trees.write_tree(root, ("vft", "ptapt"), "DC KL", 2)


def cells(table):
    """Rows by their name."""
    return {row[0]: row[1:] for row in table.rows}


def as_number(cell):
    return float(cell.replace("−", "-"))


def test_scores_are_those_of_the_runs_that_count(tree):
    scores, tests, recall = compare(tree / "vft", tree / "ptapt", 200)
    runs = load_runs(tree)
    out = (runs["procedure"] == "ptapt") & (runs["fold"] == "KL")
    runs = runs[~(out & (runs["seed"] == 2))]
    by_fold = runs.groupby(["procedure", "fold"])[["UA", "WA"]].mean()
    means = 100 * by_fold.groupby("procedure").mean()
    found = cells(scores)
    for score in ("UA", "WA"):
        first, second = means[score]["vft"], means[score]["ptapt"]
        assert found[f"{score}, A"][0] == f"{first:.1f}"
        assert found[f"{score}, B"][0] == f"{second:.1f}"
        gain = f"{second - first:+.1f}".replace("-", "−")
        assert found[f"{score}, B − A"][0] == gain
    assert cells(tests)["randomisation"][0] == f"UA {found['UA, B − A'][0]}"
    assert "240 common clips of 2 speakers in 2 folds." in scores.notes
    assert "There are 2 speakers" in scores.notes[-1]
    for row in recall.rows:
        name, clips, first, second, gain = row
        assert int(clips) == 2 * run_trees.CLASSES[name]
        assert as_number(gain) == pytest.approx(
            float(second) - float(first), abs=0.11
        )


def test_mcnemar_of_two_runs_is_a_binomial_test(tree):
    """One run on each side, of other seeds; counted from the tables."""
    paths = [
        tree / "vft" / "nano" / "fold_DC" / "seed_1",
        tree / "ptapt" / "nano" / "fold_DC" / "seed_2",
    ]
    scores, tests, _ = compare(*paths, 200)
    right = [
        clips.set_index("clip").eval("label == prediction")
        for clips in map(load, paths)
    ]
    first = int((right[0] & ~right[1]).sum())
    second = int((right[1] & ~right[0]).sum())
    p = binomtest(first, first + second).pvalue
    assert tests.rows[1] == [
        "McNemar",
        f"only A right {first}, only B {second}",
        "< 0.001" if p < 0.001 else f"{p:.3f}",
    ]
    assert "95 % over speakers" not in scores.header
    assert {len(row) for row in scores.rows} == {3}
    assert "All clips are of one speaker, DC" in scores.notes[-1]
    assert ", 1 run (" in scores.notes[0]


def test_nothing_differs_from_itself(tree):
    path = tree / "vft" / "nano" / "fold_KL"
    scores, tests, _ = compare(path, path, 200)
    assert cells(scores)["UA, B − A"] == ["+0.0", "+0.0 to +0.0"]
    assert [row[2] for row in tests.rows] == ["1.000", "1.000"]


def test_only_common_clips_count(tree):
    """B has a fold more, which changes nothing."""
    fold = "nano/fold_KL"
    whole = compare(tree / "vft" / fold, tree / "ptapt", 200)
    part = compare(tree / "vft" / fold, tree / "ptapt" / fold, 200)
    for one, other in zip(whole, part):
        assert one.rows == other.rows
    assert "P-TAPT, nano scale, 2 runs" in whole[0].notes[1]


def test_the_command_prints_three_tables(tree, capsys):
    words = [str(tree / name) for name in ("vft", "ptapt")]
    assert cli.main(["compare", *words, "--resamples", "200"]) == 0
    out = capsys.readouterr().out
    assert out.count("|:---|") == 3 and "| UA, B − A |" in out
    assert cli.main(["compare", *words, "--resamples", "9"]) == 2
    assert "--resamples 9 is too few" in capsys.readouterr().err


def relabelled(run, **changes):
    """Change the rows of a finished run and what depends on them."""
    path = run / "predictions.csv"
    text = path.read_text()
    for old, new in changes.items():
        text = text.replace(old, new)
    path.write_text(text)
    file = run / "metrics.json"
    metrics = json.loads(file.read_text())
    file.write_text(json.dumps(metrics | {"predictions_sha256": None}))


@pytest.mark.parametrize(
    "change, sentence",
    [
        ({"DC_": "XX_"}, "have no clip in common (SAVEE, DC_anger00; SAVEE, X"),
        ({"surprise": "wonder", "DC_wonder": "DC_surprise"}, "differ in class"),
        ({",DC,DC,": ",DC,1,"}, "the fold of clip DC_anger00 is DC in "),
    ],
)
def test_what_does_not_compare_is_one_sentence(tmp_path, change, sentence):
    run = run_trees.write_run(tmp_path, "vft", "DC", 1)
    other = run_trees.write_run(tmp_path / "other", "vft", "DC", 1)
    relabelled(other, **change)
    if "fold" in sentence:
        file = other / "metrics.json"
        file.write_text(file.read_text().replace('"fold": "DC"', '"fold": "1"'))
    with pytest.raises(InputError) as refused:
        compare(run, other, 200)
    assert sentence in str(refused.value)


def test_mini_clips_only_share_their_names(tmp_path):
    run = run_trees.write_run(tmp_path, "vft", "DC", 1)
    mini = run_trees.write_run(
        tmp_path / "m", "vft", "DC", 1, corpus="mini-SAVEE"
    )
    with pytest.raises(InputError, match="have no clip in common"):
        compare(run, mini)


def test_a_folder_of_several_kinds_is_refused(tree):
    with pytest.raises(InputError, match="SAVEE, ptapt, nano; SAVEE, vft"):
        compare(tree, tree / "vft")


def test_a_run_that_no_plan_counts_can_be_compared(tree):
    out = tree / "ptapt" / "nano" / "fold_KL" / "seed_2"
    scores, _, _ = compare(out, tree / "vft" / "nano" / "fold_KL", 200)
    accuracy = 100 * load_runs(out)["UA"][0]
    assert cells(scores)["UA, A"][0] == f"{accuracy:.1f}"
    assert not np.isnan(accuracy)
