"""Ratings and raters' shares: from a table or a corpus to the results."""

import csv
import json

import numpy as np
import pytest
from recipe_runs import AUDIO, ROOT, pick_clips, run_folder, run_script, script

from ser_brain import cli
from ser_brain.corpora.mini import unpack_mini
from ser_brain.errors import InputError
from ser_brain.experiment.outline import Outline
from ser_brain.inference.rater import Rater

FEW = ["--scale", "nano", "--epochs", "1", "--batch_size", "8"]


def write(path, rows, columns):
    """A table with more columns than path, emotion and speaker."""
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerows([("path", "emotion", "speaker", *columns), *rows])
    return path


@pytest.fixture
def rated(tmp_path):
    """Clips whose valence and arousal follow the emotion and the speaker."""
    means = {"angry": (2, 4), "happy": (4, 4), "neutral": (3, 3), "sad": (2, 2)}
    rows = [
        (*row, *(mean + 0.1 * int(row[2]) for mean in means[row[1]]))
        for row in pick_clips()
    ]
    return write(tmp_path / "rated.csv", rows, ["valence", "arousal"])


@pytest.fixture
def rate(environment, models, tmp_path):
    """``rate(table, *words)``: train_vad.py on a table."""

    def rate(table, *words):
        argv = ["hparams/vad.yaml", "--manifest", table, "--fold", "03"]
        argv += ["--results", tmp_path / "results", "--encoder", models.w2]
        argv += ["--encoder_feature_span", "3", *FEW, *words]
        return run_script(script("IEMOCAP", "train_vad"), argv)

    return rate


TWO = ("--targets", "[valence, arousal]")


def test_ratings_of_a_table(rate, rated, tmp_path, capsys):
    got = rate(rated, *TWO)
    assert got.code == 0, got.err
    folder = run_folder(tmp_path / "results", "vad", "rated")
    metrics = json.loads((folder / "ratings.json").read_text())
    rows = list(csv.DictReader((folder / "ratings.csv").open()))
    assert len(rows) == metrics["n"] == 8
    for name in ("valence", "arousal"):
        truth = np.array([float(row[name]) for row in rows])
        found = np.array([float(row[f"{name}_predicted"]) for row in rows])
        above = 2 * np.cov(truth, found, bias=True)[0, 1]
        below = truth.var() + found.var() + (truth.mean() - found.mean()) ** 2
        assert metrics["CCC"][name] == pytest.approx(above / below, abs=1e-4)
    assert f"{metrics['mean_CCC']:.3f}" in got.out
    # The saved model says of a clip what the run said of it.
    path = next(AUDIO.glob(f"{rows[0]['id']}.flac"))
    again = Rater.from_run(folder).rate_file(path)
    expected = float(rows[0]["valence_predicted"])
    assert again["valence"] == pytest.approx(expected, abs=1e-4)
    assert "finished before, kept" in rate(rated, *TWO).out
    capsys.readouterr()
    output = tmp_path / "report"
    words = ["report", str(tmp_path / "results"), "--output", str(output)]
    assert cli.main(words) == 0
    assert "valence, CCC" in capsys.readouterr().out
    assert cli.main(["predict", str(folder), str(path)]) == 2
    assert "predicts ratings, not classes" in capsys.readouterr().err


def test_the_head_starts_from_a_ridge_regression(rate, rated, tmp_path):
    got = rate(rated, *TWO, "--lr", "0.0000000001")
    assert got.code == 0, got.err
    folder = run_folder(tmp_path / "results", "vad", "rated")
    metrics = json.loads((folder / "ratings.json").read_text())
    # A random head would predict ratings of both signs, far from the mean.
    assert max(metrics["RMSE"].values()) < 2


