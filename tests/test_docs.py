"""What the documents say exists: links, commands, names, arrows."""

import ast
import importlib
import pkgutil
import re
import shlex
import sys
from pathlib import Path

import pytest
import torch

from ser_brain.assets import folder
from ser_brain.errors import InputError
from ser_brain.experiment.arguments import parse_arguments
from ser_brain.experiment.settings import YAML, Settings

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = sorted(
    [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").glob("*.md"),
        *(ROOT / "recipes").rglob("*.md"),
        *(ROOT / "ser_brain").rglob("*.md"),
    ]
)
NAMES = [path.relative_to(ROOT).as_posix() for path in DOCUMENTS]
LINK = re.compile(r"\]\(([^)#\s]+)")
PUBLIC = [
    "lobes.wav2vec2.Wav2Vec2.forward",
    "lobes.wav2vec2.Wav2Vec2.frame_lengths",
    "lobes.wav2vec2.Wav2Vec2.front_end",
    "lobes.wav2vec2.Wav2Vec2.transformer",
    "lobes.wav2vec2.Wav2Vec2Pretraining.forward",
    "lobes.load_encoder",
    "lobes.encoder.Encoder.front_end",
    "lobes.encoder.Encoder.layers",
    "lobes.encoder.Encoder.save_pretrained",
    "lobes.encoder.Encoder.transformer",
    "lobes.whisper.Whisper.forward",
    "lobes.whisper.Whisper.frame_lengths",
    "lobes.wav2vec.Wav2Vec.forward",
    "lobes.wav2vec.EmotionStateEncoder.forward",
    "nnet.masking.span_mask",
    "nnet.pooling.AveragePooling",
    "nnet.pooling.StatisticsPooling",
    "nnet.pooling.AttentivePooling",
    "nnet.pooling.LSTMPooling",
    "nnet.heads.UtteranceHead",
    "nnet.heads.FrameHead",
    "nnet.heads.ClusterHeads",
    "clustering.KMeansEnsemble.fit",
    "clustering.KMeansEnsemble.predict",
    "clustering.KMeansEnsemble.save",
    "clustering.KMeansEnsemble.load",
    "evaluation.metrics.unweighted_accuracy",
    "evaluation.metrics.weighted_accuracy",
    "evaluation.metrics.macro_f1",
    "evaluation.metrics.confusion",
    "results.load",
    "results.load_runs",
    "inference.EmotionRecognizer.from_run",
    "inference.EmotionRecognizer.from_hub",
    "inference.EmotionRecognizer.classify_file",
    "inference.EmotionRecognizer.classify_batch",
    "cli.main",
]


def blocks(language):
    """Fenced blocks of a language in all documents, as (name, text)."""
    fence = re.compile(rf"```{language}\n(.*?)```", re.DOTALL)
    return [
        (name, text)
        for name, path in zip(NAMES, DOCUMENTS)
        for text in fence.findall(path.read_text(encoding="utf-8"))
    ]


def commands():
    """Command lines of the documents, as (name, words)."""
    return [
        pytest.param(words, id=f"{name}: {' '.join(words[:3])}")
        for name, text in blocks("bash")
        for line in text.splitlines()
        if (words := shlex.split(line, comments=True))
    ]


@pytest.mark.parametrize("name", NAMES)
def test_links_lead_to_files(name):
    path = ROOT / name
    targets = LINK.findall(path.read_text(encoding="utf-8"))
    local = [target for target in targets if "://" not in target]
    missing = [t for t in local if not (path.parent / t).exists()]
    assert missing == []


@pytest.mark.parametrize("words", commands())
def test_a_command_names_files_that_exist(words):
    ours = [
        word
        for word in words
        if word.startswith(("recipes/", "hparams/", "docs/", "tools/"))
    ]
    assert [word for word in ours if not (ROOT / word).is_file()] == []
    if words[0] == "make":
        makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
        assert f"\n{words[1]}:" in makefile


@pytest.mark.parametrize("words", commands())
def test_a_recipe_takes_the_settings_of_its_command(
    words, tmp_path, monkeypatch
):
    # The yaml is found from any folder.
    monkeypatch.chdir(tmp_path)
    scripts = [w for w in words if w.startswith("recipes/")]
    if not scripts:
        pytest.skip("no recipe is run")
    argv = words[words.index(scripts[0]) + 1 :]
    # The shell's loops fill these in.
    argv = [{"$fold": "DC", "$seed": "1"}.get(word, word) for word in argv]
    path, _, overrides = parse_arguments(argv)
    Settings(path, overrides).apply_overrides()


def test_a_wrong_setting_in_a_command_would_be_found():
    path, _, overrides = parse_arguments(["hparams/vft.yaml", "--folt", "3"])
    with pytest.raises(InputError, match="--fold"):
        Settings(path, overrides)


@pytest.mark.parametrize("name, text", blocks("python"))
def test_an_example_imports_what_exists(name, text):
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom):
            module = importlib.import_module(node.module)
            assert all(hasattr(module, alias.name) for alias in node.names)


def test_the_readme_s_lobe_runs_in_a_foreign_recipe():
    nano = folder("nano_wav2vec2")
    [text] = [text for _, text in blocks("python") if "Wav2Vec2(" in text]
    names = {
        "wavs": torch.randn(2, 16000),
        "wav_lens": torch.tensor([1.0, 0.5]),
    }
    exec(text.replace("facebook/wav2vec2-base", nano), names)
    assert names["vectors"].shape == (2, names["encoder"].dim)


@pytest.mark.parametrize("name", PUBLIC)
def test_a_public_name_exists_and_says_what_it_does(name):
    found = pkgutil.resolve_name(f"ser_brain.{name}")
    assert found.__doc__


def test_every_difference_is_explained():
    text = (ROOT / "docs" / "paper_vs_code.md").read_text(encoding="utf-8")
    variant = ROOT / "hparams" / "variants" / "released_code.yaml"
    keys = YAML.load(variant.read_text(encoding="utf-8"))
    assert [key for key in keys if f"`{key}`" not in text] == []


@pytest.fixture(scope="module")
def architecture():
    """docs/draw_architecture.py as a module."""
    sys.path.insert(0, str(ROOT / "docs"))
    yield importlib.import_module("draw_architecture")
    sys.path.remove(str(ROOT / "docs"))


def test_imports_run_downwards_only(architecture):
    level = {
        room: number
        for number, rooms in enumerate(architecture.LEVELS)
        for room in rooms
    }
    upwards = [
        (room, other)
        for room, other in architecture.imports()
        if level[room] >= level[other]
    ]
    assert upwards == []


def test_lobes_and_nnet_stand_alone(architecture):
    pairs = architecture.imports()
    assert {other for room, other in pairs if room == "lobes"} == {"nnet"}
    assert not [other for room, other in pairs if room == "nnet"]


def test_every_room_is_in_the_picture(architecture):
    rooms = {
        path.stem
        for path in (ROOT / "ser_brain").iterdir()
        if path.suffix == ".py" or (path / "__init__.py").is_file()
    }
    drawn = {room for level in architecture.LEVELS for room in level}
    assert rooms - {"__init__"} <= drawn
