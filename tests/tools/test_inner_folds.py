"""Inner folds: pairs of left-out folds, trained once and scored on both."""

import csv
import sys
from pathlib import Path

import pytest

from ser_brain.experiment.outline import Outline

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))
import inner_folds as tool  # noqa: E402

SETTINGS = ["--scale", "nano", "--epochs", "1"]


@pytest.fixture
def pair(tmp_path, monkeypatch):
    """Folds DC and KL of the mini corpus in SAVEE's layout."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.delenv("SAVEE_ROOT", raising=False)
    words = ["hparams/vft.yaml", "--results", str(tmp_path / "results")]
    outline = Outline(words, "SAVEE")
    outline.prepare()
    return tool.Pair(outline, ("DC", "KL"), tmp_path / "inner")


def speakers(path):
    with path.open(encoding="utf-8") as file:
        return {row["speaker"] for row in csv.DictReader(file)}


def test_a_pair_is_trained_without_both_and_scored_on_each(pair):
    assert speakers(pair.train) == {"JE", "JK"}
    assert speakers(pair.test) == {"DC", "KL"}
    recipe = ROOT / "recipes" / "SAVEE" / "train_vft.py"
    scores = pair.scores(recipe, "hparams/vft.yaml", SETTINGS)
    assert list(scores) == ["DC", "KL"]
    assert all(0 <= score <= 100 for score in scores.values())
    # The second time nothing runs: there is no such script.
    assert pair.scores("none.py", "hparams/vft.yaml", SETTINGS) == scores
    with pytest.raises(SystemExit, match="none.py"):
        pair.scores("none.py", "hparams/vft.yaml", [])


def test_a_folds_mean_is_over_the_scores_without_it():
    scores = [{"a": 1.0, "b": 2.0}, {"a": 3.0, "c": 4.0}, {"b": 5.0, "c": 6.0}]
    assert tool.inner_mean(scores, "a") == 3.0
    assert tool.inner_mean(scores, "c") == 4.0


def test_what_follows_two_dashes_is_for_every_run():
    words = ["SAVEE", "hparams/vft.yaml", "--results", "x", "--try", "--lr 1"]
    args = tool.parse([*words, "--", "--speeds", "[1.0]"])
    assert args.tries == ["--lr 1"]
    assert args.common == ["--speeds", "[1.0]"]
