"""Settings that go beyond P-TAPT, from the command line to the results."""

import csv
import json
import shutil

import pytest
import soundfile
import torch
from recipe_runs import AUDIO, done, run_folder, write_table
from test_recipes import begun, check_predictions

from ser_brain import cli
from ser_brain.assets import ROOT
from ser_brain.clustering import PseudoLabels
from ser_brain.corpora import load_manifest
from ser_brain.experiment.chain import chain
from ser_brain.experiment.outline import Outline
from ser_brain.inference import EmotionRecognizer
from ser_brain.lobes import load_encoder

LABELS = "save/clusters/pseudo_labels.safetensors"


def finished(got, results, procedure, scale="nano"):
    """The run folder of a run that went well."""
    assert got.code == 0, got.err
    folder = run_folder(results, procedure, scale=scale)
    check_predictions(folder, "03")
    return folder


def test_a_second_round_clusters_the_adapted_encoder(run, tmp_path):
    got = run("SAVEE", "train_ptapt", rounds=2)
    folder = finished(got, tmp_path / "results", "ptapt")
    stages = ["adapted", "clusters_round2", "adapted_round2", "classifier"]
    wall = json.loads((folder / "metrics.json").read_text())["wall_seconds"]
    assert list(wall) == ["emotion_states", "clusters", *stages]
    again = PseudoLabels.load(
        folder / "save/clusters_round2/pseudo_labels.safetensors",
        model_key=done(folder, "adapted")["key"],
    )
    first = PseudoLabels.load(
        run_folder(tmp_path / "results", "pseudo") / LABELS
    )
    assert again.labels.keys() == first.labels.keys()
    encoders = [load_encoder(folder / "save" / name) for name in stages[::2]]
    one, other = (
        encoder.model.encoder.layers[0].attention.q_proj.weight
        for encoder in encoders
    )
    assert not torch.equal(one, other)
    check_states(folder, tmp_path / "states")
    # One round fewer needs no adaptation anew, but another classifier.
    assert begun(run("SAVEE", "train_ptapt")) == ["classifier"]


