"""Starts recipes as a user does, at a size that takes seconds."""

import contextlib
import csv
import io
import json
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

ROOT = Path(__file__).resolve().parents[2]
AUDIO = ROOT / "ser_brain" / "assets" / "mini_corpus" / "audio"
# The first is what a script is run with unless a test names another.
YAMLS = {
    "train_vft": ("vft", "fcn"),
    "train_frozen": ("frozen", "layer_weights", "wav2vec_frozen"),
    "train_tapt": ("tapt",),
    "extract_pseudo": ("pseudo",),
    "train_ptapt": ("ptapt",),
    "train_segments": ("segments",),
    "train_bimodal": ("audio_text", "audio_asr"),
}
SCRIPTS = {yaml: name for name, yamls in YAMLS.items() for yaml in yamls}
# A few steps of each stage: what is tested is the way, not the score.
FEW = {
    "vft": {"epochs": 1},
    "frozen": {"head_epochs": 2},
    "tapt": {"epochs": 1, "adaptation_steps": 3},
    "pseudo": {"states_steps": 3, "n_clusters": [4, 8]},
    "ptapt": {
        "epochs": 1,
        "adaptation_steps": 3,
        "adaptation_batch_seconds": 8.0,
        "states_steps": 3,
        "n_clusters": [4, 8],
    },
    "fcn": {"fcn_epochs": 1, "fcn_channels": [2, 2, 2, 2, 4], "fcn_dim": 4},
    "layer_weights": {"weights_epochs": 2},
    "wav2vec_frozen": {"recurrent_epochs": 2, "recurrent_units": 4},
    "segments": {"segment_epochs": 1},
    "audio_text": {"fusion_epochs": 2},
    "audio_asr": {"fusion_epochs": 2},
}
BATCHES = {
    "vft": ("batch_size",),
    "frozen": ("head_batch_size",),
    "tapt": ("batch_size", "adaptation_batch_size"),
    "pseudo": ("states_batch_size",),
    "ptapt": ("batch_size", "states_batch_size"),
    "fcn": ("fcn_batch_size",),
    "layer_weights": ("weights_batch_size",),
    "wav2vec_frozen": ("recurrent_batch_size",),
    "segments": ("segment_batch_size",),
    "audio_text": ("fusion_batch_size",),
    "audio_asr": ("fusion_batch_size",),
}


def pick_clips():
    """Two clips of each emotion of speakers 01, 02 and 03."""
    rows = []
    for speaker in ("01", "02", "03"):
        for emotion in ("angry", "happy", "neutral", "sad"):
            found = sorted(AUDIO.glob(f"{speaker}_{emotion}_*.flac"))
            rows += [(str(path), emotion, speaker) for path in found[:2]]
    return rows


def write_table(path, rows):
    """A CSV as docs/your-own-corpus.md has it."""
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerows([("path", "emotion", "speaker"), *rows])


def script(corpus, recipe):
    """Path of a recipe script."""
    return ROOT / "recipes" / corpus / f"{recipe}.py"


def asked_of_all(method):
    """What RECIPE_SETTINGS asks of every run whose recipe knows it.

    Such as ``front_end_cache=off micro_batch_seconds=null precision=bf16``.
    """
    yaml = (ROOT / "hparams" / f"{method}.yaml").read_text()
    known = {"precision", *re.findall(r"^(\w+):", yaml, re.MULTILINE)}
    words = os.environ.get("RECIPE_SETTINGS", "").split()
    asked = dict(word.split("=", 1) for word in words)
    return {key: asked[key] for key in asked if key in known}


def command_line(recipe, models, results, method=None, **settings):
    """The yaml and the settings of a small run, ``settings`` last."""
    method = method or YAMLS[recipe][0]
    chosen = {
        "scale": "nano",
        "encoder": models.w2,
        "encoder_feature_span": 3,
        "wav2vec": models.w1,
        "wav2vec1": models.w1,
        "states_feature_span": 2,
        "results": results,
        **FEW[method],
        **dict.fromkeys(BATCHES[method], 4),
        **asked_of_all(method),
        **settings,
    }
    yaml = (ROOT / "hparams" / f"{method}.yaml").read_text()
    known = re.findall(r"^(\w+):", yaml, re.MULTILINE)
    models_own = {"encoder", "encoder_feature_span", "wav2vec", "wav2vec1"}
    models_own.add("states_feature_span")
    argv = [f"hparams/{method}.yaml"]
    for key, value in chosen.items():
        if key in known or key not in models_own:
            argv += [f"--{key}", str(value)]
    return argv


def run_script(path, argv):
    """Runs a recipe in this process; its exit code and what it wrote."""
    out, err = io.StringIO(), io.StringIO()
    before = sys.argv, list(sys.path), sys.excepthook
    sys.argv = [str(path), *map(str, argv)]
    sys.path.insert(0, str(path.parent))
    code = 0
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            runpy.run_path(str(path), run_name="__main__")
    except SystemExit as end:
        code = end.code
    finally:
        sys.argv, sys.path[:], sys.excepthook = before
    return SimpleNamespace(code=code, out=out.getvalue(), err=err.getvalue())


def start(path, argv, launcher=(), **popen):
    """Starts a recipe in a process of its own."""
    return subprocess.Popen(
        [sys.executable, *launcher, str(path), *map(str, argv)],
        cwd=ROOT,
        env={**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **popen,
    )


def run_folder(results, procedure, name="few", fold="03", scale="nano", seed=1):
    """Where a run leaves its files."""
    return Path(results, name, procedure, scale, f"fold_{fold}", f"seed_{seed}")


def done(folder, stage):
    """The record of a finished stage."""
    return json.loads((folder / "save" / stage / "done.json").read_text())
