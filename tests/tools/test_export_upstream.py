"""The recipes for SpeechBrain compute what ours do, without ser_brain."""

import ast
import csv
import importlib
import importlib.util
import json
import re
import shlex
import sys
from types import SimpleNamespace

import pytest
import torch
from recipe_runs import ROOT, pick_clips, run_script
from speechbrain import Stage
from speechbrain.dataio.batch import PaddedBatch

from ser_brain.brains import (
    ClusterBrain,
    ContrastiveBrain,
    EmotionStateBrain,
    UtteranceBrain,
)
from ser_brain.clustering import PseudoLabels
from ser_brain.corpora import savee
from ser_brain.corpora.mini import unpack_mini
from ser_brain.errors import InputError
from ser_brain.lobes.wav2vec import EmotionStateEncoder, Wav2Vec
from ser_brain.lobes.wav2vec2 import Wav2Vec2, Wav2Vec2Pretraining
from ser_brain.nnet import heads
from ser_brain.nnet.masking import SpanMask, span_mask
from ser_brain.nnet.pooling import LSTMPooling

HEADER = (
    "Task,Dataset,Script_file,Hparam_file,Data_prep_file,Readme_file,"
    "Result_url,HF_repo,test_debug_flags,test_debug_checks,performance\n"
)
OTHER = "ASR,IEMOCAP,recipes/IEMOCAP/other/train.py" + 8 * "," + "\n"
SURE = dict.fromkeys(
    (
        "attention_dropout",
        "hidden_dropout",
        "activation_dropout",
        "feat_proj_dropout",
        "feat_quantizer_dropout",
        "layerdrop",
    ),
    0.0,
)
PARTS = ("lobes.models", "integrations.huggingface", "integrations.models")


@pytest.fixture(scope="module")
def tool():
    """tools/export_upstream.py as a module."""
    sys.path.insert(0, str(ROOT / "tools"))
    yield importlib.import_module("export_upstream")
    sys.path.remove(str(ROOT / "tools"))


@pytest.fixture(scope="module")
def exported(tool, tmp_path_factory):
    """A folder like a checkout with the recipes; its lobes can be imported."""
    target = tmp_path_factory.mktemp("speechbrain")
    tables = target / "tests" / "recipes"
    tables.mkdir(parents=True)
    (tables / "IEMOCAP.csv").write_text(HEADER + OTHER, "utf-8")
    paths = tool.export(target)
    folders = {}
    for name in PARTS:
        package = importlib.import_module(f"speechbrain.{name}")
        folders[name] = str(target / "speechbrain" / name.replace(".", "/"))
        package.__path__.append(folders[name])
    recipe = target / tool.RECIPES["IEMOCAP"]
    for script in recipe.glob("*.py"):
        # Recipes of ours that ran before have modules of the same names.
        sys.modules.pop(script.stem, None)
    sys.path.insert(0, str(recipe))
    yield SimpleNamespace(target=target, paths=paths)
    sys.path.pop(0)
    for name, folder in folders.items():
        importlib.import_module(f"speechbrain.{name}").__path__.remove(folder)
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None) or ""
        if file.startswith(str(target)):
            del sys.modules[name]


def test_nothing_of_ours_is_imported(exported):
    for path in exported.paths:
        text = (exported.target / path).read_text("utf-8")
        if path.endswith((".yaml", ".md")):
            assert "@" not in text
        if not path.endswith(".py"):
            continue
        for node in ast.walk(ast.parse(text)):
            names = [alias.name for alias in getattr(node, "names", [])]
            names.append(getattr(node, "module", None) or "")
            assert not any(str(one).startswith("ser_brain") for one in names)


