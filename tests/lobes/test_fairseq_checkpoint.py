"""Checkpoints in fairseq's format, honest, foreign, damaged and hostile."""

import argparse
import io
import os
import pickle
import sys
import types

import fairseq_reference as reference
import pytest
import torch
from hypothesis import (
    given,
    settings,
    strategies as st,
)

from ser_brain.lobes.fairseq_checkpoint import (
    METERS,
    parse_layers,
    read_fairseq_checkpoint,
)


def _checkpoint(path, **changes):
    options = {**reference.options_of("large"), **changes}
    weights = reference.random_weights(reference.options_of("large"))
    return reference.write_checkpoint(path, options, weights)


@pytest.mark.parametrize("new_style", [False, True])
def test_reads_options_and_weights(tmp_path, new_style):
    options = reference.options_of("large")
    weights = reference.random_weights(options)
    path = reference.write_checkpoint(
        tmp_path / "w.pt", options, weights, new_style
    )

    found, state = read_fairseq_checkpoint(path)

    for key in ("conv_feature_layers", "conv_aggregator_layers"):
        assert found.pop(key) == eval(options.pop(key))
    assert options.items() <= found.items()
    assert state.keys() == weights.keys()
    assert all(torch.equal(state[name], weights[name]) for name in weights)


def test_reads_the_legacy_file_layout(tmp_path):
    path = tmp_path / "legacy.pt"
    checkpoint = torch.load(_checkpoint(tmp_path / "w.pt"), weights_only=False)
    torch.save(checkpoint, path, _use_new_zipfile_serialization=False)
    assert read_fairseq_checkpoint(path)[0]["arch"] == "wav2vec"


def _foreign_class(monkeypatch, name):
    """A class that can be pickled under a name that is not installed."""
    *parents, class_name = name.split(".")
    for depth in range(1, len(parents) + 1):
        module = types.ModuleType(".".join(parents[:depth]))
        monkeypatch.setitem(sys.modules, module.__name__, module)
    kind = type(class_name, (), {"__module__": module.__name__})
    setattr(module, class_name, kind)
    return kind


@pytest.mark.parametrize("name", METERS)
def test_meters_of_old_releases_do_no_harm(tmp_path, monkeypatch, name):
    meter = _foreign_class(monkeypatch, name)
    running = meter()
    running.sum, running.count = 3.5, 2
    options = reference.options_of("large")
    weights = reference.random_weights(options)
    path = tmp_path / "w.pt"
    reference.write_checkpoint(
        path, options, weights, train_meters={"loss": running}
    )
    monkeypatch.undo()

    assert len(read_fairseq_checkpoint(path)[1]) == len(weights)


class _Payload:
    """What a hostile pickle does: runs a command when it is opened."""

    def __init__(self, command):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


@pytest.mark.parametrize("where", ["extra_state", "args", "model", "whole"])
@pytest.mark.parametrize("zipped", [True, False])
def test_hostile_pickle_is_refused_and_never_runs(tmp_path, where, zipped):
    victim = tmp_path / "victim"
    payload = _Payload(f"touch {victim}")
    path = tmp_path / "w.pt"
    checkpoint = torch.load(_checkpoint(path), weights_only=False)
    checkpoint[where] = payload
    if where == "whole":
        checkpoint = payload
    torch.save(checkpoint, path, _use_new_zipfile_serialization=zipped)

    with pytest.raises(ValueError, match="w.pt asks for code to be run"):
        read_fairseq_checkpoint(path)
    assert not victim.exists()
    # The payload is real: an unguarded reader does run it.
    torch.load(path, weights_only=False)
    assert victim.exists()


def test_a_size_that_no_tensor_has():
    with pytest.raises(ValueError, match="not a list of 1 to"):
        parse_layers([(4, 10, 10**30)])


def test_stand_ins_are_not_callable_gates(tmp_path):
    # The allow-list holds for this one read and is gone afterwards.
    read_fairseq_checkpoint(_checkpoint(tmp_path / "w.pt"))
    assert argparse.Namespace not in torch.serialization.get_safe_globals()


