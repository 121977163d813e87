"""Variants as rows of a report, and calibration against a second count."""

import argparse

import numpy as np
import pandas
import pytest
import run_trees
from sklearn.metrics import accuracy_score

from ser_brain.commands import report as command
from ser_brain.errors import InputError
from ser_brain.evaluation.calibration import expected_calibration_error
from ser_brain.results import load


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """P-TAPT and a variant of it on two folds, two runs each."""
    root = tmp_path_factory.mktemp("variants")
    for scale in ("nano", "nano-iterated"):
        for fold in ("DC", "KL"):
            for seed in (1, 2):
                run_trees.write_run(root, "ptapt", fold, seed, scale)
    return root / "SAVEE"


def report(*words):
    """What the command does with some words."""
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    words = [*map(str, words), "--resamples", "200"]
    return command.run(parser.parse_args(words))


def test_variants_are_rows_with_paired_tests(tree, tmp_path):
    words = (tree, "--output", tmp_path, "--scale", "nano")
    # JE and JK, which the paper has, are missing.
    assert report(*words, "--variants") == 1
    text = (tmp_path / "report.md").read_text()
    assert "## INCOMPLETE: SAVEE, nano scale" in text
    rows = [
        line.split("|")[1].strip() for line in text.splitlines() if "|" in line
    ]
    assert rows.index("P-TAPT") < rows.index("P-TAPT iterated")
    pairs = [row for row in rows if "iterated" in row and " − " in row]
    assert len(pairs) == 1


def test_without_being_asked_scales_do_not_mix(tree, tmp_path):
    with pytest.raises(InputError, match="differ in scale"):
        report(tree, "--output", tmp_path)


def test_calibration_in_the_report_is_that_of_all_clips(tree, tmp_path):
    words = (tree, "--output", tmp_path, "--scale", "nano")
    report(*words)
    clips = load(tree, scale="nano")
    classes = sorted(run_trees.CLASSES)
    shares = clips[classes].to_numpy()
    truth = pandas.Categorical(clips["label"], classes).codes
    ece = 100 * expected_calibration_error(shares, truth)
    brier = np.mean(((shares - np.eye(7)[truth]) ** 2).sum(1))
    accuracy = 100 * accuracy_score(truth, shares.argmax(1))
    text = (tmp_path / "report.md").read_text()
    table = text[text.index("Calibration") :]
    row = next(line for line in table.splitlines() if "P-TAPT" in line)
    cells = [cell.strip() for cell in row.split("|")[2:-1]]
    expected = [100 * shares.max(1).mean(), accuracy, ece, brier]
    for cell, value, digits in zip(cells, expected, (1, 1, 1, 3)):
        assert float(cell) == pytest.approx(value, abs=0.6 * 10**-digits)
