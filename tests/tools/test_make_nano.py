"""The nano models' pretraining: losses, augmentation, and a restart."""

import sys
from argparse import Namespace
from pathlib import Path

import pytest
import soundfile
import torch
from hypothesis import (
    given,
    settings,
    strategies as st,
)
from transformers import WhisperConfig
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from ser_brain.lobes.wav2vec2 import Wav2Vec2Pretraining
from ser_brain.lobes.whisper import Whisper

TOOLS = Path(__file__).parents[2] / "tools"
sys.path.insert(0, str(TOOLS))
import augment  # noqa: E402
import distil  # noqa: E402
import make_nano  # noqa: E402

SMALL = dict(
    conv_dim=(8,) * 7,
    hidden_size=16,
    num_hidden_layers=2,
    num_attention_heads=2,
    intermediate_size=12,
    num_conv_pos_embeddings=8,
    num_conv_pos_embedding_groups=2,
    num_codevectors_per_group=8,
    codevector_dim=8,
    proj_codevector_dim=8,
)


@pytest.fixture
def source(tmp_path, monkeypatch):
    monkeypatch.setattr(distil, "STUDENT", {**distil.STUDENT, **SMALL})
    distil.new_student(tmp_path / "random")
    return tmp_path / "random"


@pytest.fixture
def student(source):
    return distil.Distillation(source, layers=3, frames=49)


@pytest.fixture
def teacher():
    torch.manual_seed(2)
    config = WhisperConfig(
        d_model=16, encoder_layers=2, encoder_attention_heads=2
    )
    config.encoder_ffn_dim = 24
    return Whisper(WhisperEncoder(config)).eval()


def taught(layers=3, clips=4, frames=49, dim=16):
    generator = torch.Generator().manual_seed(3)
    return torch.randn(layers, clips, frames, dim, generator=generator)


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(4)
    wavs = 0.1 * torch.randn(4, 16000, generator=generator)
    return wavs, torch.tensor([1.0, 1.0, 0.8, 0.5])


def loss_of(student, batch, target):
    generator = torch.Generator().manual_seed(5)
    torch.manual_seed(6)
    return student(*batch, target, generator)


def without_gradient(module):
    return [
        name
        for name, weight in module.named_parameters()
        if weight.grad is None or not weight.grad.any()
    ]


def test_padding_teaches_nothing(student, batch):
    student.eval()
    target = taught()
    lengths = student.objective.frame_lengths(torch.tensor([16000, 8000]))
    dirty = target.clone()
    dirty[:, 3, int(lengths[1]) :] = 1e3
    clean, details = loss_of(student, batch, target)
    assert torch.allclose(clean, loss_of(student, batch, dirty)[0])
    assert {"cosine", "utterances", "contrastive"} < details.keys()


def test_every_loss_reaches_the_student(student, batch):
    loss, _ = loss_of(student, batch, taught())
    loss.backward()
    # A bias of the keys moves no attention.
    missing = without_gradient(student)
    assert all(name.endswith("k_proj.bias") for name in missing)


def test_the_front_end_alone_is_taught_first(source, batch):
    student = distil.Distillation(
        source, layers=1, frames=49, front_end_only=True
    )
    loss, details = loss_of(student, batch, taught(layers=1))
    loss.backward()
    assert sorted(details) == ["cosine", "frames"]
    encoder = student.objective.encoder.model
    assert without_gradient(encoder.feature_extractor) == []
    assert without_gradient(encoder.encoder.pos_conv_embed) == []
    layers = encoder.encoder.layers
    assert len(without_gradient(layers)) == len(list(layers.parameters()))


def test_targets_lose_their_positions_and_get_unit_variance(student):
    positions = 5 * torch.randn(3, 1, 49, 16)
    target = 3 * taught(clips=64) + positions
    student.measure([(target, torch.full((64,), 49))])
    scaled = student.scaled(target)
    assert torch.allclose(scaled.mean(1), torch.zeros(1), atol=1e-4)
    assert torch.allclose(scaled.std((1, 2)), torch.ones(1), atol=2e-2)


def test_statistics_of_short_clips_leave_out_their_padding(student):
    target = taught(clips=8)
    lengths = torch.tensor([49] * 4 + [20] * 4)
    student.measure([(target, lengths)])
    wanted = student.centre.clone()
    target[:, 4:, 20:] = 1e3
    student.measure([(target, lengths)])
    assert torch.equal(student.centre, wanted)


def speech_batches():
    generator = torch.Generator().manual_seed(8)
    wavs = 0.1 * torch.randn(2, 16000, generator=generator)
    return [(wavs, torch.ones(2))]


def transformed(layer, x):
    output = layer(x, attention_mask=None)
    return output[0] if isinstance(output, tuple) else output


