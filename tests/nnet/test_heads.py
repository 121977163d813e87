"""Heads: shapes, the released code's differences, and their configuration."""

import json

import pytest
import torch
from torch import nn

from ser_brain.nnet.heads import ClusterHeads, FrameHead, UtteranceHead
from ser_brain.nnet.pooling import (
    AttentivePooling,
    AveragePooling,
    LSTMPooling,
    Pooling,
    StatisticsPooling,
)


@pytest.fixture
def batch():
    torch.manual_seed(0)
    return torch.randn(3, 6, 8), torch.tensor([1, 4, 6])


def by_hand(head, x, lengths, relu_frames, dropped):
    """V-FT's head one clip at a time, from its definition."""
    logits = []
    for clip, length in zip(x, lengths.tolist(), strict=True):
        frames = clip[: max(1, length - dropped)]
        frames = frames.relu() if relu_frames else frames
        logits.append(head.classifier(frames.mean(dim=0).relu()))
    return torch.stack(logits)


@pytest.mark.parametrize("relu_frames", [False, True])
@pytest.mark.parametrize("drop_last_frame", [False, True])
def test_the_head_of_vft_from_its_definition(
    batch, relu_frames, drop_last_frame
):
    head = UtteranceHead(
        8, 4, relu_frames=relu_frames, drop_last_frame=drop_last_frame
    )
    expected = by_hand(head, *batch, relu_frames, int(drop_last_frame))
    torch.testing.assert_close(head(*batch), expected)


def test_the_last_frame_is_dropped_without_lengths_too(batch):
    x, _ = batch
    head = UtteranceHead(8, 4, drop_last_frame=True)
    torch.testing.assert_close(head(x), head(x, torch.tensor([6, 6, 6])))


def test_the_paper_head_sees_negative_frames_before_the_mean():
    head = UtteranceHead(1, 2)
    x = torch.tensor([[[3.0], [-1.0]]])
    torch.testing.assert_close(head(x), head.classifier(torch.ones(1, 1)))


def test_the_utterance_head_of_emotion_states(batch):
    head = UtteranceHead(8, 4, pooling=LSTMPooling(8, 5), hidden=7)
    kinds = [type(layer) for layer in head.classifier]
    assert kinds == [nn.Linear, nn.Tanh, nn.Linear]
    assert head.classifier[0].in_features == 10
    assert head(*batch).shape == (3, 4)


@pytest.mark.parametrize(
    "pooling",
    [
        AveragePooling(),
        StatisticsPooling(eps=1e-6),
        AttentivePooling(8, attention_dim=3),
        LSTMPooling(8, hidden=5),
    ],
)
@pytest.mark.parametrize("hidden", [None, 7])
def test_a_head_comes_back_from_its_configuration(batch, pooling, hidden):
    head = UtteranceHead(
        8, 4, pooling, hidden=hidden, relu_frames=True, drop_last_frame=True
    )
    config = json.loads(json.dumps(head.config()))
    again = UtteranceHead.from_config(config)
    again.load_state_dict(head.state_dict())
    assert again.config() == config
    assert torch.equal(again(*batch), head(*batch))


def change(**changes):
    return {**UtteranceHead(8, 4).config(), **changes}


@pytest.mark.parametrize(
    "config, sentence",
    [
        (
            change(pooling={"name": "os.system", "arguments": {}}),
            "must be one of AveragePooling",
        ),
        (
            change(pooling={"name": "LSTMPooling", "arguments": {"x": 1}}),
            "LSTMPooling cannot be built",
        ),
        (change(extra=1), "has the keys .*extra.*they must be"),
        ({"dim": 8}, "has the keys .*they must be"),
    ],
)
def test_a_foreign_configuration_is_refused(config, sentence):
    with pytest.raises(ValueError, match=sentence):
        UtteranceHead.from_config(config)


def test_the_abstract_pooling_is_not_on_the_list():
    pooling = {"name": Pooling.__name__, "arguments": {}}
    with pytest.raises(ValueError, match="must be one of"):
        UtteranceHead.from_config(change(pooling=pooling))


def test_frame_head_decides_each_frame_by_itself(batch):
    x, _ = batch
    head = FrameHead(8, 4)
    assert head.classifier[0].out_features == 128
    torch.testing.assert_close(head(x)[1, 2], head(x[1, 2]))


def test_cluster_heads_take_any_leading_shape(batch):
    x, _ = batch
    heads = ClusterHeads(8, n_clusters=(2, 5))
    assert heads.classifiers[0][0].out_features == 256
    masked = torch.rand(3, 6) < 0.5
    for over_all, over_masked in zip(heads(x), heads(x[masked]), strict=True):
        torch.testing.assert_close(over_all[masked], over_masked)
