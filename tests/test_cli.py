"""The console command, in its own process where that is the point."""

import csv
import io
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from ser_brain import cli
from ser_brain.commands import doctor
from ser_brain.inference import EmotionRecognizer, save_classifier
from ser_brain.lobes.wav2vec2 import Wav2Vec2
from ser_brain.nnet.heads import UtteranceHead

CLASSES = ["angry", "neutral", "sad"]


@pytest.fixture(scope="module")
def run(tmp_path_factory, tiny_wav2vec2):
    """A run folder with a small random classifier."""
    folder = tmp_path_factory.mktemp("results") / "seed_1"
    save_classifier(
        folder / "save" / "classifier",
        Wav2Vec2(tiny_wav2vec2),
        UtteranceHead(32, len(CLASSES)),
        CLASSES,
    )
    return str(folder)


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """Two files of unlike rate, channels and format."""
    folder = tmp_path_factory.mktemp("clips")
    draws = np.random.default_rng(0)
    paths = [folder / "one, or two.wav", folder / "three.flac"]
    soundfile.write(paths[0], 0.1 * draws.standard_normal((9000, 2)), 22050)
    soundfile.write(paths[1], 0.1 * draws.standard_normal(6000), 8000)
    return [str(path) for path in paths]


def test_predict_in_three_forms(run, clips, capsys):
    """Table, CSV and JSON tell what EmotionRecognizer tells."""
    recognizer = EmotionRecognizer.from_run(run)
    expected = [recognizer.classify_file(path) for path in clips]

    assert cli.main(["predict", run, *clips, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["file"] for row in rows] == clips
    for row, (posteriors, score, _, label) in zip(rows, expected):
        assert list(row["posteriors"]) == CLASSES
        shares = pytest.approx(posteriors[0].tolist(), abs=1e-5)
        assert list(row["posteriors"].values()) == shares
        assert row["label"] == label[0]
        assert row["score"] == pytest.approx(score.item(), abs=1e-5)

    assert cli.main(["predict", run, *clips, "--csv"]) == 0
    lines = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    for line, row in zip(lines, rows, strict=True):
        assert (line["file"], line["label"]) == (row["file"], row["label"])
        assert float(line["sad"]) == pytest.approx(
            row["posteriors"]["sad"], abs=1e-6
        )

    assert cli.main(["predict", run, *clips]) == 0
    head, *table = capsys.readouterr().out.splitlines()
    assert head.split() == ["file", "label", *CLASSES]
    assert len({len(line) for line in (head, *table)}) == 1
    assert [line.startswith(path) for line, path in zip(table, clips)]


def test_predict_takes_folders_and_tells_its_speed(run, clips, capsys):
    """stdout stays as it is read by a program; the speed is on stderr."""
    folder = str(Path(clips[0]).parent)
    words = [folder, clips[0], "--csv", "--batch_seconds", "1"]
    assert cli.main(["predict", run, *words, "--num_workers", "1"]) == 0
    out, err = capsys.readouterr()
    lines = list(csv.DictReader(io.StringIO(out)))
    assert [line["file"] for line in lines] == [*sorted(clips), clips[0]]
    assert lines[0] == lines[2]
    # 9000 samples at 22.05 kHz twice, 6000 at 8 kHz once.
    sentence = r"3 files, 1.6 s of audio in \S+ s: real-time factor [\d.e+-]+\n"
    assert re.fullmatch(sentence, err)


def test_predict_with_a_folder_of_no_audio(run, tmp_path, capsys):
    """One sentence with the folder and what would be audio."""
    (tmp_path / "notes.txt").write_text("none")
    assert cli.main(["predict", run, str(tmp_path)]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1
    assert err.startswith(f"error: {tmp_path} holds no audio files")


def test_one_bad_file_prints_one_sentence_and_no_row(run, clips, capsys):
    """Exit code 2; what was classified before it is not printed."""
    assert cli.main(["predict", run, *clips, "/nowhere.wav"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: /nowhere.wav cannot be read")
    assert err.count("\n") == 1


def test_bad_files_are_skipped_where_it_is_asked(run, clips, tmp_path, capsys):
    """A row with its error, the others as ever, and exit code 1."""
    bad = tmp_path / "bad\x1b[2J.wav"
    bad.write_text("no audio")
    words = ["predict", run, str(bad), *clips, "--skip_bad"]
    assert cli.main([*words, "--csv"]) == 1
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert rows[0]["label"] == "" and "cannot be read" in rows[0]["error"]
    assert [row["error"] for row in rows[1:]] == ["", ""]
    assert all(float(row["sad"]) > 0 for row in rows[1:])
    assert cli.main([*words, "--json"]) == 1
    assert [*json.loads(capsys.readouterr().out)[0]] == ["file", "error"]
    assert cli.main(words) == 1
    out, err = capsys.readouterr()
    assert "\x1b" not in out and "cannot be read" in out.splitlines()[1]
    *warnings, last = err.splitlines()
    assert last.startswith("2 files")
    assert all("has no clear label" in warning for warning in warnings)
    assert cli.main(["predict", run, str(bad), "--skip_bad"]) == 1
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 2 and err == "no file could be read\n"


def test_the_command_starts_quickly():
    """As typed in a shell; torch is not imported to print the help."""
    script = "import sys; from ser_brain.cli import build_parser as p;"
    script += "p().print_help(); sys.exit('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True)
    assert done.returncode == 0
    assert b"doctor" in done.stdout and b"predict" in done.stdout


def test_no_run_and_no_command(capsys):
    """The sentence of a missing run; argparse's own for no command."""
    assert cli.main(["predict", "/none", "a.wav"]) == 2
    assert capsys.readouterr().err.startswith("error: /none is not a folder")
    with pytest.raises(SystemExit, match="2"):
        cli.main([])


@pytest.mark.parametrize(
    "argv, sentence",
    [
        (["baseline", "--corpus", "CREMA"], "'CREMA'"),
        (["baseline", "--corpus", "SAVEE"], "SAVEE_ROOT"),
        (
            ["baseline", "--corpus", "SAVEE", "--data_folder", "/none"],
            "/none",
        ),
    ],
)
def test_baseline_without_a_corpus(argv, sentence, capsys, monkeypatch):
    """The sentence names what to mend."""
    monkeypatch.delenv("SAVEE_ROOT", raising=False)
    assert cli.main(argv) == 2
    err = capsys.readouterr().err
    assert sentence in err and err.count("\n") == 1


@pytest.mark.parametrize(
    "words, sentence",
    [
        (["SAVE", "hparams/vft.yaml"], "There is no recipe 'SAVE'"),
        (["SAVEE", "hparams/vfd.yaml"], "has no script train_vfd.py"),
        (["SAVEE", "hparams/vft.yaml", "--folds", "DX"], "'DX', which is no"),
        (["SAVEE", "hparams/vft.yaml", "--fold", "DC"], "choose by --folds"),
        (["SAVEE", "hparams/vft.yaml", "--runs", "0"], "--runs is 0"),
        (["SAVEE", "hparams/vft.yaml", "--workers", "0"], "--workers is 0"),
        (["SAVEE", "hparams/vft.yaml", "--home", "s3://x"], "--engine ray"),
    ],
)
def test_a_bad_plan_is_one_sentence(
    words, sentence, capsys, monkeypatch, tmp_path
):
    """Told before anything runs, whatever is wrong."""
    monkeypatch.delenv("SAVEE_ROOT", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert cli.main(["run", *words]) == 2
    err = capsys.readouterr().err.splitlines()
    assert sentence in err[-1] and err[-1].startswith("error: ")
    assert not list(tmp_path.rglob("seed_*"))


def test_only_plans_take_settings_of_the_recipes(capsys):
    """Elsewhere an unknown word is a typing error."""
    with pytest.raises(SystemExit, match="2"):
        cli.main(["doctor", "--lr", "1"])
    assert "unrecognized arguments: --lr 1" in capsys.readouterr().err


def doctors_lines(capsys):
    """The doctor's exit code and its lines by their names."""
    code = cli.main(["doctor"])
    lines = capsys.readouterr().out.splitlines()
    found = {}
    for line, after in zip(lines, [*lines[1:], ""]):
        if line.startswith("  ok  ") or line.startswith("  gap "):
            found[line[6:30].strip()] = line + "\n" + after
    return code, found


def test_doctor_looks_at_everything(capsys, monkeypatch, tmp_path):
    """Each gap has an arrow below it; gaps of data stop nothing."""
    for name in ("IEMOCAP_ROOT", "SAVEE_ROOT", "WAV2VEC_LARGE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    code, found = doctors_lines(capsys)
    assert code == 0
    assert {"python", "torch", "speechbrain", "transformers"} <= set(found)
    assert found["torch with torchaudio"].startswith("  ok")
    for name in ("IEMOCAP", "SAVEE", "wav2vec_large.pt"):
        assert found[name].startswith("  gap")
    assert "SAVEE_ROOT" in found["SAVEE"]
    assert all(("-> " in t) == t.startswith("  gap") for t in found.values())


def test_doctor_tells_corpora_apart(capsys, monkeypatch, tmp_path):
    """A folder that is gone, a few clips, another corpus."""
    clip = tmp_path / "AudioData" / "DC" / "a01.wav"
    clip.parent.mkdir(parents=True)
    soundfile.write(clip, np.zeros(800), 16000)
    monkeypatch.setenv("SAVEE_ROOT", str(tmp_path))
    monkeypatch.setenv("IEMOCAP_ROOT", str(tmp_path))
    _, found = doctors_lines(capsys)
    assert "1 clip, incomplete: session DC: 1 anger of 15" in found["SAVEE"]
    assert "looks like SAVEE, not IEMOCAP" in found["IEMOCAP"]
    monkeypatch.setenv("IEMOCAP_ROOT", str(tmp_path / "gone"))
    _, found = doctors_lines(capsys)
    assert "is not a folder" in found["IEMOCAP"]


def test_doctor_finds_a_whole_savee(capsys, monkeypatch, shared_corpora):
    """The real corpus, by its labels."""
    monkeypatch.setenv("SAVEE_ROOT", str(shared_corpora / "savee"))
    _, found = doctors_lines(capsys)
    assert found["SAVEE"].startswith("  ok")
    assert "480 clips, complete" in found["SAVEE"]


def test_doctor_fails_where_nothing_can_run(capsys, monkeypatch):
    """A package that setup.py asks for and that is not there: exit code 1."""
    asked = ["torch>=2", "no-such-package-of-ours>=1", "numpy>=999"]
    monkeypatch.setattr(doctor.metadata, "requires", lambda name: asked)
    code, found = doctors_lines(capsys)
    assert code == 1
    assert "not installed" in found["no-such-package-of-ours"]
    assert ">=999 is needed" in found["numpy"]


@pytest.mark.parametrize("word", ["--dry-rn", "--dry_rum"])
def test_a_misspelt_option_is_no_setting(capsys, word):
    assert cli.main(["run", "SAVEE", "hparams/vft.yaml", word]) == 2
    said = capsys.readouterr().err
    assert f"{word} is neither an option nor a setting" in said
    assert "did you mean --dry_run?" in said


def test_a_misspelt_setting_is_no_option(capsys):
    assert cli.main(["run", "SAVEE", "hparams/vft.yaml", "--epoch", "3"]) == 2
    assert "did you mean --epochs?" in capsys.readouterr().err