def test_a_layer_with_all_units_is_the_teachers(source, teacher, monkeypatch):
    """Without cut units, the student's layers compute what the teacher's do."""
    monkeypatch.setitem(distil.STUDENT, "intermediate_size", 24)
    distil.new_student(source)
    student = Wav2Vec2Pretraining(source).encoder.eval()
    distil.inherit(student, teacher, speech_batches())
    x = torch.randn(2, 7, 16, generator=torch.Generator().manual_seed(9))
    for own, other in zip(student.layer_stack, teacher.layer_stack):
        assert torch.allclose(
            transformed(own, x), transformed(other, x), atol=1e-5
        )
    assert torch.equal(student.final_norm(x), teacher.final_norm(x))


def test_units_that_matter_stay_and_the_others_leave_their_mean(
    student, teacher
):
    layer = teacher.layer_stack[0]
    with torch.no_grad():
        # Half of the units say the same to every frame.
        layer.fc1.weight[:12] = 0
        layer.fc1.bias[:12] = 0.5
        layer.fc2.weight[:, :12] *= 1e-2
    encoder = student.objective.encoder.eval()
    distil.inherit(encoder, teacher, speech_batches())
    x = torch.randn(2, 7, 16, generator=torch.Generator().manual_seed(9))
    own = transformed(encoder.layer_stack[0], x)
    assert torch.allclose(own, transformed(layer, x), atol=1e-5)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**31))
def test_augmented_speech_is_finite_and_repeatable(seed):
    wav = torch.sin(torch.arange(16000) / 20)
    changed = [
        augment.augmented(wav, torch.Generator().manual_seed(seed))
        for _ in range(2)
    ]
    assert torch.equal(*changed)
    assert changed[0].isfinite().all()
    level = augment.leveled(changed[0]).square().mean().sqrt()
    assert float(level) == pytest.approx(augment.LEVEL, rel=1e-3)
    assert 0.5 < len(changed[0]) / len(wav) < 1.8


def test_a_stretch_keeps_the_pitch():
    wav = torch.sin(2 * torch.pi * 1000 * torch.arange(32000) / 16000)
    slow = augment.stretched(wav, 0.8)
    peak = int(torch.fft.rfft(slow).abs().argmax())
    assert peak * 16000 / len(slow) == pytest.approx(1000, abs=20)
    assert len(slow) / len(wav) == pytest.approx(1.25, abs=0.02)


def test_the_rate_warms_up_stays_and_cools_down():
    args = Namespace(steps=100, lr=1.0, cooldown=0.2)
    rates = [make_nano.learning_rate(step, args) for step in (1, 5, 80, 90)]
    assert rates == pytest.approx([0.2, 1, 1, 0.5])
    assert make_nano.learning_rate(100, args) == 0


@pytest.fixture
def speech(tmp_path):
    """Two folders of unequal length."""
    generator = torch.Generator().manual_seed(7)
    for name, clips in {"long": 5, "short": 1}.items():
        (tmp_path / name).mkdir()
        for number in range(clips):
            wav = 0.1 * torch.randn(20000, generator=generator)
            soundfile.write(tmp_path / name / f"{number}.wav", wav, 16000)
    return [tmp_path / "long", tmp_path / "short"]


def test_folders_are_drawn_by_their_weights(speech):
    whole = make_nano.Speech(speech)
    assert whole.hours == pytest.approx(6 * 1.25 / 3600)
    assert torch.equal(whole.chances, torch.full((6,), 20000.0))
    weighted = make_nano.Speech(speech, [0.25, 0.75]).chances
    assert torch.allclose(weighted, torch.tensor([0.05] * 5 + [0.75]))


def test_a_killed_training_goes_on_as_it_would_have(student, speech, tmp_path):
    """Two updates in a row, and one, a checkpoint, and one more."""
    speech = make_nano.Speech(speech)
    args = Namespace(steps=4, lr=1e-3, cooldown=0.2, bf16=False)

    class Kind:
        module = student

        @staticmethod
        def loss(speech, generator):
            batch = make_nano.batch_of(speech.crops(12000, 4, generator))
            return student(*batch, taught(), generator)

    def optimizer():
        return torch.optim.AdamW(student.parameters(), lr=1e-3)

    start = {key: value.clone() for key, value in student.state_dict().items()}
    whole = optimizer()
    for step in range(2):
        make_nano.update(Kind, whole, speech, step, args)
    wanted = {key: value.clone() for key, value in student.state_dict().items()}
    student.load_state_dict(start)
    first = optimizer()
    make_nano.update(Kind, first, speech, 0, args)
    path = tmp_path / "checkpoint.pt"
    make_nano.save_checkpoint(path, Kind, first, 1, [])
    student.load_state_dict(start)
    second = optimizer()
    assert make_nano.resume(path, Kind, second) == (1, [])
    make_nano.update(Kind, second, speech, 1, args)
    for key, value in student.state_dict().items():
        assert torch.equal(value, wanted[key]), key


def test_the_student_is_read_by_its_lobe(student, tmp_path):
    student.objective.save_pretrained(tmp_path / "model")
    make_nano.halve(tmp_path / "model")
    again = Wav2Vec2Pretraining(tmp_path / "model")
    assert again.encoder.dim == 16