def check_states(folder, output):
    """``ser-brain states`` tells the state of every frame of a clip."""
    clip = next(AUDIO.glob("03_sad_*.flac"))
    words = ["states", str(folder), str(clip), "--output", str(output)]
    assert cli.main([*words, "--k", "8"]) == 0
    whole = json.loads((output / f"states_{clip.stem}.json").read_text())
    assert whole["k"] == len(whole["shares"]) == 8
    assert whole["classes"] == ["angry", "happy", "neutral", "sad"]
    assert all(
        sum(row) == pytest.approx(1, abs=1e-3) for row in whole["shares"]
    )
    seconds = soundfile.info(clip).duration
    assert len(whole["states"]) == pytest.approx(50 * seconds, abs=4)
    with (output / f"states_{clip.stem}.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert float(rows[-1]["end"]) == pytest.approx(len(whole["states"]) / 50)
    assert (output / f"states_{clip.stem}.png").is_file()
    assert cli.main([*words, "--k", "5"]) == 2


def test_states_of_the_folds_own_fine_tuned_encoder(run, tmp_path):
    results = tmp_path / "results"
    early = run("SAVEE", "train_ptapt", variant="vft_states")
    assert early.code == 2
    assert "holds no finished V-FT run" in early.err
    finished(run("SAVEE", "train_vft"), results, "vft")
    got = run("SAVEE", "train_ptapt", variant="vft_states")
    folder = finished(got, results, "ptapt", "nano-vft_states")
    wall = json.loads((folder / "metrics.json").read_text())["wall_seconds"]
    assert list(wall) == ["clusters", "adapted", "classifier"]
    labels = PseudoLabels.load(
        run_folder(results, "pseudo", scale="nano-vft_states") / LABELS
    )
    classifier = done(run_folder(results, "vft"), "classifier")
    assert labels.model_key == classifier["key"]
    assert {name[:2] for name in labels.labels} == {"01", "02"}


def test_a_fine_tuned_encoder_of_another_fold_is_refused(run, tmp_path):
    assert run("SAVEE", "train_vft", fold="02").code == 0
    other = run_folder(tmp_path / "results", "vft", fold="02")
    got = run("SAVEE", "train_ptapt", states_run=other)
    assert got.code == 2
    assert "may have been trained on clips that few, fold 03, tests" in got.err


def test_soft_pseudo_labels(run, tmp_path):
    got = run(
        "SAVEE",
        "train_ptapt",
        soft_top=3,
        soft_temperature=2,
        n_clusters=[4, 8],
    )
    finished(got, tmp_path / "results", "ptapt")
    shared = run_folder(tmp_path / "results", "pseudo")
    labels = PseudoLabels.load(shared / LABELS)
    assert labels.top == 3
    name = next(iter(labels.labels))
    assert labels.labels[name].shape[1] == 6
    shares = labels.shares(name, 0, len(labels.labels[name]))
    torch.testing.assert_close(
        shares.view(-1, 2, 3).sum(-1),
        torch.ones(len(shares), 2),
        atol=2e-3,
        rtol=0,
    )


def test_low_rank_adapters_are_merged_into_what_is_saved(run, tmp_path, models):
    pytest.importorskip("peft")
    got = run("SAVEE", "train_vft", variant="lora", lr=0.01)
    folder = finished(got, tmp_path / "results", "vft", "nano-lora")
    # 2 layers, 2 maps of 32 x 32, rank 8.
    assert done(folder, "classifier")["learning_weights"] == 2 * 2 * 2 * 8 * 32
    before = load_encoder(models.w2).model.encoder.layers[1]
    recognizer = EmotionRecognizer.from_run(folder)
    after = recognizer.encoder.model.encoder.layers[1]
    old, new = before.attention, after.attention
    assert not torch.equal(old.q_proj.weight, new.q_proj.weight)
    assert torch.equal(old.k_proj.weight, new.k_proj.weight)
    change = new.q_proj.weight - old.q_proj.weight
    assert torch.linalg.matrix_rank(change, rtol=1e-4) <= 8


def test_layer_wise_rates(run, tmp_path, models):
    rates = {"lr_decay": 0.001, "lr": 0.001}
    got = run("SAVEE", "train_vft", head_start="random", **rates)
    folder = finished(got, tmp_path / "results", "vft")
    before = load_encoder(models.w2).requires_grad_(False)
    after = load_encoder(folder / "save/classifier/encoder")
    after.requires_grad_(False)
    changes = [
        float(
            (one.attention.k_proj.weight - two.attention.k_proj.weight)
            .abs()
            .max()
        )
        for one, two in zip(before.layer_stack, after.layer_stack)
    ]
    # Adam's first steps are about the learning rate, whatever the gradient.
    assert changes[0] < changes[1] / 50


def test_the_last_layer_alone_adapts(run, tmp_path, models):
    got = run("SAVEE", "train_ptapt", adaptation_trained_layers=1)
    folder = finished(got, tmp_path / "results", "ptapt")
    before = load_encoder(models.w2)
    adapted = load_encoder(folder / "save/adapted").state_dict()
    changed = {
        name
        for name, weight in before.state_dict().items()
        if not torch.equal(weight, adapted[name])
    }
    last = before.layer_stack[-1]
    assert changed
    assert len(changed) <= len(last.state_dict())
    assert all(".layers.1." in name for name in changed)
    weights = sum(weight.numel() for weight in last.parameters())
    assert done(folder, "adapted")["learning_weights"] == weights


@pytest.mark.parametrize(
    "settings, sentence",
    [
        (
            {"adaptation_trained_layers": 9},
            "--adaptation_trained_layers cannot be used: 9 of the encoder's 2",
        ),
        (
            {"trained_layers": 3},
            "--trained_layers cannot be used: 3 of the encoder's 2 layers",
        ),
        (
            {"variant": "lora", "trained_layers": 1},
            "--trained_layers 1 and --peft exclude each other",
        ),
        (
            {"rounds": 2, "adaptation_trained_layers": 1},
            "--cluster_depth 0.5 is layer 1 of 2, which "
            "--adaptation_trained_layers 1 leaves as it was before: give at "
            "least 1, so that",
        ),
        ({"rounds": 0}, "--rounds is 0: give a whole number of at least 1"),
        ({"cluster_depth": 2}, "--cluster_depth is 2: give a number from 0"),
        ({"soft_temperature": 0}, "--soft_temperature is 0: give a number"),
        ({"soft_top": 5}, "--soft_top is 5, but the smallest k-means has 4"),
        ({"lr_decay": 1.5}, "--lr_decay is 1.5: give a number above 0 and at"),
        ({"states_run": "/nowhere"}, "/nowhere, named by --states_run, holds"),
    ],
)
def test_bad_input_is_told_in_one_sentence(run, settings, sentence):
    got = run("SAVEE", "train_ptapt", **settings)
    assert got.code == 2
    assert sentence in got.err
    assert "Traceback" not in got.err
    assert "begins" not in got.out


def test_an_encoder_of_another_frame_rate_is_refused(run, make_wav2vec2):
    slow = make_wav2vec2(conv_stride=(5, 2, 2, 2, 2, 2, 4))
    got = run("SAVEE", "train_ptapt", encoder=slow)
    assert got.code == 2
    assert "50 pseudo-labels a second, but the encoder that is" in got.err
    assert "gives 25 frames" in got.err


ADDED = ("lr_decay", "peft", "rounds", "soft_top", "soft_temperature")
ADDED += ("adaptation_trained_layers", "trained_layers")


def keys(yaml, results):
    """The keys of a run's stages, as a plan knows them."""
    outline = Outline([str(yaml), "--results", str(results)], "SAVEE")
    outline.prepare()
    outline.choose_fold()
    return [stage.key for stage in chain(outline)]


@pytest.mark.parametrize("method", ["vft", "tapt", "ptapt"])
def test_runs_without_these_settings_keep_their_keys(
    environment, tmp_path, method
):
    hparams = tmp_path / "hparams"
    shutil.copytree(ROOT / "hparams", hparams)
    now = keys(hparams / f"{method}.yaml", tmp_path)
    path = hparams / f"{method}.yaml"
    lines = path.read_text().splitlines(keepends=True)
    kept = [one for one in lines if one.split(":")[0].strip() not in ADDED]
    assert len(kept) <= len(lines) - 4
    path.write_text("".join(kept))
    assert keys(path, tmp_path) == now


@pytest.fixture
def other(tmp_path):
    """A table of speakers 04 and 05, whose labels have other names."""
    names = {"angry": "anger", "happy": "joy", "neutral": "calm", "sad": "sad"}
    rows = [
        (str(path), names[emotion], speaker[1])
        for speaker in ("04", "05")
        for emotion in names
        for path in sorted(AUDIO.glob(f"{speaker}_{emotion}_*.flac"))[:2]
    ]
    boredom = next(AUDIO.glob("06_sad_*.flac"))
    path = tmp_path / "other.csv"
    write_table(path, [*rows, (str(boredom), "boredom", "6")])
    return path


MAP = "anger=angry,joy=happy,calm=neutral,sad=sad"


@pytest.mark.parametrize("recipe", ["train_vft", "train_frozen"])
def test_trained_on_one_corpus_and_tested_on_another(
    run, tmp_path, other, recipe
):
    got = run("SAVEE", recipe, test_manifest=other, labels=MAP, fold="to_other")
    assert got.code == 0, got.err
    assert "1 clips of boredom are no class of the training" in got.out
    procedure = recipe.removeprefix("train_")
    folder = run_folder(tmp_path / "results", procedure, fold="to_other")
    metrics = check_predictions(folder, "to_other")
    assert metrics["n"] == 16
    other_fold = run("SAVEE", recipe, test_manifest=other, labels=MAP)
    assert "--fold is 03, but --test_manifest tests all" in other_fold.err
    assert list(metrics["recall"]) == ["angry", "happy", "neutral", "sad"]
    rows = list(csv.DictReader((folder / "predictions.csv").open()))
    assert {row["speaker"] for row in rows} == {"other/4", "other/5"}
    hours = metrics["train_hours"] * 3600
    assert hours == pytest.approx(sum(durations(tmp_path).values()), abs=0.5)


def durations(tmp_path):
    """Seconds of every clip of the training table."""
    manifest = load_manifest(tmp_path / "results/few/manifest.json")
    return {name: entry["duration"] for name, entry in manifest.items()}


@pytest.mark.parametrize(
    "labels, sentence",
    [
        (None, "the class 'angry' of the training has no label in"),
        ("anger=angry,joy=happy", "the class 'neutral' of the training has"),
        ("fury=angry", "names the label 'fury', which"),
        ("anger=fury", "the class 'fury', which the training does not have"),
        ("anger", "--labels has 'anger': write label=class"),
        ("joy=happy,joy=sad", "gives the label 'joy' to both"),
    ],
)
def test_a_label_map_that_loses_a_class_is_refused(
    run, other, labels, sentence
):
    more = {} if labels is None else {"labels": labels}
    got = run(
        "SAVEE", "train_vft", test_manifest=other, fold="to_other", **more
    )
    assert got.code == 2
    assert sentence in got.err


def test_a_clip_on_both_sides_is_refused(run, clips):
    got = run("SAVEE", "train_vft", test_manifest=clips, fold="to_few")
    assert got.code == 2
    assert "is a clip of the training and of --test_manifest" in got.err