def test_rows_are_added_once(exported, tool):
    table = exported.target / "tests" / "recipes" / "IEMOCAP.csv"
    before = table.read_text("utf-8")
    tool.add_rows(table, "IEMOCAP")
    assert table.read_text("utf-8") == before
    rows = list(csv.DictReader(before.splitlines()))
    assert [row["Script_file"].split("/")[-1] for row in rows] == [
        "train.py",
        *(f"{script}.py" for script in tool.PROCEDURES),
    ]
    for row in rows[1:]:
        for field in ("Script_file", "Hparam_file", "Data_prep_file"):
            assert (exported.target / row[field]).is_file()


def test_another_folder_is_refused(tool, tmp_path):
    with pytest.raises(InputError, match="is not a checkout of SpeechBrain"):
        tool.export(tmp_path)


def test_a_file_that_is_not_exported_is_told(tool):
    with pytest.raises(InputError, match="layer_heads, which is not exported"):
        tool.moved("ser_brain.nnet.layer_heads")


def test_a_fold_is_prepared(exported, tmp_path):
    prepare = importlib.import_module("iemocap_prepare").prepare_iemocap
    unpack_mini("IEMOCAP", tmp_path / "corpus")
    train, test = tmp_path / "train.json", tmp_path / "test.json"
    with pytest.raises(ValueError, match="not the published 5531"):
        prepare(tmp_path / "corpus", "3", train, test)
    assert not train.exists()
    prepare(tmp_path / "corpus", "3", train, test, allow_incomplete=True)
    parts = [json.loads(path.read_text("utf-8")) for path in (train, test)]
    speakers = [{one["spk_id"] for one in part.values()} for part in parts]
    assert not speakers[0] & speakers[1]
    assert {name[:5] for name in parts[1]} == {"Ses03"}
    for name in ("2.5", "Session3"):
        with pytest.raises(ValueError, match="is not a fold"):
            prepare(
                tmp_path / "corpus", name, tmp_path / "a", tmp_path / "b", True
            )


def test_the_reader_of_savee_finds_its_sentences(exported, tool):
    path = exported.target / tool.RECIPES["SAVEE"] / "savee_reader.py"
    spec = importlib.util.spec_from_file_location("savee_reader", path)
    reader = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(reader)
    assert reader.sentence("a", 1) == savee.sentence("a", 1)


def test_a_recipe_trains(exported, tool, tmp_path, monkeypatch):
    annotation = tmp_path / "clips.json"
    clips = {
        f"clip{place}": {"wav": path, "duration": 2.0, "emo": emotion}
        for place, (path, emotion, _) in enumerate(pick_clips()[:12])
    }
    annotation.write_text(json.dumps(clips), "utf-8")
    folder = exported.target / tool.RECIPES["IEMOCAP"]
    flags = [
        word
        for word in shlex.split(tool.debug_flags("train_ptapt"))
        if not re.match("--(data_folder|train_ann|test_ann|labels)", word)
    ]
    argv = [str(folder / "hparams" / "train_ptapt.yaml"), *flags]
    argv += ["--data_folder", str(tmp_path), "--output_folder", "out"]
    argv += ["--train_annotation", annotation, "--test_annotation", annotation]
    argv += ["--labels", "[angry, happy, neutral, sad]"]
    argv += ["--device", "cpu", "--debug", "--debug_persistently"]
    monkeypatch.chdir(tmp_path)
    got = run_script(folder / "train_ptapt.py", argv)
    assert got.code == 0, got.err
    log = (tmp_path / "out" / "train_log.txt").read_text("utf-8")
    assert "test UA" in log
    labels = torch.load(
        tmp_path / "out" / "save" / "pseudo_labels.pt", weights_only=True
    )
    assert set(labels) == set(clips)
    assert (tmp_path / "out" / "test_stats.txt").is_file()


# ------------------------------------------ one update's loss, both ways
LABELS = [0, 2, 1]
WEIGHTS = torch.tensor([0.5, 0.3, 0.2])