@pytest.mark.parametrize(
    "change, sentence",
    [
        ({"valence": ""}, "line 4, has no valence: give a number"),
        ({"valence": "high"}, "line 4, has 'high' as valence: give a number"),
        ({"valence": "nan"}, "line 4, has 'nan' as valence: give a number"),
    ],
)
def test_targets_with_gaps_are_refused(rate, rated, change, sentence):
    rows = list(csv.DictReader(rated.open()))
    rows[2] |= change
    write(rated, [list(row.values()) for row in rows], ["valence", "arousal"])
    got = rate(rated, *TWO)
    assert got.code == 2
    assert sentence in got.err


def test_a_target_without_a_column_is_refused(rate, rated):
    got = rate(rated)
    assert got.code == 2
    assert "has no column 'dominance'" in got.err


def entries(*words):
    """The manifest of a run, its targets included."""
    outline = Outline([str(ROOT / "hparams" / words[0]), *words[1:]], "IEMOCAP")
    outline.prepare()
    return outline


def test_iemocaps_own_ratings_and_raters(environment, tmp_path):
    root = tmp_path / "IEMOCAP"
    unpack_mini("IEMOCAP", root)
    # A clip whose raters disagree, one of them with himself.
    labels = next(root.glob("Session1/dialog/EmoEvaluation/*.txt"))
    lines = labels.read_text().split("\n")
    place = next(n for n, line in enumerate(lines) if line.startswith("["))
    said = lines[place]
    name = said.split("\t")[1]
    lines[place + 1 : place + 2] = [
        "C-E2:\tAnger;\t()",
        "C-E3:\tAnger; Sadness;\t(unsure)",
        "C-E4:\tFrustration;\t()",
        "C-F1:\tSadness;\t()",
    ]
    labels.write_text("\n".join(lines))
    results = ["--results", str(tmp_path / "r"), "--data_folder", str(root)]
    results += ["--allow_incomplete"]
    rated = entries("vad.yaml", *results).manifest[name]["target"]
    wanted = said.split("[")[-1].rstrip("]").split(",")
    assert rated == [float(number) for number in wanted]
    outline = entries("vft.yaml", *results, "--soft_targets")
    # Frustration is no class: an angry vote and a half, half a sad one.
    assert outline.classes == ["angry", "happy", "neutral", "sad"]
    assert outline.manifest[name]["target"] == [0.75, 0.0, 0.0, 0.25]
    plain = entries("vft.yaml", *results).manifest[name]
    assert "target" not in plain
    lines[place + 1] = "C-E2:\tBoredom;\t()"
    labels.write_text("\n".join(lines))
    with pytest.raises(InputError, match="the rater's label 'Boredom'"):
        entries("vft.yaml", *results, "--soft_targets")


def test_the_shares_of_raters_are_learned(run, tmp_path):
    names = ["angry", "happy", "neutral", "sad"]
    rows = [
        (*row, *(3 if name == row[1] else 1 for name in names))
        for row in pick_clips()
    ]
    table = write(tmp_path / "votes.csv", rows, names)
    results = {}
    for soft in (False, True):
        got = run(
            "SAVEE",
            "train_vft",
            manifest=table,
            soft_targets=soft,
            epochs=8,
            lr=0.001,
            results=tmp_path / str(soft),
        )
        assert got.code == 0, got.err
        folder = run_folder(tmp_path / str(soft), "vft", "votes")
        found = list(csv.DictReader((folder / "predictions.csv").open()))
        shares = [[float(row[name]) for name in names] for row in found]
        results[soft] = np.max(shares, axis=1).mean()
    # Raters who disagree make it less sure.
    assert results[True] < results[False]
    rows[0] = (*rows[0][:3], 0, 0, 0, 0)
    write(table, rows, names)
    got = run("SAVEE", "train_vft", manifest=table, soft_targets=True)
    assert got.code == 2
    assert "has no votes for any class" in got.err


def test_a_corpus_without_raters_is_told(run):
    got = run("SAVEE", "train_vft", manifest=None, fold="JE", soft_targets=True)
    assert got.code == 2
    assert "SAVEE has no ratings, which --soft_targets asks for" in got.err
