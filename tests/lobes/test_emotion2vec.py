"""emotion2vec: equal to FunASR, read from its published files alone."""

import json
import pickle

import emotion2vec_reference as reference
import pytest
import torch

from ser_brain.lobes import encoder_dim, encoder_layers, load_encoder
from ser_brain.lobes.emotion2vec import Emotion2Vec
from ser_brain.lobes.emotion2vec.model import alibi_slopes

AUDIO = reference.AUDIO


def written(path, state, **beside):
    """A checkpoint file as the authors publish it."""
    torch.save({"model": state, **beside}, path)
    return path


@pytest.fixture
def published(tmp_path):
    """The file of a tiny model, with what else such a file holds."""
    state = reference.tiny_state()
    state[f"{AUDIO}decoder.blocks.0.0.weight"] = torch.ones(2)
    state["_ema"] = torch.ones(1)
    return written(tmp_path / "base.pt", state, cfg={"task": {"a": 1}})


@torch.no_grad()
def test_equals_funasr(published):
    encoder = load_encoder(published).eval()
    assert type(encoder) is Emotion2Vec
    expected = json.loads(reference.GOLDEN.read_text())
    expected = torch.tensor(expected, dtype=torch.double)
    # Random gains enlarge the rounding of single precision.
    single = encoder(reference.clip())[0].double()
    torch.testing.assert_close(single, expected, atol=1e-4, rtol=0)
    double = encoder.double()(reference.clip().double())[0]
    torch.testing.assert_close(double, expected, atol=2e-6, rtol=0)


@torch.no_grad()
def test_layers_are_the_context_encoder_s_and_the_blocks(published):
    encoder = load_encoder(published).eval()
    layers = encoder.layers(reference.clip())
    assert encoder.n_layers == len(layers) == 1 + 2 + 1
    assert torch.equal(layers[-1], encoder(reference.clip()))
    assert encoder_dim(published) == encoder.dim == reference.DIM
    assert encoder_layers(published) == len(encoder.layer_stack)


@torch.no_grad()
@pytest.mark.parametrize("prefix", ["d2v_model.", "w2v_encoder.w2v_model."])
def test_models_with_classes_are_read_without_them(tmp_path, prefix):
    plain = reference.tiny_state()
    state = {f"{prefix}{name}": value for name, value in plain.items()}
    state["proj.weight"] = torch.ones(9, reference.DIM)
    state["proj.bias"] = torch.ones(9)
    one = load_encoder(written(tmp_path / "plus.pt", state)).eval()
    other = load_encoder(written(tmp_path / "plain.pt", plain)).eval()
    assert torch.equal(one(reference.clip()), other(reference.clip()))


@torch.no_grad()
def test_its_folder_is_the_same_model(published, tmp_path):
    encoder = load_encoder(published).eval()
    encoder.save_pretrained(tmp_path / "folder")
    again = load_encoder(tmp_path / "folder").eval()
    assert torch.equal(again(reference.clip()), encoder(reference.clip()))
    assert encoder_dim(tmp_path / "folder") == reference.DIM


def test_tokens_and_distances_learn(published):
    encoder = load_encoder(published).eval()
    encoder(reference.clip()).square().sum().backward()
    for name in ("extra_tokens", "alibi_scale"):
        weight = getattr(encoder.model.encoder, name)
        assert weight.grad.abs().sum() > 0, name


def test_slopes_between_powers_of_two():
    assert alibi_slopes(8) == [2.0**-i for i in range(1, 9)]
    assert alibi_slopes(12) == alibi_slopes(8) + alibi_slopes(16)[::2][:4]


class Runs:
    """Runs code when it is unpickled."""

    def __reduce__(self):
        return (print, ("code ran",))


@pytest.mark.parametrize(
    "break_it, sentence",
    [
        (lambda state: state.clear(), "no emotion2vec .*extra_tokens"),
        (lambda state: state.pop("blocks.0.mlp.fc1.weight"), "no emotion2vec"),
        (lambda state: state.pop("blocks.0.norm1.bias"), "Missing key"),
        (
            lambda state: state.update({"norm.weight": torch.ones(24)}),
            "another kind of emotion2vec .*Unexpected key",
        ),
        (
            lambda state: state.update(
                {f"{AUDIO}extra_tokens": torch.ones(1, 1, 600000)}
            ),
            "another kind of emotion2vec .*size mismatch",
        ),
        (
            lambda state: state.update(
                {f"{AUDIO}alibi_scale": torch.ones(3, 1, 6, 1, 1)}
            ),
            "alibi_scale has shape .3, 1, 6, 1, 1., not one number per head",
        ),
        (
            lambda state: state.update({f"{AUDIO}extra_tokens": torch.ones(3)}),
            "no emotion2vec",
        ),
    ],
)
def test_other_weights_are_refused(tmp_path, break_it, sentence):
    state = reference.tiny_state()
    break_it(state)
    path = written(tmp_path / "other.pt", state)
    with pytest.raises(ValueError, match=f"^{path} holds .*{sentence}"):
        load_encoder(path)


@pytest.mark.parametrize(
    "content", [b"", b"no checkpoint", pickle.dumps({"model": Runs()})]
)
def test_no_code_of_a_file_runs(tmp_path, capsys, content):
    path = tmp_path / "hostile.pt"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="damaged|asks for code to be run"):
        load_encoder(path)
    torch.save({"model": Runs()}, path)
    with pytest.raises(ValueError, match="asks for code to be run"):
        load_encoder(path)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("content", [[], {"model": 3}, {"model": {1: 2}}])
def test_files_of_something_else_are_refused(tmp_path, content):
    path = tmp_path / "list.pt"
    torch.save(content, path)
    with pytest.raises(ValueError, match="holds no emotion2vec"):
        load_encoder(path)