@pytest.fixture
def batch():
    """Three utterances as SpeechBrain batches them."""
    torch.manual_seed(3)
    signals = [torch.randn(samples) for samples in (16000, 9000, 12345)]
    return PaddedBatch(
        [
            {"id": f"c{place}", "start": 0, "sig": signal, "emo_encoded": label}
            for place, (signal, label) in enumerate(zip(signals, LABELS))
        ]
    )


def ours(brain_class, modules, batch, totals, **more):
    """The loss of one of our Brains for that batch."""
    hparams = {
        "micro_batch_seconds": None,
        "max_skipped_updates": 0,
        "class_weights": WEIGHTS,
        **more,
    }
    brain = brain_class(modules, hparams=hparams, run_opts={"device": "cpu"})
    wavs, wav_lens = batch.sig
    samples = (wav_lens * wavs.shape[1]).round().long()
    whole = SimpleNamespace(
        wavs=wavs,
        wav_lens=wav_lens,
        samples=samples,
        label=torch.tensor(LABELS),
        totals=torch.as_tensor(totals, dtype=torch.float),
        **more,
    )
    outputs = brain.compute_forward(whole, Stage.VALID)
    return brain.compute_objectives(outputs, whole, Stage.VALID)


def theirs(module, name, modules, batch, **hparams):
    """The loss of an exported Brain for it, with our modules' weights."""
    brain_class = getattr(importlib.import_module(module), name)
    hparams = {"modules": modules, "class_weights": WEIGHTS, **hparams}
    brain = brain_class(modules, hparams=hparams, run_opts={"device": "cpu"})
    brain.pseudo_labels = hparams.get("pseudo_labels")
    torch.manual_seed(0)
    outputs = brain.compute_forward(batch, Stage.VALID)
    return brain.compute_objectives(outputs, batch, Stage.VALID)


def twin(module, path, name, *arguments, **options):
    """An exported module with the weights of one of ours."""
    other = getattr(importlib.import_module(f"speechbrain.{path}"), name)
    other = other(*arguments, **options)
    other.load_state_dict(module.state_dict())
    return other.train(module.training)


HEADS = "lobes.models.ptapt.heads"
ENCODER = "integrations.huggingface.ptapt.wav2vec2"


@pytest.fixture(scope="module")
def source(make_wav2vec2):
    """Folder of a wav2vec 2.0 without dropout."""
    return make_wav2vec2(**SURE)


def test_fine_tuning_has_the_same_loss(exported, source, batch):
    spans = {"time_prob": 0.2, "time_span": 3, "feature_span": 4}
    encoder = Wav2Vec2(source).train()
    head = heads.UtteranceHead(encoder.dim, 3)
    theirs_spans = importlib.import_module(
        "speechbrain.lobes.models.ptapt.masking"
    ).SpanMask(**spans)
    modules = {
        "wav2vec2": twin(
            encoder, ENCODER, "Wav2Vec2", source, span_mask=theirs_spans
        ),
        "head": twin(head, HEADS, "UtteranceHead", encoder.dim, 3),
    }
    found = theirs(
        "train_vft",
        "EmotionBrain",
        modules,
        batch,
        wav2vec2=modules["wav2vec2"],
    )
    torch.manual_seed(0)
    lengths = encoder.frame_lengths(torch.tensor([16000, 9000, 12345]))
    time_mask, feature_mask = SpanMask(**spans)(lengths, encoder.dim)
    assert time_mask.any() and feature_mask.any()
    expected = ours(
        UtteranceBrain,
        {"encoder": encoder, "head": head},
        batch,
        [WEIGHTS[LABELS].sum()],
        time_mask=time_mask,
        feature_mask=feature_mask,
    )
    torch.testing.assert_close(found, expected)


