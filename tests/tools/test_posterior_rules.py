"""The ensemble and the unsure answers of drawn predictions."""

import re
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "results"))
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))

from posterior_rules import main  # noqa: E402
from run_trees import rows_of, write_run  # noqa: E402


def test_the_tables_are_those_of_the_predictions(tmp_path, capsys):
    """Two folds of three seeds, against sums over the rows."""
    runs = {}
    for fold in ("DC", "JE"):
        for seed in (1, 2, 3):
            write_run(tmp_path, "vft", fold, seed)
            runs[fold, seed] = rows_of("vft", fold, seed)
    assert main([str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    cells = {
        line.split(" | ")[0].strip("| "): [
            float(each) for each in re.findall(r"\d+\.\d", line)
        ]
        for line in lines
    }
    names = list(rows_of("vft", "DC", 1)[0]["posteriors"])
    for fold in ("DC", "JE"):
        three = [runs[fold, seed] for seed in (1, 2, 3)]
        truth = np.array([row["label"] for row in three[0]])
        shares = np.array(
            [[list(row["posteriors"].values()) for row in run] for run in three]
        )
        found = np.array(names)[shares.mean(0).argmax(1)]
        recalls = [np.mean(found[truth == name] == name) for name in names]
        assert cells[fold][1] == pytest.approx(
            100 * np.mean(recalls), abs=0.051
        )
    every = [row for run in runs.values() for row in run]
    ordered = [sorted(row["posteriors"].values()) for row in every]
    unsure = [s[-1] < 0.5 or s[-1] - s[-2] < 0.1 for s in ordered]
    assert 0.05 < np.mean(unsure) < 0.95
    assert cells["single runs"][0] == pytest.approx(
        100 * np.mean(unsure), abs=0.051
    )
    right = [row["label"] == row["prediction"] for row in every]
    sure = [r for r, u in zip(right, unsure) if not u]
    assert cells["single runs"][2] == pytest.approx(
        100 * np.mean(sure), abs=0.051
    )
