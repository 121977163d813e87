"""The nano models' pretraining: losses, augmentation, and a restart."""

import sys
from argparse import Namespace
from pathlib import Path

import pytest
import torch
from hypothesis import (
    given,
    settings,
    strategies as st,
)

from ser_brain.lobes.wav2vec2 import Wav2Vec2Pretraining

TOOLS = Path(__file__).parents[2] / "tools"
sys.path.insert(0, str(TOOLS))
import augment  # noqa: E402
import distil  # noqa: E402
import make_nano  # noqa: E402

SMALL = dict(
    conv_dim=(8,) * 7,
    hidden_size=16,
    num_hidden_layers=1,
    num_attention_heads=2,
    intermediate_size=16,
    num_conv_pos_embeddings=8,
    num_conv_pos_embedding_groups=2,
    num_codevectors_per_group=8,
    codevector_dim=8,
    proj_codevector_dim=8,
)


@pytest.fixture
def student(tmp_path, monkeypatch):
    monkeypatch.setattr(distil, "STUDENT", {**distil.STUDENT, **SMALL})
    return distil.new_student(tmp_path / "random", teacher_dim=5)


def taught(layers=3, clips=4, frames=49, dim=5):
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
    without = [
        name
        for name, weight in student.named_parameters()
        if weight.grad is None or not weight.grad.any()
    ]
    assert without == []


def test_targets_are_standardised(student):
    target = 7 + 3 * taught()
    student.measure([(target, torch.full((4,), 49))])
    scaled = student.frame_scale(target)
    assert torch.allclose(scaled.mean((1, 2)), torch.zeros(1), atol=1e-4)
    assert torch.allclose(scaled.std((1, 2)), torch.ones(1), atol=1e-2)


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
    assert float(changed[0].abs().max()) <= 1.001
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


def test_a_killed_training_goes_on_as_it_would_have(student, tmp_path):
    """Two updates in a row, and one, a checkpoint, and one more."""
    wavs = [0.1 * torch.randn(16000) for _ in range(3)]
    args = Namespace(steps=4, lr=1e-3, cooldown=0.2, bf16=False)

    class Kind:
        module = student

        @staticmethod
        def loss(wavs, generator):
            batch = make_nano.batch_of(
                make_nano.draw_crops(wavs, 12000, 4, generator)
            )
            return student(*batch, taught(), generator)

    def optimizer():
        return torch.optim.AdamW(student.parameters(), lr=1e-3)

    start = {key: value.clone() for key, value in student.state_dict().items()}
    whole = optimizer()
    for step in range(2):
        make_nano.update(Kind, whole, wavs, step, args)
    wanted = {key: value.clone() for key, value in student.state_dict().items()}
    student.load_state_dict(start)
    first = optimizer()
    make_nano.update(Kind, first, wavs, 0, args)
    path = tmp_path / "checkpoint.pt"
    make_nano.save_checkpoint(path, Kind, first, 1, [])
    student.load_state_dict(start)
    second = optimizer()
    assert make_nano.resume(path, Kind, second) == (1, [])
    make_nano.update(Kind, second, wavs, 1, args)
    for key, value in student.state_dict().items():
        assert torch.equal(value, wanted[key]), key


def test_the_student_is_read_by_its_lobe(student, tmp_path):
    student.objective.save_pretrained(tmp_path / "model")
    make_nano.halve(tmp_path / "model")
    again = Wav2Vec2Pretraining(tmp_path / "model")
    assert again.encoder.dim == 16