def test_omegaconf_is_refused_with_the_mend(tmp_path, monkeypatch):
    kind = _foreign_class(monkeypatch, "omegaconf.dictconfig.DictConfig")
    path = tmp_path / "w.pt"
    torch.save({"args": None, "cfg": kind(), "model": {}}, path)
    with pytest.raises(ValueError, match="OmegaConf.to_container"):
        read_fairseq_checkpoint(path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"arch": "wav2vec2"}, "model 'wav2vec2', but wav2vec 1.0"),
        ({"vq_type": "gumbel"}, "vq-wav2vec .vq_type 'gumbel'"),
        ({"conv_feature_layers": "[(1, 2)]"}, "option conv_feature_layers"),
    ],
)
def test_another_kind_is_named(tmp_path, changes, message):
    path = _checkpoint(tmp_path / "other.pt", **changes)
    with pytest.raises(ValueError, match=f"other.pt.*{message}"):
        read_fairseq_checkpoint(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([1, 2], "is not a fairseq checkpoint"),
        ({"weight": torch.ones(1)}, "is not a fairseq checkpoint"),
        ({"model": {"a": torch.ones(1)}}, "does not say how"),
        (
            {
                "model": {"encoder.w": torch.ones(1)},
                "args": {"arch": "roberta"},
            },
            "model 'roberta'",
        ),
    ],
)
def test_foreign_files_are_named(tmp_path, content, message):
    path = tmp_path / "foreign.pt"
    torch.save(content, path)
    with pytest.raises(ValueError, match=f"foreign.pt.*{message}"):
        read_fairseq_checkpoint(path)


def test_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="no checkpoint .*nope.pt"):
        read_fairseq_checkpoint(tmp_path / "nope.pt")


@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_damaged_files_are_one_sentence(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("damaged") / "w.pt"
    buffer = io.BytesIO()
    zipped = data.draw(st.booleans())
    torch.save(
        {"model": {"a": torch.ones(3)}, "args": argparse.Namespace(b=1)},
        buffer,
        _use_new_zipfile_serialization=zipped,
    )
    content = bytearray(buffer.getvalue())
    # A share: the length of a legacy file depends on where its tensors lie.
    kept = round(data.draw(st.floats(0, 1)) * len(content))
    at = data.draw(st.integers(0, 200))
    noise = data.draw(st.binary(max_size=20))
    content[at : at + len(noise)] = noise
    path.write_bytes(bytes(content[:kept]))
    # Whatever it is, it is no wav2vec: always the same type of error.
    with pytest.raises(ValueError, match="w.pt"):
        read_fairseq_checkpoint(path)


def test_plain_pickle_is_refused(tmp_path):
    path = tmp_path / "w.pt"
    path.write_bytes(pickle.dumps(_Payload(f"touch {tmp_path / 'victim'}")))
    with pytest.raises(ValueError, match="w.pt"):
        read_fairseq_checkpoint(path)
    assert not (tmp_path / "victim").exists()


@pytest.mark.parametrize(
    "text",
    [
        "[(512, 10, 5), (512, 8, 4)]",
        "[(512, 10, 5)] + [(512, 8, 4)] + [(512, 4, 2)] * 3",
        " 2 * [(4, 1, 1)] + [(4, 2, 1)]",
        "([(4, 1, 1)] + [(4, 2, 1)]) * 2",
    ],
)
def test_layer_notation_means_what_python_means(text):
    assert parse_layers(text) == eval(text.strip())
    assert parse_layers(eval(text.strip())) == eval(text.strip())


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('false')",
        "[(512, 10, 5)] * 10 ** 9",
        "[(512, 10, 5)] * 999999999",
        "[(1, 1, 1)] + 3",
        "[(1, 1, 1)] - [(1, 1, 1)]",
        "[(512, 10, 5.0)]",
        "[(True, 10, 5)]",
        "[(512, 0, 5)]",
        "[(512, 10)]",
        "[x for x in [(1, 1, 1)]]",
        "[]",
        "[(1, 1, 1)",
        "(" * 5000,
        "",
        None,
        3,
        [(1, 1)],
    ],
)
def test_anything_else_is_refused(text):
    with pytest.raises(ValueError, match="convolution layers"):
        parse_layers(text)
