"""A stranger's checkpoint: nothing in it is run, and one sentence tells why."""

import json
import pickle
import shutil
from pathlib import Path

import pytest
import torch

from ser_brain.lobes import encoder_dim, load_encoder


class Bomb:
    """Leaves a file behind where it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (Path(self.path),)


@pytest.fixture
def folder(tmp_path, tiny_wav2vec2):
    """A checkpoint without its weights."""
    shutil.copy(tiny_wav2vec2 / "config.json", tmp_path)
    return tmp_path


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_with_code_is_refused_and_not_run(folder, zipped):
    exploded = folder / "exploded"
    path = folder / "pytorch_model.bin"
    if zipped:
        torch.save({"a": Bomb(exploded)}, path)
    else:
        path.write_bytes(pickle.dumps(Bomb(exploded)))
    with pytest.raises(ValueError) as refused:
        load_encoder(folder)
    assert not exploded.exists()
    said = str(refused.value)
    assert f"the weights of {folder} (pytorch_model.bin) hold" in said
    assert "give the model as model.safetensors" in said
    assert "weights_only" not in said and "\n" not in said


@pytest.mark.parametrize("content", [b"", b"junk", bytes(range(99))])
def test_weights_that_are_no_pickle(folder, content):
    (folder / "pytorch_model.bin").write_bytes(content)
    with pytest.raises(ValueError, match="give the model as model.safet"):
        load_encoder(folder)


@pytest.mark.parametrize("read", [load_encoder, encoder_dim])
@pytest.mark.parametrize(
    "config, said",
    [
        ("[" * 10**5, "readable config.json"),
        ("{", "readable config.json"),
        ({"hidden_size": "many"}, "a value of the wrong kind"),
    ],
)
def test_a_config_of_another_form(folder, config, said, read):
    path = folder / "config.json"
    if isinstance(config, dict):
        config = json.dumps(json.loads(path.read_text()) | config)
    path.write_text(config)
    with pytest.raises((ValueError, OSError), match=said) as refused:
        read(folder)
    assert str(folder) in str(refused.value)


def test_an_empty_folder(tmp_path):
    with pytest.raises(OSError, match="neither a local folder with a readabl"):
        load_encoder(tmp_path)
