"""Fine-tuning of a last layer on kept states: the encoder's own figures."""

import copy
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from ser_brain.lobes.whisper import Whisper

TOOLS = Path(__file__).parents[2] / "tools"
sys.path.insert(0, str(TOOLS))
import inner_fine_tuning as tool  # noqa: E402


@pytest.fixture
def encoder(tiny_whisper):
    return Whisper(tiny_whisper).eval()


@pytest.fixture
def wavs():
    """Clips of two classes that differ in level, and in length."""
    generator = torch.Generator().manual_seed(1)
    return [
        torch.randn(4000 + 400 * number, generator=generator) * (number % 2 + 1)
        for number in range(36)
    ]


def test_kept_states_lead_to_the_encoders_output(encoder, wavs):
    kept = tool.last_inputs(encoder, wavs[:3])
    states, lengths = tool.Top(encoder, 2).states([one[0] for one in kept])
    for wav, clip, length in zip(wavs, states, lengths):
        wanted = encoder(wav[None])[0]
        assert torch.allclose(clip[:length], wanted, atol=2e-2)


def test_the_scored_labels_change_the_score_alone(encoder, wavs):
    kept = tool.last_inputs(encoder, wavs)
    labels = torch.tensor([number % 2 for number in range(36)])
    settings = ([(np.arange(32), np.arange(32, 36))], [1e-2], 2, 1)
    scores = tool.inner_scores(encoder, kept, labels, *settings)
    assert scores.shape == (1, 3)
    labels[32:] = 1 - labels[32:]
    swapped = tool.inner_scores(encoder, kept, labels, *settings)
    assert np.allclose(swapped, 100 - scores)


def test_the_layer_and_the_head_learn_and_the_norm_stays(encoder, wavs):
    kept = tool.last_inputs(encoder, wavs)
    labels = torch.tensor([number % 2 for number in range(36)])
    start = tool.Top(encoder, 2)
    top = copy.deepcopy(start)
    assert len(list(tool.train(top, kept, labels, 1e-3, 2, 1))) == 2
    same = {
        name.split(".")[0]: torch.equal(weight, start.state_dict()[name])
        for name, weight in top.state_dict().items()
        if name.endswith("weight")
    }
    assert same == {"layer": False, "norm": True, "head": False}
