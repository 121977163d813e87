"""Bad input: one sentence, exit code 2, nothing half-written."""

import resource
import shutil
import signal
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import torch
from recipe_runs import (
    command_line,
    pick_clips,
    run_folder,
    script,
    start,
    write_table,
)

from ser_brain.clustering import PseudoLabels
from ser_brain.corpora.mini import unpack_mini


def refusal(got):
    """The one sentence of a refused run."""
    assert got.code == 2, (got.out, got.err)
    assert "Traceback" not in got.err + got.out
    sentences = [
        line for line in got.err.splitlines() if line.startswith("error: ")
    ]
    assert len(sentences) == 1, got.err
    assert got.err.rstrip().endswith(sentences[0])
    return sentences[0]


def check_nothing_half_written(results):
    """Neither results nor files that a writer left unfinished."""
    names = [path.name for path in results.rglob("*")]
    for name in ("predictions.csv", "metrics.json", "confusion.png"):
        assert name not in names
    assert not [name for name in names if name.startswith((".", "partial+"))]


@pytest.fixture
def refused(run, tmp_path):
    """``refused(*words, recipe=..., **settings)``: the run's sentence."""

    def refused(*words, corpus="SAVEE", recipe="train_vft", **settings):
        sentence = refusal(run(corpus, recipe, more=words, **settings))
        check_nothing_half_written(tmp_path / "results")
        return sentence

    return refused


@pytest.fixture
def savee(tmp_path_factory, environment):
    """A copy of the mini corpus in SAVEE's layout, to be spoilt."""
    whole = tmp_path_factory.getbasetemp() / "mini-SAVEE"
    unpack_mini("SAVEE", whole)
    copy = tmp_path_factory.mktemp("spoilt") / "SAVEE"
    return shutil.copytree(whole, copy)


def test_no_such_folder(refused, tmp_path):
    folder = tmp_path / "nowhere"
    sentence = refused(manifest=None, data_folder=folder)
    assert f"{folder}, named by data_folder, is not a folder" in sentence


def test_no_such_folder_in_the_environment(refused, monkeypatch):
    monkeypatch.setenv("SAVEE_ROOT", "/nowhere")
    assert "/nowhere, named by SAVEE_ROOT" in refused(manifest=None)


def test_another_corpus(refused, savee):
    sentence = refused(corpus="IEMOCAP", manifest=None, data_folder=savee)
    assert f"{savee} looks like SAVEE, not IEMOCAP" in sentence


def test_incomplete_copy(refused, savee):
    sentence = refused(manifest=None, data_folder=savee)
    assert "not the whole of SAVEE" in sentence
    assert "--allow_incomplete" in sentence


@pytest.mark.parametrize(
    "content, words",
    [
        (b"", "is empty (0 bytes)"),
        (b"RIFF and no more", "is not a readable audio file"),
        (None, "lasts 0.0 ms"),
    ],
)
def test_bad_clip(refused, savee, content, words):
    clip = savee / "AudioData" / "DC" / "a01.wav"
    clip.unlink()
    if content is None:
        soundfile.write(clip, np.zeros(0), 16000)
    else:
        clip.write_bytes(content)
    sentence = refused(
        "--allow_incomplete", manifest=None, data_folder=savee, fold="DC"
    )
    assert f"{clip} {words}" in sentence
    assert "copy it again" in sentence


def test_clip_that_vanished(refused, tmp_path):
    rows = pick_clips()
    rows[3] = (str(tmp_path / "gone.wav"), *rows[3][1:])
    table = tmp_path / "mine.csv"
    write_table(table, rows)
    sentence = refused(manifest=table)
    assert f"{table}, line 5, names {tmp_path / 'gone.wav'}" in sentence


def test_a_speaker_called_as_a_path_stays_in_results(run, tmp_path):
    rows = [
        (path, emotion, speaker.replace("03", "../../../../../escaped"))
        for path, emotion, speaker in pick_clips()
    ]
    table = tmp_path / "mine.csv"
    write_table(table, rows)
    results = tmp_path / "deep" / "results"
    got = run(
        "SAVEE",
        "train_vft",
        manifest=table,
        fold="../../../../../escaped",
        results=results,
    )
    assert got.code == 0, got.err
    (metrics,) = tmp_path.rglob("metrics.json")
    assert len(metrics.relative_to(results).parts) == 6
    assert '"fold": "../../../../../escaped"' in metrics.read_text()
    assert not list(tmp_path.rglob("escaped*"))


@pytest.mark.parametrize("kind", ["scale", "variant"])
def test_a_layer_is_a_name_and_no_path(refused, kind):
    assert "'../vft' is not one of" in refused(**{kind: "../vft"})


