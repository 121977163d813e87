"""Exported files, compared with the recognizer that they came from."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import soundfile
import torch
from torch.nn.utils.rnn import pad_sequence

from ser_brain.assets import folder
from ser_brain.cli import main
from ser_brain.dataio.audio import played
from ser_brain.errors import InputError
from ser_brain.inference import EmotionRecognizer, save_classifier
from ser_brain.lobes import load_encoder
from ser_brain.nnet.heads import UtteranceHead
from ser_brain.nnet.layer_heads import layer_head
from ser_brain.nnet.pooling import (
    AttentivePooling,
    AveragePooling,
    LSTMPooling,
    StatisticsPooling,
)

onnxruntime = pytest.importorskip("onnxruntime")

from ser_brain.serving.export import export_onnx, longest_samples  # noqa: E402
from ser_brain.serving.graph import Player  # noqa: E402
from ser_brain.serving.runtime import OnnxRecognizer, onnx_file  # noqa: E402

CLASSES = ["angry", "happy", "sad"]
EXAMPLE = Path(__file__).parents[2] / "examples" / "onnx_predict.py"


@pytest.fixture(scope="module")
def clips():
    """Paths and waveforms of four clips of the mini corpus."""
    found = sorted(Path(folder("mini_corpus"), "audio").glob("0[1-4]_*_1*"))
    found = found[:8:2]
    signals = [soundfile.read(path, dtype="float32")[0] for path in found]
    return found, [torch.from_numpy(signal) for signal in signals]


def lively(module):
    """Weights that spread the posteriors, statistics other than 0 and 1."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, value in [
            *module.named_parameters(),
            *module.named_buffers(),
        ]:
            noise = torch.randn(value.shape, generator=generator)
            value.copy_(1 + noise.abs() if "scale" in name else noise / 2)
    return module


def utterance(pooling, **options):
    """A head over the last layer, of 32 features."""
    return lambda layers: UtteranceHead(32, 3, pooling(), **options)


def fused(fusion):
    """A head over all layers."""
    return lambda layers: layer_head(fusion, 32, layers, 3)


CASES = {
    "average": ("wav2vec2", {}, utterance(AveragePooling), (1.0,)),
    "statistics": (
        "wav2vec2",
        {"feat_extract_norm": "layer", "do_stable_layer_norm": True},
        utterance(
            StatisticsPooling,
            relu_pooled=False,
            standardize=True,
            drop_last_frame=True,
        ),
        (1.0,),
    ),
    "attentive": (
        "hubert",
        {"conv_pos_batch_norm": True},
        utterance(lambda: AttentivePooling(32, 8), hidden=8, relu_frames=True),
        (1.0,),
    ),
    "lstm": ("wavlm", {}, utterance(lambda: LSTMPooling(32, 4)), (1.0,)),
    "data2vec": ("data2vec-audio", {}, fused("frames"), (1.0,)),
    "emotion2vec": ("emotion2vec", {}, utterance(AveragePooling), (1.0,)),
    "unispeech": ("unispeech-sat", {}, utterance(AveragePooling), (1.0,)),
    "layers and speeds": ("wav2vec2", {}, fused("posteriors"), (0.9, 1.0, 1.1)),
    "whisper": (
        "whisper",
        {"max_source_positions": 250},
        fused("posteriors"),
        (0.95, 1.05),
    ),
}


def build(make_encoder, name):
    """A recognizer of a kind that a run can yield."""
    kind, options, make_head, speeds = CASES[name]
    encoder = load_encoder(make_encoder(kind, **options))
    head = lively(make_head(len(encoder.layer_stack) + 1))
    return EmotionRecognizer(encoder, head, CLASSES, speeds)


@pytest.mark.parametrize("name", CASES)
def test_posteriors_are_those_of_torch(make_encoder, clips, tmp_path, name):
    """Of real clips, in a padded batch and alone."""
    recognizer = build(make_encoder, name)
    path = tmp_path / "model.onnx"
    assert export_onnx(recognizer, path) < 1e-4
    exported, wavs = OnnxRecognizer(path), clips[1]
    lengths = torch.tensor([len(wav) for wav in wavs])
    batch = pad_sequence(wavs, batch_first=True), lengths / lengths.max()
    expected, found = (r.classify_batch(*batch) for r in (recognizer, exported))
    torch.testing.assert_close(found[0], expected[0], atol=1e-4, rtol=0)
    assert found[3] == expected[3]
    # Far closer than the clips are to each other.
    spread = (expected[0].amax(0) - expected[0].amin(0)).max()
    assert (found[0] - expected[0]).abs().max() < spread / 50
    alone = exported.classify_batch(wavs[1])[0][0]
    torch.testing.assert_close(alone, expected[0][1], atol=1e-4, rtol=0)


@pytest.fixture(scope="module")
def run(make_encoder, tmp_path_factory):
    """A run folder with an exported file in it."""
    recognizer = build(make_encoder, "average")
    folder = tmp_path_factory.mktemp("run")
    parts = recognizer.encoder, recognizer.head
    save_classifier(folder / "save" / "classifier", *parts, CLASSES, fold="JE")
    assert main(["export", str(folder)]) == 0
    return folder


def test_the_file_says_what_it_is(run):
    """Classes, rate, and where it came from."""
    session = onnxruntime.InferenceSession(run / "model.onnx")
    found = session.get_modelmeta().custom_metadata_map
    assert json.loads(found["classes"]) == CLASSES
    assert found["sample_rate"] == "16000" and found["shortest"] == "400"
    assert json.loads(found["run"])["fold"] == "JE"


