"""Poolings: what they compute, and that padding never reaches it."""

import pytest
import torch
from hypothesis import (
    given,
    settings,
    strategies as st,
)

from ser_brain.nnet.pooling import (
    AttentiveLSTMPooling,
    AttentivePooling,
    AveragePooling,
    LSTMPooling,
    StatisticsPooling,
    check_lengths,
)

DIM = 6
POOLINGS = {
    "average": AveragePooling,
    "statistics": StatisticsPooling,
    "attentive": lambda: AttentivePooling(DIM, attention_dim=5),
    "lstm": lambda: LSTMPooling(DIM, hidden=4),
    "attentive lstm": lambda: AttentiveLSTMPooling(DIM, 4, attention_dim=5),
}


def build(name):
    torch.manual_seed(0)
    return POOLINGS[name]()


@pytest.mark.parametrize("name", POOLINGS)
@settings(deadline=None, max_examples=15)
@given(
    lengths=st.lists(st.integers(1, 9), min_size=1, max_size=4),
    extra=st.integers(0, 3),
    junk=st.sampled_from([1e30, -1e30, float("inf"), float("nan")]),
)
def test_an_utterance_alone_equals_itself_in_a_batch(
    name, lengths, extra, junk
):
    pooling = build(name)
    frames = max(lengths) + extra
    batch = torch.full((len(lengths), frames, DIM), junk)
    alone = [torch.randn(1, length, DIM) for length in lengths]
    for row, clip in zip(batch, alone, strict=True):
        row[: clip.size(1)] = clip[0]
    expected = torch.cat([pooling(clip) for clip in alone])
    actual = pooling(batch, torch.tensor(lengths))
    torch.testing.assert_close(actual, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", POOLINGS)
def test_gradients_are_finite_and_stay_out_of_the_padding(name):
    pooling = build(name)
    x = torch.randn(2, 5, DIM)
    x[0, 1:] = float("nan")
    x.requires_grad_()
    pooling(x, torch.tensor([1, 5])).sum().backward()
    grads = [x.grad] + [p.grad for p in pooling.parameters()]
    assert all(grad.isfinite().all() for grad in grads)
    assert not x.grad[0, 1:].any()


@pytest.mark.parametrize("name", POOLINGS)
def test_output_dim_is_the_width_of_the_output(name):
    pooling = build(name)
    assert pooling(torch.randn(3, 4, DIM)).shape == (
        3,
        pooling.output_dim(DIM),
    )


@pytest.mark.parametrize("name", ["attentive", "lstm"])
def test_frames_of_another_size_are_refused(name):
    with pytest.raises(ValueError, match="frames of size 6.*dim=7"):
        build(name).output_dim(7)


def test_statistics_are_torchs_own():
    x = torch.randn(3, 7, DIM, dtype=torch.float64)
    mean, deviation = StatisticsPooling()(x).chunk(2, dim=-1)
    torch.testing.assert_close(mean, x.mean(dim=1))
    torch.testing.assert_close(deviation, x.std(dim=1, correction=0))


def test_attention_is_softmax_over_the_clips_own_frames():
    pooling = build("attentive")
    x = torch.randn(1, 7, DIM)
    weights = pooling.score(x[0, :4]).softmax(dim=0)
    expected = (weights * x[0, :4]).sum(dim=0)
    actual = pooling(x, torch.tensor([4]))[0]
    torch.testing.assert_close(actual, expected)


def test_half_precision_does_not_overflow():
    x = torch.full((1, 1000, 2), 600.0, dtype=torch.float16)
    assert AveragePooling()(x).tolist() == [[600.0, 600.0]]
    pooled = StatisticsPooling()(x)
    assert pooled.dtype == torch.float16
    assert pooled.isfinite().all()


@pytest.mark.parametrize("lengths", [[0, 3], [2, 6]])
def test_impossible_lengths_are_refused(lengths):
    with pytest.raises(ValueError, match="between 1 and the batch's 5"):
        AveragePooling()(torch.randn(2, 5, DIM), torch.tensor(lengths))


def test_relative_lengths_are_refused():
    with pytest.raises(ValueError, match="relative lengths"):
        check_lengths(torch.tensor([0.5, 1.0]), 4)


def test_a_scale_below_1_makes_the_weights_even():
    torch.manual_seed(0)
    x = torch.randn(1, 9, DIM)
    pooling = AttentivePooling(DIM, attention_dim=5, scale=0.0)
    torch.testing.assert_close(pooling(x), x.mean(1))
    pooling.scale = 0.3
    weights = (0.3 * pooling.score(x)).softmax(1)
    torch.testing.assert_close(pooling(x), (weights * x).sum(1))


def test_an_lstm_is_torchs_own_on_packed_sequences():
    pooling = build("lstm")
    x, lengths = torch.randn(4, 9, DIM), torch.tensor([9, 1, 4, 9])
    valid = torch.arange(9) < lengths[:, None]
    x = x.masked_fill(~valid[..., None], 0)
    weights = list(pooling.parameters())
    outputs = pooling.states(x, valid), pooling._packed(x, lengths)
    torch.testing.assert_close(*outputs, atol=1e-6, rtol=1e-5)
    gradients = [
        torch.autograd.grad((one * one.detach()).sum(), weights)
        for one in outputs
    ]
    for ours, theirs in zip(*gradients):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)