def test_unknown_emotion_code(refused, savee):
    clip = savee / "AudioData" / "JE" / "q01.wav"
    clip.write_bytes(b"x")
    sentence = refused(manifest=None, data_folder=savee)
    assert f"{clip} has no emotion code of SAVEE" in sentence


def test_unknown_label_in_classes(refused):
    classes = "{angry: [angry], happy: [hapy]}"
    sentence = refused(classes=classes)
    assert "'hapy'" in sentence and "did you mean 'happy'" in sentence


def test_fold_that_does_not_exist(refused):
    sentence = refused(fold="6")
    assert "no fold '6'" in sentence and "01, 02, 03" in sentence


@pytest.mark.parametrize(
    "classes, said",
    [
        ("{angry: 3, sad: [sad]}", "`classes` gives 3 for the class 'angry'"),
        ("{angry: angry, sad: [sad]}", "write a list, angry: [angry]"),
        ("{1: [angry]}", "fewer than two classes (['1'])"),
        ("{}", "fewer than two classes ([])"),
    ],
)
def test_classes_of_another_form(refused, classes, said):
    assert said in refused(classes=classes)


def test_doubtful_classes_are_told(run, tmp_path):
    rows = pick_clips()
    rows[0] = (rows[0][0], "Angry", rows[0][2])
    table = tmp_path / "mine.csv"
    write_table(table, rows)
    got = run("SAVEE", "train_vft", manifest=table, fold="01")
    assert got.code == 2
    assert "warning: the classes 'Angry' and 'angry' differ" in got.err
    assert "'Angry' has 1" in got.err


def test_unknown_key(refused):
    sentence = refused("--batchsize", "3")
    assert "--batchsize" in sentence and "--batch_size" in sentence


def test_key_of_another_method(refused):
    sentence = refused("--states_lr", "3")
    assert "--states_lr" in sentence
    assert "pseudo.yaml" in sentence and "ptapt.yaml" in sentence


@pytest.mark.parametrize("kind", ["scale", "variant"])
def test_unknown_layer(refused, kind):
    sentence = refused(**{kind: "pico"})
    assert "'pico'" in sentence
    assert ("nano" if kind == "scale" else "released_code") in sentence


def test_class_without_training_clip(refused, tmp_path):
    rows = [row for row in pick_clips() if row[1] != "sad" or row[2] == "03"]
    table = tmp_path / "mine.csv"
    write_table(table, rows)
    sentence = refused(manifest=table)
    assert "'sad' has no training clip in fold 03" in sentence


def test_batch_larger_than_the_training_set(refused):
    sentence = refused(batch_size=17)
    assert "--batch_size 17" in sentence and "16 training" in sentence


def test_batch_larger_than_the_training_set_in_p3(refused):
    sentence = refused(recipe="train_ptapt", adaptation_batch_seconds=1e4)
    assert "--adaptation_batch_seconds 10000" in sentence


def test_a_loss_that_is_not_finite(refused, tmp_path):
    sentence = refused(lr=1e30, epochs=3, max_skipped_updates=1)
    assert "classifier: the loss of update" in sentence
    assert "at the learning rate 1e+30, with the clips 0" in sentence
    assert "at most 1 (--max_skipped_updates); give a lower" in sentence
    stage = run_folder(tmp_path / "results", "vft") / "save" / "classifier"
    kept = sorted((stage / "nonfinite").iterdir())
    assert len(kept) == 2 and str(kept[1]) in sentence
    assert {path.name for path in kept[0].iterdir()} == {
        "update.json",
        "batch.safetensors",
        "weights.safetensors",
    }


def test_speechbrains_own_patience_is_refused(refused):
    sentence = refused("--nonfinite_patience", "9")
    assert "--max_skipped_updates" in sentence


def test_more_clusters_than_frames(refused):
    sentence = refused(recipe="extract_pseudo", n_clusters=[4, 10**7])
    assert "10000000" in sentence


def test_device_that_is_not_there(refused):
    assert "--device abacus cannot be used" in refused("--device", "abacus")


@pytest.mark.parametrize("content", [b"\x80\x02junk", b"", None])
def test_wrong_file_for_wav2vec(refused, tmp_path, content):
    file = tmp_path / "wav2vec_large.pt"
    if content is not None:
        file.write_bytes(content)
    sentence = refused(recipe="extract_pseudo", wav2vec=file)
    assert str(file) in sentence


def test_foreign_checkpoint_for_wav2vec(refused, tmp_path):
    file = tmp_path / "other.pt"
    torch.save({"model": {"weight": torch.zeros(1)}}, file)
    sentence = refused(recipe="extract_pseudo", wav2vec=file)
    assert str(file) in sentence


