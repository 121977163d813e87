"""``ser-brain verify``: a damaged model is told, a whole one too."""

import pytest
import torch

from ser_brain import cli
from ser_brain.inference import save_classifier
from ser_brain.lobes.wav2vec2 import Wav2Vec2
from ser_brain.nnet.heads import UtteranceHead


@pytest.fixture
def save(tmp_path, tiny_wav2vec2):
    """``save(value)``: a model, one of its weights set to a value."""

    def save(value=0.5):
        head = UtteranceHead(32, 2)
        with torch.no_grad():
            next(head.parameters()).view(-1)[0] = value
        folder = tmp_path / "model" / "save" / "classifier"
        save_classifier(folder, Wav2Vec2(tiny_wav2vec2), head, ["a", "b"])
        return tmp_path / "model"

    return save


def test_a_whole_model(save, capsys):
    model = save()
    assert cli.main(["verify", str(model)]) == 0
    out = capsys.readouterr().out
    assert f"{model} is whole: " in out and "2 classes (a, b)" in out


def test_bytes_changed_in_the_weights(save, capsys):
    model = save()
    path = model / "save" / "classifier" / "encoder" / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[-400:] = b"\xff" * 400
    path.write_bytes(data)
    capsys.readouterr()
    assert cli.main(["verify", str(model)]) == 2
    err = capsys.readouterr().err
    assert "encoder/model.safetensors was changed" in err
    assert len(err.splitlines()) == 1


def test_weights_that_a_training_left_behind(save, capsys):
    assert cli.main(["verify", str(save(float("nan")))]) == 2
    assert "are not finite" in capsys.readouterr().err


def test_no_model(tmp_path, capsys):
    assert cli.main(["verify", str(tmp_path)]) == 2
    assert "is not a run folder" in capsys.readouterr().err
