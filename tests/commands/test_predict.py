"""Results as they come: in a file that a killed command goes on with."""

import csv
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import soundfile
import torch

from ser_brain import cli
from ser_brain.inference import save_classifier
from ser_brain.lobes.wav2vec2 import Wav2Vec2
from ser_brain.nnet.heads import UtteranceHead

CLASSES = ["angry", "sad"]


@pytest.fixture(scope="module")
def run(tmp_path_factory, tiny_wav2vec2):
    """A run folder with a small random classifier."""
    folder = tmp_path_factory.mktemp("results") / "seed_1"
    torch.manual_seed(0)
    parts = Wav2Vec2(tiny_wav2vec2), UtteranceHead(32, 2), CLASSES
    save_classifier(folder / "save" / "classifier", *parts)
    return str(folder)


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """Forty clips of noise, of unlike length."""
    folder = tmp_path_factory.mktemp("clips")
    draws = np.random.default_rng(0)
    paths = [folder / f"{n:02d}.wav" for n in range(40)]
    for number, path in enumerate(paths):
        noise = 0.1 * draws.standard_normal(3200 + 700 * (7 * number % 11))
        soundfile.write(path, noise, 16000)
    return [str(path) for path in paths]


def rows(path):
    """The content of a file of JSON lines."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_the_file_has_what_is_printed(run, clips, tmp_path, capsys):
    """In both forms, with the model; nothing is printed."""
    words = ["predict", run, *clips[:5]]
    assert cli.main([*words, "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    lines, table = tmp_path / "a.jsonl", tmp_path / "a.csv"
    for path in (lines, table):
        assert cli.main([*words, "--output", str(path)]) == 0
        out, err = capsys.readouterr()
        assert out == "" and err.startswith("5 files")
    found = rows(lines)
    (model,) = {row.pop("model") for row in found}
    assert found == printed
    with open(table, newline="") as file:
        for row, record in zip(csv.DictReader(file), printed, strict=True):
            assert row["file"] == record["file"]
            assert float(row["sad"]) == pytest.approx(
                record["posteriors"]["sad"], abs=1e-6
            )
            assert row["warnings"] == " ".join(record["warnings"])
            assert row["model"] == model
    with pytest.raises(SystemExit, match="2"):
        cli.main([*words, "--csv", "--output", str(lines)])


def wait_for_lines(path, number, process):
    """Until a file has lines, and its process goes on."""
    until = time.monotonic() + 300
    while time.monotonic() < until:
        assert process.poll() is None, process.stderr.read()
        if path.is_file() and path.read_bytes().count(b"\n") >= number:
            return
        time.sleep(0.01)
    raise AssertionError("no line came")


def test_killed_it_goes_on(run, clips, tmp_path, capsys):
    """After kill -9 and a torn line, to the results of a whole command."""
    whole, path = tmp_path / "whole.jsonl", tmp_path / "a.jsonl"
    many = 60 * clips
    words = ["predict", run, *many, "--batch_seconds", "1", "--output"]
    process = subprocess.Popen(
        [sys.executable, "-m", "ser_brain.cli", *words, str(path)],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    wait_for_lines(path, 3, process)
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stderr.close()
    kept = path.read_bytes()
    kept = kept[: kept.rindex(b"\n") + 1]
    done = kept.count(b"\n")
    assert 3 <= done < len(many) - 10
    rest = many[done : done + 10]
    path.write_bytes(kept + b'{"file": "')
    few = ["predict", run, *many[: done + 10], "--output"]
    assert cli.main([*few, str(path)]) == 0
    err = capsys.readouterr().err
    assert err.startswith(f"{path} has {done} of {done + 10} files already\n")
    assert "\n10 files, " in err
    assert path.read_bytes().startswith(kept)
    again = rows(path)
    assert cli.main(["predict", run, *rest, "--output", str(whole)]) == 0
    for row, expected in zip(again[done:], rows(whole), strict=True):
        assert row["file"] == expected["file"]
        assert row["score"] == pytest.approx(expected["score"], abs=1e-5)
    capsys.readouterr()
    assert cli.main([*few, str(path)]) == 0
    assert "real-time factor" not in capsys.readouterr().err
    assert rows(path) == again


def test_another_model_is_refused(run, clips, tiny_wav2vec2, tmp_path, capsys):
    path = tmp_path / "a.csv"
    assert cli.main(["predict", run, clips[0], "--output", str(path)]) == 0
    torch.manual_seed(1)
    parts = Wav2Vec2(tiny_wav2vec2), UtteranceHead(32, 2), CLASSES
    save_classifier(tmp_path / "save" / "classifier", *parts)
    content = path.read_bytes()
    words = ["predict", str(tmp_path), clips[0], "--output", str(path)]
    capsys.readouterr()
    assert cli.main(words) == 2
    err = capsys.readouterr().err
    assert "line 2, is of another model" in err and err.count("\n") == 1
    assert path.read_bytes() == content


def test_bad_files_in_the_file(run, clips, tmp_path, capsys):
    """With --skip_bad they have a line, and the exit code stays 1."""
    bad = tmp_path / "bad.wav"
    bad.write_text("no audio")
    path = tmp_path / "a.jsonl"
    words = ["predict", run, clips[0], str(bad), "--output", str(path)]
    assert cli.main(words) == 2
    assert not path.exists()
    for _ in range(2):
        assert cli.main([*words, "--skip_bad"]) == 1
        assert "cannot be read" in rows(path)[1]["error"]


@pytest.mark.parametrize("form", ["--csv", "--json", None])
def test_results_are_printed_as_they_come(run, clips, tmp_path, capsys, form):
    """Those before a bad file are there, though it ends the command."""
    bad = np.zeros(16000)
    bad[100] = np.nan
    soundfile.write(tmp_path / "bad.wav", bad, 16000, subtype="FLOAT")
    words = ["predict", run, *clips, str(tmp_path / "bad.wav")]
    words += ["--batch_seconds", "0.3", *([form] if form else [])]
    assert cli.main(words) == 2
    out, err = capsys.readouterr()
    assert err.splitlines()[-1].startswith("error: ")
    lines = [line for line in out.splitlines() if ".wav" in line]
    assert len(lines) > 30
    for line, clip in zip(lines, clips):
        assert clip in line
