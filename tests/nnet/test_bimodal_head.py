"""Audio and text: blind to padding, each fusion of what it names."""

import pytest
import torch

from ser_brain.nnet.bimodal_head import FUSIONS, BimodalHead, Standard

FRAMES, TOKENS = torch.tensor([9, 4]), torch.tensor([2, 6])


@pytest.fixture
def clips():
    """Frames and tokens of two utterances, each alone."""
    torch.manual_seed(0)
    return [
        (2 + 3 * torch.randn(frames, 8), torch.randn(tokens, 6))
        for frames, tokens in zip(FRAMES.tolist(), TOKENS.tolist())
    ]


def padded(parts):
    """A batch with what must not be seen beyond each part."""
    batch = torch.full((len(parts), 10, parts[0].shape[1]), 1e4)
    for row, part in zip(batch, parts):
        row[: len(part)] = part
    return batch


def build(fusion, clips):
    torch.manual_seed(1)
    head = BimodalHead(8, 6, 4, fusion).eval()
    head.measure(*map(list, zip(*clips)))
    for name, weight in head.named_parameters():
        if "linear.weight" in name:
            torch.nn.init.normal_(weight)
    return head


@pytest.mark.parametrize("fusion", FUSIONS)
def test_an_utterance_alone_equals_itself_in_a_batch(fusion, clips):
    head = build(fusion, clips)
    audio, text = map(padded, zip(*clips))
    together = head(audio, FRAMES, text, TOKENS)
    assert together.shape == (2, len(FUSIONS[fusion]), 4)
    torch.testing.assert_close(together.exp().sum(-1), torch.ones(2, 1).expand(
        together.shape[:2]))  # fmt: skip
    for row, (frames, tokens) in enumerate(clips):
        lengths = torch.tensor([len(frames)]), torch.tensor([len(tokens)])
        alone = head(frames[None], lengths[0], tokens[None], lengths[1])
        torch.testing.assert_close(
            together[row : row + 1], alone, atol=1e-5, rtol=1e-4
        )


def test_late_fusion_is_the_mean_of_the_two_alone(clips):
    late = build("late", clips)
    audio, text = map(padded, zip(*clips))
    members = late(audio, FRAMES, text, TOKENS)
    for place, fusion in enumerate(("audio", "text")):
        one = build(fusion, clips)
        one.load_state_dict(
            {
                k: v
                for k, v in late.state_dict().items()
                if k in one.state_dict()
            }
        )
        alone = one(audio, FRAMES, text, TOKENS)
        torch.testing.assert_close(members[:, place], alone[:, 0])
    fused = late.fuse(members).exp()
    torch.testing.assert_close(fused, members.exp().mean(1))


@pytest.mark.parametrize("fusion", ["late", "cross_attention"])
@pytest.mark.parametrize("changed", [0, 1])
def test_both_modalities_are_used(fusion, changed, clips):
    head = build(fusion, clips)
    inputs = [*map(padded, zip(*clips))]
    before = head.fuse(head(inputs[0], FRAMES, inputs[1], TOKENS))
    inputs[changed] = -inputs[changed]
    after = head.fuse(head(inputs[0], FRAMES, inputs[1], TOKENS))
    assert (after - before).abs().max() > 1e-2


def test_kept_is_the_mean_of_the_layers_that_are_named():
    layers = torch.randn(3, 5, 8)
    head = BimodalHead(8, 6, 4, layers=[0, -1], depth=3)
    expected = (layers[0] + layers[2]) / 2
    torch.testing.assert_close(head.keep(layers)[:, 0], expected)
    assert BimodalHead(**head.config()).config() == head.config()


def test_what_cannot_be_is_refused():
    with pytest.raises(ValueError, match="fusion is 'early'"):
        BimodalHead(8, 6, 4, fusion="early")
    with pytest.raises(ValueError, match="names layer 3"):
        BimodalHead(8, 6, 4, layers=[3], depth=3)
    with pytest.raises(ValueError, match="audio_layers is empty"):
        BimodalHead(8, 6, 4, layers=[])


def test_standardised_by_all_rows_of_all_parts():
    parts = [torch.randn(n, 3) * 5 + 2 for n in (4, 9)]
    standard = Standard(3)
    standard.measure(parts)
    rows = standard(torch.cat(parts))
    torch.testing.assert_close(rows.mean(0), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(rows.std(0, correction=0), torch.ones(3))
