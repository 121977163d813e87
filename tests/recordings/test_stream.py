"""Recordings read block by block."""

import numpy as np
import pytest
import soundfile

from ser_brain.dataio.audio import read_audio
from ser_brain.errors import InputError
from ser_brain.recordings import Recording
from ser_brain.recordings.timeline import Envelope


def noise(seconds, rate, channels=1, seed=0):
    """Noise, shape (samples, channels)."""
    draws = np.random.default_rng(seed)
    shape = int(seconds * rate), channels
    return (0.1 * draws.standard_normal(shape)).astype(np.float32)


@pytest.mark.parametrize("suffix", ["wav", "flac"])
@pytest.mark.parametrize("rate, channels", [(8000, 1), (16000, 2), (44100, 3)])
@pytest.mark.parametrize("seconds", [0.05, 0.7, 60])
def test_blocks_are_the_file(tmp_path, suffix, rate, channels, seconds):
    """Joined, they are what reading it whole gives, whatever their size."""
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, noise(2.345, rate, channels), rate)
    recording = Recording(path)
    streamed = np.concatenate(list(recording.blocks(seconds)))
    whole = read_audio(path).numpy()
    assert len(streamed) == len(whole) and streamed.dtype == np.float32
    np.testing.assert_allclose(streamed, whole, atol=2e-6)
    assert not recording.truncated


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3", "aiff"])
def test_a_truncated_file_is_told(tmp_path, suffix, caplog):
    """What there is of it is read, and it is said to be truncated."""
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, noise(20, 16000), 16000)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    recording = Recording(path)
    count = sum(map(len, recording.blocks(1)))
    assert 8 * 16000 < count < 12 * 16000
    assert recording.truncated
    recording.warn(count / 16000)
    assert (
        "a." in caplog.text
        and "is truncated: it can be read for" in caplog.text
    )


def write_nan(path):
    """A file whose second half has a NaN."""
    samples = noise(2, 16000)
    samples[30000] = np.nan
    soundfile.write(path, samples, 16000, subtype="FLOAT")


@pytest.mark.parametrize(
    "write, sentence",
    [
        (lambda path: None, "cannot be read: there is no such file"),
        (lambda path: path.write_text("no audio"), "cannot be read as audio"),
        (
            lambda path: soundfile.write(path, np.zeros(0), 16000),
            "holds no samples",
        ),
        (write_nan, "holds NaN or infinite samples"),
        (
            lambda path: soundfile.write(path, np.zeros(100), 400),
            "has a sampling rate of 400 Hz",
        ),
    ],
)
def test_what_is_no_recording(tmp_path, write, sentence):
    """One sentence that names the file."""
    path = tmp_path / "a.wav"
    write(path)
    with pytest.raises(InputError, match=f"a.wav {sentence}"):
        list(Recording(path).blocks(0.5))


def test_the_envelope_holds_each_sample():
    """Least and largest of each 20 ms, however the blocks fall."""
    samples = noise(0.333, 16000)[:, 0]
    envelope = Envelope()
    for begin in range(0, len(samples), 777):
        envelope.add(samples[begin : begin + 777])
    parts = [samples[n : n + 320] for n in range(0, len(samples), 320)]
    expected = [(part.min(), part.max()) for part in parts]
    np.testing.assert_array_equal(envelope.values(), expected)
