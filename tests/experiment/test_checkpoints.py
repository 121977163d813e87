"""A checkpoint that is not as it was written is never loaded."""

import shutil

import pytest
import torch

from ser_brain.experiment.checkpoints import WholeCheckpointer


@pytest.fixture
def layer():
    return torch.nn.Linear(2, 1)


@pytest.fixture
def checkpointer(layer, tmp_path):
    """With two checkpoints: of weights 1, then of weights 2."""
    checkpointer = WholeCheckpointer(tmp_path / "save", {"layer": layer})
    for number in (1.0, 2.0):
        torch.nn.init.constant_(layer.weight, number)
        checkpointer.save_checkpoint(meta={"number": number})
    torch.nn.init.zeros_(layer.weight)
    return checkpointer


def cut(path):
    path.write_bytes(path.read_bytes()[:-1])


def zeros(path):
    """What a power cut leaves of blocks that were not on the disk yet."""
    path.write_bytes(bytes(path.stat().st_size))


def gone(path):
    path.unlink()


def test_the_newest_is_loaded(checkpointer, layer):
    assert checkpointer.recover_if_possible().meta["number"] == 2
    assert (layer.weight == 2).all()


@pytest.mark.parametrize("spoil", [cut, zeros, gone])
@pytest.mark.parametrize("name", ["layer.ckpt", "files.json", "CKPT.yaml"])
def test_a_torn_one_is_passed_over(checkpointer, layer, spoil, name, caplog):
    path = checkpointer.find_checkpoint().path
    spoil(path / name)
    assert checkpointer.recover_if_possible().meta["number"] == 1
    assert (layer.weight == 1).all()
    if (name, spoil) != ("CKPT.yaml", gone):
        assert not path.exists()
        assert f"in the checkpoint {path}: it is not used." in caplog.text


def test_without_a_whole_one_nothing_is_loaded(checkpointer, layer):
    for folder in checkpointer.checkpoints_dir.iterdir():
        cut(folder / "layer.ckpt")
    assert checkpointer.recover_if_possible() is None
    assert (layer.weight == 0).all()


def test_a_folder_without_its_last_name_is_none(checkpointer):
    newest = checkpointer.find_checkpoint().path
    shutil.move(newest, newest.with_name("partial+" + newest.name))
    assert checkpointer.recover_if_possible().meta["number"] == 1
    checkpointer.save_checkpoint(meta={"number": 3})
    assert not list(checkpointer.checkpoints_dir.glob("partial*"))
