"""Rows of Table 5: each trains, tests, and is read again."""

import csv
import json
import time

import pytest
from recipe_runs import (
    AUDIO,
    SCRIPTS,
    command_line,
    pick_clips,
    run_folder,
    script,
    start,
)

from ser_brain.errors import InputError
from ser_brain.inference import EmotionRecognizer

ROWS = ("fcn", "wav2vec_frozen", "segments", "layer_weights")
BIMODAL = ("audio_text", "audio_asr")
NOISY = "nano-random_text"


@pytest.fixture(scope="module")
def spoken(tmp_path_factory):
    """The table of a few clips with a column of what is said."""
    path = tmp_path_factory.mktemp("spoken") / "few.csv"
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(("path", "emotion", "speaker", "text"))
        for number, row in enumerate(pick_clips()):
            writer.writerow((*row, f"Sentence {number}, if you please."))
    return path


@pytest.mark.parametrize("method", ROWS)
def test_a_row_is_trained_and_read_again(run, tmp_path, method):
    got = run("SAVEE", SCRIPTS[method], method=method)
    assert got.code == 0, got.err
    folder = run_folder(tmp_path / "results", method)
    metrics = json.loads((folder / "metrics.json").read_text())
    assert (metrics["procedure"], metrics["n"]) == (method, 8)
    recognizer = EmotionRecognizer.from_run(folder)
    with (folder / "predictions.csv").open(newline="") as stream:
        told = next(csv.DictReader(stream))
    path = AUDIO / f"{told['id']}.flac"
    posteriors = recognizer.classify_file(path)[0][0]
    for name, share in zip(recognizer.classes, posteriors.tolist()):
        assert share == pytest.approx(float(told[name]), abs=5e-3)


@pytest.mark.parametrize("method", BIMODAL)
def test_audio_and_text(run, spoken, tmp_path, method):
    settings = {"method": method, "manifest": spoken}
    got = run("IEMOCAP", "train_bimodal", **settings)
    assert got.code == 0, got.err
    folder = run_folder(tmp_path / "results", method, scale=NOISY)
    assert json.loads((folder / "metrics.json").read_text())["n"] == 8
    with pytest.raises(InputError, match="reads text beside the audio"):
        EmotionRecognizer.from_run(folder)
    kept = tmp_path / "results" / "few" / "transcripts"
    assert len([*kept.glob("*.json")]) == (method == "audio_asr")


def test_fusions_share_what_is_kept(run, spoken, tmp_path):
    settings = {"manifest": spoken, "fusion_epochs": 1}
    kept = tmp_path / "results" / "few" / "layer_features"
    for fusion in ("audio", "text", "late"):
        got = run("SAVEE", "train_bimodal", fusion=fusion, **settings)
        assert got.code == 0, got.err
        assert len([*kept.glob("*.f16")]) == 2


@pytest.mark.parametrize(
    ("texts", "told"),
    [
        ("", "has no text for any clip"),
        ("Yes.", "has no text for 23 of 24 clips, the first of them"),
    ],
)
def test_texts_that_are_missing_are_told(run, tmp_path, texts, told):
    table = tmp_path / "gaps.csv"
    with table.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(("path", "emotion", "speaker", "text"))
        for number, row in enumerate(pick_clips()):
            writer.writerow((*row, "" if number else texts))
    got = run("SAVEE", "train_bimodal", manifest=table)
    assert got.code == 2
    [error] = [line for line in got.err.splitlines() if "error: " in line]
    assert f"{table} {told}" in error and "column `text`" in error


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"fusion": "early"}, "fusion is 'early': give one of audio, text"),
        ({"audio_layers": "[7]"}, "names layer 7, but the encoder gives 3"),
        ({"text_encoder": "/nowhere"}, "'/nowhere' is neither a local folder"),
    ],
)
def test_bad_settings_are_one_sentence(run, spoken, settings, told):
    got = run("SAVEE", "train_bimodal", manifest=spoken, **settings)
    assert got.code == 2
    assert told in got.err.strip().splitlines()[-1]


def test_models_of_the_wrong_kind_are_told(run, spoken, models):
    wrong = {"text_encoder": models.w2, "manifest": spoken}
    got = run("SAVEE", "train_bimodal", **wrong)
    assert got.code == 2 and "which is no encoder of texts" in got.err
    wrong = {"asr": models.w2, "manifest": spoken, "method": "audio_asr"}
    got = run("SAVEE", "train_bimodal", **wrong)
    assert got.code == 2 and "has no tokenizer that can be read" in got.err


def test_a_killed_run_keeps_its_transcripts(
    run, environment, models, spoken, tmp_path
):
    """Killed while it transcribes; the same command goes on."""
    settings = {"method": "audio_asr", "manifest": spoken}
    results = tmp_path / "results"
    argv = command_line("train_bimodal", models, results, fold="03", **settings)
    process = start(script("SAVEE", "train_bimodal"), argv)
    kept = results / "few" / "transcripts"
    while process.poll() is None and not [*kept.glob("*.json*")]:
        time.sleep(0.001)
    process.kill()
    process.communicate()
    [path] = kept.glob("*.json*")
    # As if it had been killed in the second line, whenever that was.
    lines = path.with_suffix(".jsonl")
    path.rename(lines)
    lines.write_text('["01_angry_09", "kept"]\n["01_angry_10", "cu')
    got = run("SAVEE", "train_bimodal", **settings)
    assert got.code == 0, got.err
    [path] = kept.glob("*.json*")
    texts = json.loads(path.read_text())
    assert path.suffix == ".json" and len(texts) == 24
    assert texts["01_angry_09"] == "kept" and texts["01_angry_10"] != "cu"
