"""Frames, segments and utterances: each a mean of the one before."""

import pytest
import torch

from ser_brain.nnet.segment_head import SegmentHead

LENGTHS = torch.tensor([7, 3, 1])


@pytest.fixture
def head():
    torch.manual_seed(0)
    return SegmentHead(dim=5, n_classes=4, hidden=6, segment=3)


@pytest.fixture
def padded():
    """Frames whose padding is not to be seen."""
    x = torch.randn(3, 8, 5)
    for row, length in zip(x, LENGTHS):
        row[length:] = float("nan")
    return x


def test_segments_are_means_of_their_own_frames(head, padded):
    logits, valid = head.segments(head.frames(padded), LENGTHS)
    assert valid.tolist() == [
        [True, True, True],
        [True, False, False],
        [True, False, False],
    ]
    for row, length in enumerate(LENGTHS.tolist()):
        frames = head.frames(padded[row, :length])
        for place, part in enumerate(frames.split(3)):
            torch.testing.assert_close(logits[row, place], part.mean(0))
    assert head.segment_counts(LENGTHS).tolist() == valid.sum(1).tolist()


def test_an_utterance_is_the_mean_of_its_frames(head, padded):
    together = head(padded, LENGTHS)
    for row, length in enumerate(LENGTHS.tolist()):
        alone = head(padded[row : row + 1, :length])
        torch.testing.assert_close(together[row : row + 1], alone)
    frames = head(padded, LENGTHS, whole=False)
    assert frames.shape == (3, 8, 4)


def test_it_is_built_again_from_its_configuration(head):
    again = SegmentHead(**head.config())
    assert again.config() == head.config()
    with pytest.raises(ValueError, match="a segment has 0 frames"):
        SegmentHead(5, 4, segment=0)
