"""Voice activity, compared with the package whose weights it runs."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import (
    given,
    settings,
    strategies as st,
)

from ser_brain.assets import folder
from ser_brain.recordings.voice import FRAME, VoiceActivity, speech_spans


@pytest.fixture(scope="module")
def silero():
    """The package, whose import sets torch's threads to one."""
    threads = torch.get_num_threads()
    import silero_vad

    torch.set_num_threads(threads)
    return silero_vad


@pytest.fixture(scope="module")
def speech():
    """Three clips of the mini corpus with 0.6 s of silence between them."""
    clips = sorted(Path(folder("mini_corpus"), "audio").glob("0*_angry_*.flac"))
    pause = np.zeros(9600, np.float32)
    signals = [soundfile.read(clip, dtype="float32")[0] for clip in clips[:3]]
    return np.concatenate([part for one in signals for part in (pause, one)])


def heard(blocks):
    """Probabilities of a stream."""
    voice = VoiceActivity()
    found = [voice.add(block) for block in blocks]
    return np.concatenate([*found, voice.end()])


def test_probabilities_are_those_of_silero(silero, speech):
    """Of every frame, the last one padded with zeros."""
    model = silero.load_silero_vad()
    expected = model.audio_forward(torch.from_numpy(speech)[None], 16000)
    np.testing.assert_allclose(heard([speech]), expected[0], atol=1e-4)
    assert expected.max() > 0.9 and expected.min() < 0.1


@pytest.mark.parametrize("size", [100, FRAME, 16001])
def test_the_blocks_do_not_matter(speech, size):
    """State and context go on from block to block."""
    speech = speech[: 3 * 16000]
    blocks = [speech[n : n + size] for n in range(0, len(speech), size)]
    np.testing.assert_allclose(heard(blocks), heard([speech]), atol=1e-5)


@settings(max_examples=50, deadline=None)
@given(
    steps=st.lists(
        st.tuples(st.sampled_from([0.1, 0.4, 0.9]), st.integers(1, 30)),
        max_size=12,
    ),
    pause=st.sampled_from([0.1, 0.5]),
)
def test_spans_are_those_of_silero(silero, steps, pause):
    """The same rule, where a pause or speech is at the end."""
    end = [0.9] if steps and steps[-1][0] == 0.9 else [0.1] * 20
    frames = [share for share, count in steps for _ in range(count)] + end
    samples = len(frames) * FRAME
    found = speech_spans(frames, samples, pause)
    expected = silero.get_speech_timestamps_from_probs(
        frames,
        min_silence_duration_ms=1000 * pause,
        audio_length_samples=samples,
    )
    assert found == [(one["start"], one["end"]) for one in expected]


def test_quiet_at_the_end_is_no_speech():
    """Even where the file ends within a pause."""
    frames = [0.1] * 5 + [0.9] * 20 + [0.1] * 5
    begin, end = 5 * FRAME - 480, 25 * FRAME + 480
    assert speech_spans(frames, 30 * FRAME - 7, 0.5) == [(begin, end)]