def test_cluster_prediction_has_the_same_loss(exported, source, batch):
    encoder = Wav2Vec2(source).train()
    cluster_heads = heads.ClusterHeads(encoder.dim, (4, 7))
    modules = {
        "wav2vec2": twin(encoder, ENCODER, "Wav2Vec2", source),
        "cluster_heads": twin(
            cluster_heads, HEADS, "ClusterHeads", encoder.dim, (4, 7)
        ),
    }
    frames = encoder.frame_lengths(torch.tensor([16000, 9000, 12345])).tolist()
    targets = torch.full((3, max(frames), 2), -100)
    labels = {}
    for place, count in enumerate(frames):
        found = torch.randint(4, (count - 1, 2))
        labels[f"c{place}"] = targets[place, : count - 1] = found
    laws = {"mask_prob": 0.3, "mask_length": 3, "min_masks": 2}
    found = theirs(
        "train_ptapt",
        "ClusterBrain",
        modules,
        batch,
        n_clusters=(4, 7),
        pseudo_labels=labels,
        **laws,
    )
    torch.manual_seed(0)
    mask = span_mask(frames, *laws.values())
    count = (mask & (targets[..., 0] >= 0)).sum()
    expected = ours(
        ClusterBrain,
        {"encoder": encoder, "heads": cluster_heads},
        batch,
        [count],
        time_mask=mask,
        targets=targets,
        pseudo_labels=PseudoLabels((4, 7), 50.0, "key", {}),
    )
    torch.testing.assert_close(found, expected)


def test_pretraining_has_the_same_loss(exported, source, batch):
    options = {"mask_prob": 0.5, "mask_length": 3, "num_negatives": 5}
    objective = Wav2Vec2Pretraining(source, **options).eval()
    modules = {
        "pretraining": twin(
            objective, ENCODER, "Wav2Vec2Pretraining", source, **options
        )
    }
    found = theirs("train_tapt", "ContrastiveBrain", modules, batch)
    torch.manual_seed(0)
    draw = importlib.import_module("ser_brain.lobes.wav2vec2.pretraining")
    lengths = objective.frame_lengths(torch.tensor([16000, 9000, 12345]))
    mask = objective.draw_mask(lengths)
    expected = ours(
        ContrastiveBrain,
        {"objective": objective},
        batch,
        [mask.sum()],
        time_mask=mask,
        negatives=draw.draw_negatives(mask, 5),
        noise_seed=torch.zeros(3, dtype=torch.long),
    )
    torch.testing.assert_close(found, expected)


def test_emotion_states_have_the_same_loss(exported, tiny_wav2vec, batch):
    encoder = EmotionStateEncoder(Wav2Vec(tiny_wav2vec)).eval()
    frame_head = heads.FrameHead(encoder.dim, 3, hidden=8).eval()
    pooling = LSTMPooling(encoder.dim, hidden=6)
    utterance_head = heads.UtteranceHead(
        encoder.dim, 3, pooling=pooling, hidden=8
    ).eval()
    wav2vec = importlib.import_module("speechbrain.integrations.models.wav2vec")
    lstm = importlib.import_module("speechbrain.lobes.models.ptapt.pooling")
    modules = {
        "encoder": twin(
            encoder,
            "integrations.models.wav2vec",
            "EmotionStateEncoder",
            wav2vec.Wav2Vec(tiny_wav2vec),
        ),
        "frame_head": twin(
            frame_head, HEADS, "FrameHead", encoder.dim, 3, hidden=8
        ),
        "utterance_head": twin(
            utterance_head,
            HEADS,
            "UtteranceHead",
            encoder.dim,
            3,
            pooling=lstm.LSTMPooling(encoder.dim, hidden=6),
            hidden=8,
        ),
    }
    found = theirs("emotion_states", "EmotionStateBrain", modules, batch)
    lengths = encoder.frame_lengths(torch.tensor([16000, 9000, 12345]))
    weights = WEIGHTS[LABELS]
    expected = ours(
        EmotionStateBrain,
        {
            "encoder": encoder,
            "frame_head": frame_head,
            "utterance_head": utterance_head,
        },
        batch,
        [(weights * lengths).sum(), weights.sum()],
    )
    torch.testing.assert_close(found, expected)
