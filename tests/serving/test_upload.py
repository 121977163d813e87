"""What is sent becomes what ``classify_file`` reads, or is refused."""

from io import BytesIO

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import (
    given,
    settings,
    strategies as st,
)

from ser_brain.corpora.audio import BLOCK
from ser_brain.dataio.audio import read_audio
from ser_brain.errors import InputError
from ser_brain.serving.upload import Limits, Refusal, decode


@pytest.mark.parametrize(
    "seconds, rate, channels, ending",
    [
        (0.9, 16000, 1, "wav"),
        (0.5, 44100, 2, "flac"),
        (1.1, 8000, 1, "ogg"),
        (0.7, 22050, 3, "wav"),
        (0.6, 11025, 1, "mp3"),
        (0.03, 16000, 1, "aiff"),
    ],
)
def test_the_waveform_is_that_of_the_file(
    recognizer, audio, tmp_path, seconds, rate, channels, ending
):
    content = audio(seconds, rate, channels, ending)
    (tmp_path / "a").write_bytes(content)
    found = decode(content, Limits(), recognizer.shortest)
    expected = read_audio(tmp_path / "a")
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)


def test_a_file_of_several_blocks(recognizer, audio, tmp_path):
    """More values than are decoded at once."""
    content = audio(2, 8000, 40)
    assert 2 * 8000 * 40 > 2 * BLOCK
    (tmp_path / "a").write_bytes(content)
    found = decode(content, Limits(), recognizer.shortest)
    expected = read_audio(tmp_path / "a")
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)


def written(samples, rate=16000, **options):
    """A wav of given samples."""
    file = BytesIO()
    soundfile.write(file, np.asarray(samples), rate, format="wav", **options)
    return file.getvalue()


def refusal(content, recognizer, **limits):
    """Status and sentence."""
    with pytest.raises(Refusal) as caught:
        decode(content, Limits(**limits), recognizer.shortest)
    sentence = str(caught.value)
    assert "\n" not in sentence and " at 0x" not in sentence
    return caught.value.status, sentence


def test_what_is_no_audio(recognizer, audio):
    for content in (b"", b"\0", b"hello" * 100, bytes(range(256)) * 9):
        status, sentence = refusal(content, recognizer)
        assert status == 415 and "wav or flac" in sentence
    assert refusal(audio(ending="flac")[:40], recognizer)[0] == 415


def test_a_file_that_is_cut_short(recognizer, audio, tmp_path):
    """What is there is classified, as classify_file does."""
    content = audio(3, ending="flac")
    (tmp_path / "a").write_bytes(content[: len(content) // 2])
    found = decode(content[: len(content) // 2], Limits(), recognizer.shortest)
    assert 0.5 * 16000 < len(found) < 2.5 * 16000
    torch.testing.assert_close(found, read_audio(tmp_path / "a"))


def test_what_is_no_speech(recognizer):
    for content, part in [
        (written([]), "0 ms"),
        (written(np.zeros(100)), "6 ms"),
        (written(np.full(16000, np.nan), subtype="FLOAT"), "NaN"),
        (written(np.zeros(9), 100), "100 Hz"),
    ]:
        status, sentence = refusal(content, recognizer)
        assert status == 422 and part in sentence


def test_limits(recognizer, audio):
    content = audio(2)
    status, sentence = refusal(content, recognizer, megabytes=0.05)
    assert status == 413 and "0.05 MB" in sentence
    status, sentence = refusal(content, recognizer, seconds=1.9)
    assert status == 422 and "1.9 s" in sentence
    assert len(decode(content, Limits(2, 0.07), recognizer.shortest)) == 32000


@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf")])
def test_a_limit_that_is_none(value):
    with pytest.raises(InputError, match="max_seconds"):
        Limits(seconds=value)


@settings(deadline=None, max_examples=60)
@given(
    ending=st.sampled_from(["wav", "flac", "ogg", "mp3"]),
    changes=st.lists(
        st.tuples(st.integers(0, 200), st.integers(0, 255)), min_size=1
    ),
)
def test_any_bytes_are_decoded_or_refused(recognizer, audio, ending, changes):
    """Headers with random bytes: no other exception, nothing not a number."""
    content = bytearray(audio(0.1, ending=ending))
    for place, value in changes:
        content[place % len(content)] = value
    try:
        wav = decode(bytes(content), Limits(seconds=5), recognizer.shortest)
    except Refusal:
        return
    assert wav.isfinite().all() and len(wav) <= 5 * 16000 + 1
