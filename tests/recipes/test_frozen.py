"""train_frozen.py: features once for a corpus, folds in moments, fold all."""

import json

import pytest
from recipe_runs import AUDIO, run_folder

from ser_brain.inference import EmotionRecognizer


@pytest.fixture
def folder(tmp_path):
    return run_folder(tmp_path / "results", "frozen")


@pytest.mark.parametrize("fusion", ["posteriors", "frames"])
def test_a_head_is_trained_and_read_again(run, folder, fusion):
    got = run("SAVEE", "train_frozen", layer_fusion=fusion)
    assert got.code == 0, got.err
    metrics = json.loads((folder / "metrics.json").read_text())
    assert (metrics["procedure"], metrics["n"]) == ("frozen", 8)
    done = json.loads((folder / "save/classifier/done.json").read_text())
    assert sum(done["layer_weights"]) == pytest.approx(1, abs=1e-3)
    recognizer = EmotionRecognizer.from_run(folder)
    assert recognizer.speeds == (1.0, 0.9, 1.1)
    lines = (folder / "predictions.csv").read_text().splitlines()
    header, row = lines[0].split(","), lines[1].split(",")
    told = dict(zip(header, row))
    path = AUDIO / f"{told['id'].rsplit('/')[-1]}.flac"
    posteriors = recognizer.classify_file(path)[0][0]
    for name, share in zip(recognizer.classes, posteriors.tolist()):
        assert share == pytest.approx(float(told[name]), abs=5e-3)


def test_folds_share_the_features_of_the_corpus(run, tmp_path):
    assert run("SAVEE", "train_frozen").code == 0
    kept = tmp_path / "results" / "few" / "layer_features"
    (path,) = kept.glob("*.f16")
    written = path.stat().st_mtime_ns
    assert run("SAVEE", "train_frozen", fold="01").code == 0
    assert [one.stat().st_mtime_ns for one in kept.glob("*.f16")] == [written]


def test_the_same_seed_gives_the_same_bytes(run, folder, tmp_path):
    assert run("SAVEE", "train_frozen").code == 0
    first = (folder / "predictions.csv").read_bytes()
    again = tmp_path / "again"
    assert run("SAVEE", "train_frozen", results=again).code == 0
    other = run_folder(again, "frozen") / "predictions.csv"
    assert other.read_bytes() == first


def test_fold_all_trains_on_every_clip_and_tests_none(run, tmp_path):
    got = run("SAVEE", "train_frozen", fold="all")
    assert got.code == 0, got.err
    folder = run_folder(tmp_path / "results", "frozen", fold="all")
    assert not (folder / "metrics.json").exists()
    assert EmotionRecognizer.from_run(folder).classes


def test_too_little_room_for_the_features_is_told(run):
    got = run("SAVEE", "train_frozen", layer_features_gb=1e-6)
    assert got.code == 2
    assert "--layer_features_gb 1e-06" in got.err


def test_a_probe_starts_the_head_of_fine_tuning(run, tmp_path):
    settings = dict(head_start="probe", standardize=True, relu_pooled=False)
    got = run("SAVEE", "train_vft", speeds="[1.0, 0.9]", **settings)
    assert got.code == 0, got.err
    head = run_folder(tmp_path / "results", "vft") / "save/classifier"
    config = json.loads((head / "classifier.json").read_text())["head"]
    assert config["standardize"] and not config["relu_pooled"]


def test_a_probe_on_a_relu_is_refused(run):
    got = run("SAVEE", "train_vft", head_start="probe", relu_pooled=True)
    assert got.code == 2
    assert "--relu_pooled False --standardize True" in got.err
