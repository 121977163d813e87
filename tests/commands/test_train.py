"""``ser-brain train``: from a table to a model, a score and a page."""

import csv
import json
import shutil

import pytest
from recipe_runs import AUDIO, pick_clips, write_table

from ser_brain import cli
from ser_brain.inference import EmotionRecognizer

CLASSES = ["angry", "happy", "neutral", "sad"]
FILE = str(AUDIO / "04_sad_21.flac")


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """One thread, and no hub."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


@pytest.fixture
def train(tmp_path, capsys):
    """``train(rows, *words)``: exit code, stdout, stderr of a small training.

    Rows are of a table; without them the last one is taken again.
    """

    def train(rows, *words, output="model", name="few"):
        table = tmp_path / f"{name}.csv"
        if rows is not None:
            write_table(table, rows)
        argv = ["train", str(table), "--output", str(tmp_path / output)]
        argv += ["--scale", "nano", "--head_epochs", "2", *words]
        code = cli.main(argv)
        return code, *capsys.readouterr()

    return train


@pytest.fixture
def scores(tmp_path):
    """What cross_validation.json holds."""

    def scores(output="model"):
        path = tmp_path / output / "cross_validation.json"
        return json.loads(path.read_text(encoding="utf-8"))

    return scores


def refusal(got):
    """The one sentence of a command that was refused."""
    code, out, err = got
    assert (code, out) == (2, "")
    [sentence] = [x for x in err.splitlines() if x.startswith("error: ")]
    return sentence


def warnings_of(got):
    """The sentences on stderr."""
    return [
        line.removeprefix("warning: ")
        for line in got[2].splitlines()
        if line.startswith("warning: ")
    ]


def test_a_table_becomes_a_model(train, scores, tmp_path, capsys):
    """Score, page and model; told again, and not mixed with another."""
    got = train(pick_clips())
    code, out, err = got
    assert code == 0, err
    found = scores()
    assert (found["clips"], found["speakers"]) == (24, 3)
    assert (found["chance"], found["folds_by"]) == (0.25, "speakers")
    folds = found["folds"]
    assert {name: fold["n"] for name, fold in folds.items()} == dict.fromkeys(
        ("01", "02", "03"), 8
    )
    for score in ("UA", "baseline_UA"):
        mean = sum(fold[score] for fold in folds.values()) / 3
        assert found[score] == pytest.approx(mean)
    for over in ("clips", "speakers"):
        low, high = found["intervals"][over]["UA"]
        assert 0 <= low <= found["UA"] <= high <= 1
    assert list(found["recall"]) == CLASSES
    assert warnings_of(got) == found["warnings"]
    assert "'angry' has 6" in found["warnings"][0]
    # Nothing of SpeechBrain's is said.
    assert len(err.splitlines()) == 1
    assert f"UA {100 * found['UA']:23.1f}" in out and "baseline" in out

    model = tmp_path / "model"
    assert f"ser-brain predict {model} a.wav" in out
    page = (model / "report.html").read_text(encoding="utf-8")
    assert "log-mel" in page and found["warnings"][0][:30] in page
    recognizer = EmotionRecognizer.from_run(model)
    assert recognizer.classes == CLASSES
    assert cli.main(["predict", str(model), FILE, "--csv"]) == 0
    assert FILE in capsys.readouterr().out
    # One encoder is kept, not one for each fold.
    assert len(list(model.rglob("model.safetensors"))) == 1

    written = (model / "cross_validation.json").stat().st_mtime_ns
    assert train(None) == got
    assert (model / "cross_validation.json").stat().st_mtime_ns == written
    other = refusal(train(None, "--seed", "2"))
    assert f"{model} holds a model that was trained with other set" in other
    other = refusal(train(pick_clips()[:-1]))
    assert "from another table" in other


def test_a_killed_training_goes_on(train, tmp_path, monkeypatch):
    """What is finished is kept, the rest is done."""
    from ser_brain.experiment import cross_validation

    real = cross_validation.train_head
    done = []

    def killed(experiment, *step):
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(experiment.fold.name)
        return real(experiment, *step)

    monkeypatch.setattr(cross_validation, "train_head", killed)
    code, _, err = train(pick_clips())
    assert code == 130 and "run the same command to continue" in err
    records = sorted((tmp_path / "model").rglob("done.json"))
    before = [record.read_bytes() for record in records]
    assert len(before) == 2
    monkeypatch.setattr(cross_validation, "train_head", real)
    assert train(None)[0] == 0
    assert [record.read_bytes() for record in records] == before
    assert len(list((tmp_path / "model").rglob("done.json"))) == 4


def many_speakers():
    """Two clips of two emotions of each of eleven pretended speakers."""
    return [
        (str(path), emotion, f"s{number % 11}")
        for emotion in ("angry", "sad")
        for number, path in enumerate(
            sorted(AUDIO.glob(f"*_{emotion}_*.flac"))[:22]
        )
    ]


def test_many_speakers_are_left_out_in_groups(train, scores, tmp_path):
    """Eleven speakers make five folds; no speaker is in two."""
    got = train(many_speakers())
    assert got[0] == 0, got[2]
    found = scores()
    assert (found["folds_by"], len(found["folds"])) == ("groups", 5)
    assert sum(fold["n"] for fold in found["folds"].values()) == 44
    copy = json.loads((tmp_path / "model/table/few.json").read_text())
    fold_of = {(one["speaker"], one["fold"]) for one in copy.values()}
    assert len(fold_of) == len({speaker for speaker, _ in fold_of}) == 11
    assert "each group of speakers" in got[1]


def test_a_single_speaker_is_warned_of(train, scores, tmp_path):
    """Clips are divided; no interval over speakers is made up."""
    rows = [
        (str(path), emotion, "anna")
        for emotion in ("angry", "sad")
        for path in sorted(AUDIO.glob(f"01_{emotion}_*.flac"))[:5]
    ]
    got = train(rows)
    assert got[0] == 0, got[2]
    found = scores()
    assert "says nothing about new speakers" in warnings_of(got)[0]
    assert (found["speakers"], found["folds_by"]) == (1, "clips")
    assert {fold["n"] for fold in found["folds"].values()} == {2}
    assert found["intervals"]["speakers"] is None
    page = (tmp_path / "model" / "report.html").read_text(encoding="utf-8")
    assert "10 clips of 1 speaker, 2 classes" in page
    assert "All clips are of one speaker, anna" in page


def test_doubtful_tables_are_told_of(train, scores, tmp_path):
    """A class of one voice, names that look alike, a clip twice."""
    copy = tmp_path / "again.flac"
    rows = pick_clips()
    shutil.copy(rows[0][0], copy)
    rows = [
        (path, "An gry" if (emotion, speaker) == ("angry", "01") else emotion,
         speaker)
        for path, emotion, speaker in rows
    ]  # fmt: skip
    rows += [(FILE, "bored", "04"), (str(copy), "sad", "04")]
    got = train(rows)
    assert got[0] == 0, got[2]
    told = warnings_of(got)
    assert told == scores()["warnings"]
    assert any("'An gry' and 'angry' differ only in case" in x for x in told)
    assert any("'bored' is spoken by 04 only" in x for x in told)
    assert any("01_angry" in x and "fold 04" in x for x in told)
    assert scores()["classes_left_out"] == ["An gry", "bored"]
    # The model knows them all the same.
    model = EmotionRecognizer.from_run(tmp_path / "model")
    assert {"An gry", "bored"} <= set(model.classes)


def test_classes_are_joined_and_folds_are_the_table_s(train, scores, tmp_path):
    """--classes, a fold column, and names that are no plain words."""
    rows = [("path", "emotion", "speaker", "fold")]
    for row in pick_clips():
        rows.append((*row, "all" if row[-1] == "01" else "a=b: #"))
    with (tmp_path / "few.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows(rows)
    choice = "{loud: [angry, happy], low: [sad]}"
    got = train(None, "--classes", choice)
    assert got[0] == 0, got[2]
    found = scores()
    assert list(found["recall"]) == ["loud", "low"]
    assert {name: fold["n"] for name, fold in found["folds"].items()} == {
        "a=b: #": 12, "all_": 6
    }  # fmt: skip


def test_bad_input_is_one_sentence(train, tmp_path, capsys):
    """Exit code 2, and no model's folder where there was none."""
    rows = pick_clips()
    angry = [row for row in rows if row[1] == "angry"]
    assert "at least two emotions" in refusal(train(angry))
    pairs = (("angry", "01"), ("sad", "02"))
    apart = [row for row in rows if row[1:] in pairs]
    assert "in one fold only" in refusal(train(apart))
    lost = [*rows, ("nowhere.wav", "sad", "01")]
    assert "nowhere.wav, which does not exist" in refusal(train(lost))
    assert "did you mean --head_lr?" in refusal(train(rows, "--head_ir", "1"))
    assert "--fold is given" in refusal(train(rows, "--fold", "01"))
    words = ["train", str(tmp_path / "few.csv"), "b.csv", "--output", "x"]
    assert cli.main(words) == 2
    assert "'b.csv' is not a setting" in capsys.readouterr().err
    assert not (tmp_path / "model").exists()

    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").touch()
    assert "holds thesis.tex" in refusal(train(rows, output="mine"))
    assert "few.csv cannot be made (File exists)" in refusal(
        train(rows, output="few.csv")
    )


def test_the_baseline_of_a_table(tmp_path, capsys):
    """On the folds that train makes of it."""
    table = tmp_path / "few.csv"
    write_table(table, pick_clips())
    assert cli.main(["baseline", "--manifest", str(table)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("few, log-mel")
    assert [line.split()[:2] for line in lines[1:4]] == [
        ["fold", "01"], ["fold", "02"], ["fold", "03"]
    ]  # fmt: skip
    assert lines[-1].split() == ["chance", "25.0"]
    words = ["baseline", "--manifest", str(table), "--data_folder", "x"]
    assert cli.main(words) == 2
