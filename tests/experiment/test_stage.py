"""A stage counts as done only while all that it wrote is whole."""

import json

import pytest

from ser_brain.experiment.stage import Stage, forget
from ser_brain.files import write_atomically


class Work:
    """Writes a stage's files and counts how often it was asked to."""

    def __init__(self, folder):
        self.folder = folder
        self.times = 0

    def __call__(self):
        self.times += 1
        write_atomically(self.folder / "encoder" / "model.bin", b"weights")
        write_atomically(self.folder / "posteriors.json", '{"a": [1.0]}')
        write_atomically(self.folder / "checkpoints" / "CKPT" / "a", "state")
        return {"clips": 3}


@pytest.fixture
def stage(tmp_path):
    return Stage("classifier", tmp_path / "save" / "classifier", "key")


@pytest.fixture
def work(stage):
    work = Work(stage.folder)
    stage.run(work)
    return work


def cut(path):
    path.write_bytes(path.read_bytes()[:5])


def change(path):
    """One byte, the length as it was."""
    path.write_bytes(b"X" + path.read_bytes()[1:])


@pytest.mark.parametrize("spoil", [cut, change, lambda path: path.unlink()])
@pytest.mark.parametrize(
    "name", ["done.json", "posteriors.json", "encoder/model.bin"]
)
def test_a_stage_with_a_spoilt_file_is_done_again(stage, work, spoil, name):
    spoil(stage.folder / name)
    assert stage.done is None
    assert stage.run(work)["clips"] == 3
    assert work.times == 2
    assert stage.done["clips"] == 3


@pytest.mark.parametrize("text", ["[]", "3", '{"key": "key"}', "\\", "{"])
def test_a_record_of_another_form_is_no_record(stage, work, text):
    (stage.folder / "done.json").write_text(text)
    (stage.folder / "unfinished.json").write_text(text)
    stage.run(work)
    assert work.times == 2


def test_whole_files_are_kept(stage, work, caplog):
    caplog.set_level("INFO")
    (stage.folder / "notes.txt").write_text("of the user")
    stage.run(work)
    assert work.times == 1
    assert "classifier: finished before, kept." in caplog.messages
    assert not stage.checkpoints.exists()
    files = json.loads((stage.folder / "done.json").read_text())["files"]
    assert list(files) == ["encoder/model.bin", "posteriors.json"]


def test_what_is_missing_is_told(stage, work, caplog):
    (stage.folder / "posteriors.json").unlink()
    stage.run(work)
    assert "posteriors.json is missing in" in caplog.text


def test_what_a_kill_left_of_a_finished_stage_is_removed(stage, work):
    """Killed after done.json was written, and before the rest was removed."""
    write_atomically(stage.folder / "unfinished.json", '{"key": "key"}')
    write_atomically(stage.checkpoints / "CKPT" / "a", "state")
    stage.run(work)
    assert work.times == 1
    assert not stage.unfinished
    assert not stage.checkpoints.exists()


def test_what_a_kill_left_of_a_result_is_removed(stage, work):
    (stage.folder / "done.json").unlink()
    write_atomically(stage.folder / "unfinished.json", '{"key": "key"}')
    write_atomically(stage.folder / "encoder" / "model.bin.partial", "we")
    write_atomically(stage.checkpoints / "CKPT" / "a", "state")
    assert stage.run(work)["resumed"]
    files = json.loads((stage.folder / "done.json").read_text())["files"]
    assert list(files) == ["encoder/model.bin", "posteriors.json"]


def test_files_that_nobody_needs_can_go(stage, work):
    forget(stage.folder, ("encoder", "no-such-file"))
    assert not (stage.folder / "encoder").exists()
    stage.run(work)
    assert work.times == 1