def test_a_states_encoder_of_an_unknown_kind(refused, tmp_path):
    folder = tmp_path / "bert"
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "bert"}')
    for name in ("wav2vec", "states_encoder"):
        sentence = refused(recipe="extract_pseudo", **{name: folder})
        assert f"{folder} holds a model of type 'bert'" in sentence


def test_whisper_given_for_the_contrastive_loss(refused, tiny_whisper):
    sentence = refused(recipe="train_tapt", encoder=tiny_whisper)
    assert f"{tiny_whisper} holds a model of type 'whisper'" in sentence
    assert "such as facebook/wav2vec2-base" in sentence


def test_an_encoder_of_an_unknown_kind(refused, tmp_path):
    folder = tmp_path / "bert"
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "bert"}')
    sentence = refused(encoder=folder)
    assert f"{folder} holds a model of type 'bert'" in sentence
    assert "wav2vec2, wavlm or whisper" in sentence


@pytest.mark.parametrize("recipe", ["train_vft", "train_tapt", "train_ptapt"])
def test_wav2vec_1_given_for_wav2vec_2(refused, models, recipe):
    sentence = refused(recipe=recipe, encoder=models.w1)
    assert str(models.w1) in sentence and "wav2vec" in sentence


def test_damaged_wav2vec_2(refused, models, tmp_path):
    folder = tmp_path / "damaged"
    shutil.copytree(models.w2, folder)
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    assert str(folder) in refused(encoder=folder)


def test_dim_that_is_not_the_encoders(refused):
    sentence = refused(encoder_dim=48)
    assert "--encoder_dim is 48" in sentence
    assert "give --encoder_dim 32" in sentence


def test_hub_name_that_cannot_be_reached(environment, models, clips, tmp_path):
    few = {"manifest": clips, "fold": "03", "encoder": "no-one/no-model"}
    argv = command_line("train_vft", models, tmp_path / "results", **few)
    process = start(script("SAVEE", "train_vft"), argv)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 2
    assert "Traceback" not in err
    assert "error: 'no-one/no-model' is neither a local folder" in err
    assert "give the path of a folder" in err
    check_nothing_half_written(tmp_path / "results")


def test_pseudo_labels_that_were_edited_are_extracted_again(run, tmp_path):
    assert run("SAVEE", "extract_pseudo").code == 0
    folder = run_folder(tmp_path / "results", "pseudo")
    file = folder / "save" / "clusters" / "pseudo_labels.safetensors"
    labels = PseudoLabels.load(file)
    key, labels.model_key = labels.model_key, "another"
    labels.save(file)
    got = run("SAVEE", "train_ptapt")
    assert got.code == 0, got.err
    assert "clusters: pseudo_labels.safetensors was changed in" in got.out
    assert PseudoLabels.load(file).model_key == key


def test_refused_run_leaves_no_results_of_other_settings(run, tmp_path):
    assert run("SAVEE", "train_vft").code == 0
    refusal(run("SAVEE", "train_vft", batch_size=17))
    check_nothing_half_written(tmp_path / "results")


def limited(size):
    """Lets a process write no file beyond a size, as on a full disk."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


@pytest.mark.skipif(sys.platform == "win32", reason="no RLIMIT_FSIZE")
def test_full_disk(run, environment, models, clips, tmp_path):
    # Without a cache on disk, which would be the first to find it full.
    chosen = {"epochs": 2, "front_end_cache": "memory"}
    few = {"manifest": clips, "fold": "03", **chosen}
    argv = command_line("train_vft", models, tmp_path / "results", **few)
    process = start(
        script("SAVEE", "train_vft"),
        argv,
        preexec_fn=lambda: limited(60_000),
    )
    out, err = process.communicate(timeout=120)
    got = SimpleNamespace(code=process.returncode, out=out, err=err)
    assert "start the same command again" in refusal(got)
    check_nothing_half_written(tmp_path / "results")
    folder = run_folder(tmp_path / "results", "vft")
    checkpoints = folder / "save" / "classifier" / "checkpoints"
    assert not list(checkpoints.glob("CKPT*"))
    again = run("SAVEE", "train_vft", **chosen)
    assert again.code == 0, again.err
    whole = run("SAVEE", "train_vft", results=tmp_path / "whole", **chosen)
    assert whole.code == 0
    expected = run_folder(tmp_path / "whole", "vft") / "predictions.csv"
    written = (folder / "predictions.csv").read_bytes()
    assert written == expected.read_bytes()
