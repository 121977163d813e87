"""P1 with an encoder that is not wav2vec 1.0, from settings to P4."""

import sys

import pytest
import torch
from recipe_runs import ROOT, command_line, done, run_folder, run_script, script
from test_recipes import begun

from ser_brain.assets import folder as asset
from ser_brain.clustering import PseudoLabels
from ser_brain.corpora import load_manifest
from ser_brain.errors import InputError
from ser_brain.experiment.states_head import (
    FILE,
    load_states_head,
    save_states_head,
)
from ser_brain.lobes import load_encoder, load_state_encoder
from ser_brain.lobes.transformer_states import TransformerStateEncoder
from ser_brain.nnet.heads import UtteranceHead


@pytest.fixture
def accuracy():
    """tools/states_accuracy.py as a module."""
    sys.path.insert(0, str(ROOT / "tools"))
    import states_accuracy

    yield states_accuracy
    sys.path.remove(str(ROOT / "tools"))


def test_p_tapt_with_states_of_whisper(run, tmp_path):
    whisper = asset("whisper_tiny_en")
    got = run("SAVEE", "train_ptapt", states_encoder=whisper, states_steps=2)
    assert got.code == 0, got.err
    results = tmp_path / "results"
    shared = run_folder(results, "pseudo")
    record = done(shared, "emotion_states")
    assert 0 <= record["valid_UA"] <= 1
    told = f"emotion_states: valid_UA {record['valid_UA']} on 2 clips"
    assert told in got.out
    log = run_folder(results, "ptapt") / "log.txt"
    assert told in log.read_text()
    states = load_state_encoder(shared / "save/emotion_states")
    assert isinstance(states, TransformerStateEncoder)
    head = load_states_head(shared / "save/emotion_states")
    assert head(torch.rand(1, 5, states.dim)).shape == (1, 4)


def test_labels_are_as_long_as_the_states_and_fit_the_encoder(
    run, tmp_path, tiny_whisper, models
):
    got = run("SAVEE", "extract_pseudo", states_encoder=tiny_whisper)
    assert got.code == 0, got.err
    results = tmp_path / "results"
    labels = PseudoLabels.load(
        run_folder(results, "pseudo")
        / "save/clusters/pseudo_labels.safetensors"
    )
    states = load_encoder(tiny_whisper)
    adapted = load_encoder(models.w2)
    manifest = load_manifest(results / "few/manifest.json")
    for name, found in labels.labels.items():
        samples = round(16000 * manifest[name]["duration"])
        assert len(found) == states.frame_lengths(samples)
        frames = int(adapted.frame_lengths(samples))
        crop = labels.frames(name, 3, frames - 3)
        # Whisper's frames reach the clip's end: none of them lacks a label.
        assert (crop >= 0).all()
        assert torch.equal(crop, torch.as_tensor(found[3:frames]).long())


def test_p1_follows_the_content_of_its_encoder(run, tmp_path, make_whisper):
    folders = [make_whisper(), make_whisper(), make_whisper(encoder_layers=1)]
    expected = [True, False, True]
    for folder, anew in zip(folders, expected):
        got = run("SAVEE", "extract_pseudo", states_encoder=folder)
        assert ("emotion_states" in begun(got)) == anew


def test_old_names_of_the_states_settings(environment, models, clips, tmp_path):
    words = command_line(
        "extract_pseudo", models, tmp_path, manifest=clips, fold="03"
    )
    words[words.index("--states_feature_span")] = "--wav2vec_feature_span"
    words += ["--wav2vec_dim", "16"]
    got = run_script(script("SAVEE", "extract_pseudo"), words)
    assert got.code == 0, got.err
    settings = run_folder(tmp_path, "pseudo") / "hyperparams.yaml"
    assert "states_dim: 16" in settings.read_text()


def test_a_dim_that_is_not_the_states(run):
    got = run("SAVEE", "extract_pseudo", states_dim=17)
    assert got.code == 2
    assert "--states_dim is 17, but the encoder has 16" in got.err


def test_accuracy_on_the_test_speaker(
    environment, models, clips, tmp_path, accuracy, capsys
):
    words = command_line(
        "extract_pseudo", models, tmp_path, manifest=clips, fold="03"
    )
    words = ["SAVEE", *map(str, words)]
    with pytest.raises(InputError, match="no fold has a finished P1"):
        accuracy.main(words)
    got = run_script(script("SAVEE", "extract_pseudo"), words[1:])
    assert got.code == 0, got.err
    accuracy.main(words)
    head, _, valid, test = capsys.readouterr().out.strip().splitlines()
    assert head == "| UA of P1 | 03 | mean |"
    record = done(run_folder(tmp_path, "pseudo"), "emotion_states")
    assert f"| valid | {100 * record['valid_UA']:.1f} |" in valid
    assert 0 <= float(test.split("|")[2]) <= 100


def test_a_head_that_is_damaged_or_missing(tmp_path):
    with pytest.raises(InputError, match="extract the pseudo-labels again"):
        load_states_head(tmp_path)
    save_states_head(tmp_path, UtteranceHead(dim=4, n_classes=2, hidden=3))
    assert load_states_head(tmp_path).hidden == 3
    (tmp_path / FILE).write_bytes(b"junk")
    with pytest.raises(InputError, match="cannot be read"):
        load_states_head(tmp_path)