def test_predict_gives_the_same(run, clips, capsys):
    """By either runtime; whole files, as a user would."""
    files = [str(path) for path in clips[0]]
    assert main(["predict", str(run), *files, "--json"]) == 0
    expected = json.loads(capsys.readouterr().out)
    command = ["predict", str(run), *files, "--json", "--runtime", "onnx"]
    assert main(command) == 0
    found = json.loads(capsys.readouterr().out)
    for one, other in zip(found, expected, strict=True):
        assert one["label"] == other["label"]
        assert one["posteriors"] == pytest.approx(other["posteriors"], abs=1e-4)


def test_the_example_needs_neither_torch_nor_ser_brain(run, clips, tmp_path):
    """It runs where both cannot be imported, and answers as predict does."""
    for name in ("torch", "ser_brain"):
        (tmp_path / f"{name}.py").write_text("raise ImportError")
    command = [sys.executable, str(EXAMPLE), str(run / "model.onnx")]
    files = [str(path) for path in clips[0]]
    done = subprocess.run(
        [*command, *files],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    records = EmotionRecognizer.from_run(run).classify_files(files)
    lines = [line.split("\t") for line in done.stdout.splitlines()]
    assert [line[:2] for line in lines] == [
        [record["file"], record["label"]] for record in records
    ]
    for line, record in zip(lines, records):
        assert float(line[2]) == pytest.approx(record["score"], abs=2e-4)


def test_int8_is_smaller_and_close(run, clips, tmp_path, capsys):
    """A third of the difference between classes is not lost."""
    path = tmp_path / "int8.onnx"
    assert main(["export", str(run), "--onnx", str(path), "--int8"]) == 0
    assert f"{path}: " in capsys.readouterr().out
    assert path.stat().st_size < (run / "model.onnx").stat().st_size
    wav = clips[1][0]
    expected = OnnxRecognizer(run).classify_batch(wav)[0]
    found = OnnxRecognizer(path).classify_batch(wav)[0]
    assert 0 < (found - expected).abs().max() < 0.1


def test_onnxruntime_keeps_no_events(tmp_path):
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in ("ORT_DISABLE_TELEMETRY", "XDG_CACHE_HOME")
    }
    subprocess.run(
        [sys.executable, "-c", "import ser_brain.serving; import onnxruntime"],
        env={**environment, "HOME": str(tmp_path)},
        check=True,
        timeout=120,
    )
    assert list(tmp_path.rglob("*")) == []


@pytest.mark.parametrize("speed", [0.5, 0.9, 1.1, 1.25, 2.0])
def test_speeds_are_those_of_soxr(speed):
    """Also at the beginning of clips, and of very short ones."""
    torch.manual_seed(0)
    wavs = torch.randn(3, 4000) + 1
    lengths = torch.tensor([4000, 3217, 401])
    wavs = wavs.masked_fill(torch.arange(4000) >= lengths[:, None], 0)
    found, counts = Player(speed)(wavs, lengths)
    for wav, length, one, count in zip(wavs, lengths, found, counts):
        expected = played(wav[:length], speed)
        assert count == len(expected)
        torch.testing.assert_close(one[:count], expected, atol=1e-5, rtol=0)
        assert one[count:].abs().sum() == 0


def test_int8_of_several_speeds(make_encoder, tmp_path):
    """Each matrix product of the transformer is in 8 bits, once."""
    onnx = pytest.importorskip("onnx")
    path = tmp_path / "int8.onnx"
    export_onnx(build(make_encoder, "layers and speeds"), path, int8=True)
    kinds = [node.op_type for node in onnx.load(path).graph.node]
    # Four projections of attention and two of the feed-forward part, in each
    # of two layers, and the projection of the features.
    assert kinds.count("MatMulInteger") == 13


def test_int8_without_room_for_temporary_files(
    make_encoder, tmp_path, monkeypatch
):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    path = tmp_path / "int8.onnx"
    with pytest.raises(InputError, match="free some space in .*gone, or "):
        export_onnx(build(make_encoder, "layers and speeds"), path, int8=True)
    assert not path.exists()


def test_what_is_no_exported_model(run, tmp_path):
    """Missing, damaged, of others, or not one: a sentence each."""
    with pytest.raises(InputError, match="is not an ONNX file: write one by"):
        onnx_file(tmp_path)
    damaged = tmp_path / "damaged.onnx"
    damaged.write_bytes((run / "model.onnx").read_bytes()[:5000])
    with pytest.raises(
        InputError, match="damaged.onnx is not a complete ONNX file"
    ):
        OnnxRecognizer(damaged)
    import silero_vad

    other = Path(silero_vad.__file__).parent / "data" / "silero_vad.onnx"
    with pytest.raises(InputError, match="was not written by ser-brain export"):
        OnnxRecognizer(other)
    damaged.with_name("second.onnx").write_bytes(b"")
    with pytest.raises(InputError, match="holds 2 ONNX files"):
        OnnxRecognizer(tmp_path)


def test_long_clips_of_whisper(make_encoder, tmp_path):
    """What is longer than a graph takes is answered by windows."""
    recognizer = build(make_encoder, "whisper")
    assert longest_samples(recognizer) == int(250 * 320 * 0.95)
    path = tmp_path / "model.onnx"
    export_onnx(recognizer, path)
    exported = OnnxRecognizer(path)
    wavs = torch.randn(1, 2 * exported.longest) / 10
    halves = [recognizer.classify_batch(half)[0] for half in wavs.chunk(2, 1)]
    for length, expected in [
        (exported.longest, halves[0]),
        (2 * exported.longest, sum(halves) / 2),
    ]:
        found = exported.classify_batch(wavs[:, :length])[0]
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)
