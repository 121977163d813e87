"""The arithmetic behind the figures of the step benchmark."""

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import Wav2Vec2Config, Wav2Vec2Model

ROOT = Path(__file__).resolve().parents[2]
# As Python has it for a script there.
sys.path.insert(0, str(ROOT / "benchmarks"))

import plain  # noqa: E402
import profile_step  # noqa: E402
import roof  # noqa: E402
import steps  # noqa: E402

CONFIG = {
    "hidden_size": 128,  # twice a span of masked features
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 96,
    "conv_dim": (32,) * 7,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 4,
    "layerdrop": 0.0,
}


def test_work_is_what_torch_counts():
    config = Wav2Vec2Config(**CONFIG)
    model = Wav2Vec2Model._from_config(config, attn_implementation="eager")
    samples = 32000
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model.eval()(torch.randn(1, samples))
    front_end, frames = roof.front_end_work(samples, config)
    mine = 2 * (front_end + roof.transformer_work(frames, config))
    # An even kernel gives one frame more, which is cut off.
    assert mine == pytest.approx(counter.get_total_flops(), rel=0.01)
    assert frames == 99


def test_a_step_is_three_forward_passes():
    config = Wav2Vec2Config(**CONFIG)
    front_end, frames = roof.front_end_work(16000, config)
    transformer = roof.transformer_work(frames, config)
    cached, frozen, learned = (
        roof.step_work([16000] * 2, config, passes) for passes in (0, 1, 3)
    )
    assert cached == 2 * 2 * 3 * transformer
    assert frozen == cached + 2 * 2 * front_end
    assert learned == 2 * 2 * 3 * (transformer + front_end)


def test_matrix_rate_is_a_rate():
    assert 1e8 < roof.matrix_rate(torch.float32, seconds=0.2) < 1e15


def test_figures_and_ratios_by_hand():
    records = [
        {"seconds": s, "front_end_seconds": 1.0, "peak_memory_gb": s}
        for s in (4.0, 2.0, 5.0)
    ]
    found = steps.figures(records, audio=20.0, operations=8e9, rate=4e9)
    assert found["audio_per_second"] == {"median": 5, "low": 4, "high": 10}
    assert found["share_of_matrix_rate"] == 0.5
    assert found["peak_memory_gb"] == 5.0
    rows = [
        {"task": "P3", "batch": 16, "contender": "plain fp32", **found},
        {"task": "P3", "batch": 16, "contender": "ours bf16",
         "audio_per_second": {"median": 15.0}},
        {"task": "P3", "batch": 16, "contender": "plain bf16",
         "does_not_fit_gb": 3.0},
    ]  # fmt: skip
    assert steps.ratios(rows) == {"P3 16": {"ours bf16 / plain fp32": 3.0}}


def test_a_contender_that_does_not_fit_has_no_figures():
    records = [{"does_not_fit_gb": 20.1}]
    assert steps.figures(records, 1.0, 1.0, 1.0) == records[0]


def test_padding_by_hand():
    """Clips of 1 and 3 s: 2 of 6 s are padding, none where each is alone."""
    clips = [SimpleNamespace(signal=torch.zeros(16000 * n)) for n in (1, 3)]
    assert steps.padding_share(clips) == 0.333
    assert steps.padding_share(clips, 3) == 0.0


@pytest.mark.parametrize(
    "name, kind",
    [
        ("aten::addmm", "matrix products"),
        ("aten::native_layer_norm_backward", "norms"),
        ("aten::convolution_backward", "convolutions"),
        ("aten::bernoulli_", "dropout"),
        ("aten::copy_", "copies and casts"),
        ("aten::frobnicate", "other"),
    ],
)
def test_kinds_of_operators(name, kind):
    assert profile_step.kind_of(name) == kind


@pytest.mark.parametrize("task", plain.PLAIN)
def test_plain_steps_learn(task, tmp_path, monkeypatch):
    """The baselines compute gradients of what they say they train."""
    from transformers import Wav2Vec2ForPreTraining

    config = Wav2Vec2Config(
        **CONFIG, codevector_dim=16, num_codevectors_per_group=8,
        proj_codevector_dim=16,
    )  # fmt: skip
    monkeypatch.setattr(plain, "CLUSTERS", (4, 8))
    monkeypatch.setattr(plain, "DIM", 128)
    torch.manual_seed(0)
    Wav2Vec2ForPreTraining(config).save_pretrained(tmp_path)
    step = plain.PLAIN[task](tmp_path)
    before = {n: p.clone() for n, p in step.model.named_parameters()}
    clips = [
        SimpleNamespace(signal=torch.randn(n), label=n % 7)
        for n in (16000, 12000)
    ]
    step.update(clips)
    changed = {
        name
        for name, weight in step.model.named_parameters()
        if not torch.equal(before[name], weight)
    }
    assert any("encoder.layers.1" in name for name in changed)
    learns_cnn = any("feature_extractor" in name for name in changed)
    assert learns_cnn == (task == "TAPT")
