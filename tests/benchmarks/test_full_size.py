"""The benchmark of full-size encoders, with tiny ones."""

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from ser_brain.lobes.registry import ENCODERS

ROOT = Path(__file__).resolve().parents[2]
# As Python has it for a script there.
sys.path.insert(0, str(ROOT / "benchmarks"))

import common  # noqa: E402
import full_size  # noqa: E402

TINY = {
    "hidden_size": 128,  # twice a span of masked features
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "conv_dim": (8,) * 7,
    "num_conv_pos_embeddings": 16,
}


@pytest.fixture
def clips(tmp_path):
    """A few clips, named as SAVEE names them."""
    noise = np.random.default_rng(0)
    folder = tmp_path / "clips"
    for speaker in ("DC", "JE", "KL"):
        (folder / speaker).mkdir(parents=True)
        for clip in ("a01", "a02", "h01", "h02"):
            path = folder / speaker / f"{clip}.wav"
            soundfile.write(path, 0.1 * noise.standard_normal(8000), 16000)
    return folder


def test_other_encoders_are_measured(monkeypatch, tmp_path, clips):
    monkeypatch.setattr(full_size, "ENCODERS", {"tiny": ("wavlm", TINY)})
    monkeypatch.setattr(common, "RESULTS", tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    words = ["--data_folder", str(clips), "--steps", "1", "--batch_size", "4"]
    full_size.main([*words, "--encoders", "tiny"])
    report = json.loads((tmp_path / "encoders.json").read_text())
    found = report["results"]["tiny"]
    assert found["exit_code"] == 0
    assert found["peak_memory_gb"] > 0


def test_figures_are_kept_on_the_same_machine_alone(monkeypatch, tmp_path):
    monkeypatch.setattr(common, "RESULTS", tmp_path)
    monkeypatch.setattr(full_size, "random_encoder", lambda *words: None)
    monkeypatch.setattr(full_size, "run", lambda *words: {"exit_code": 0})

    def measured(name, on):
        for module in (common, full_size):
            monkeypatch.setattr(module, "machine", lambda: {"cores": on})
        args = argparse.Namespace(encoders=[name], batch_size=4)
        full_size.measure_encoders(args, {})
        return list(common.read_report("encoders")["results"])

    assert measured("one", on=2) == ["one"]
    assert measured("two", on=2) == ["one", "two"]
    assert measured("three", on=64) == ["three"]


def test_there_is_a_lobe_for_each():
    assert {kind for kind, _ in full_size.ENCODERS.values()} <= {*ENCODERS}
