"""Audio files of every rate and channel count to mono at 16 kHz."""

import resource

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import (
    given,
    strategies as st,
)
from scipy.signal import resample_poly

from ser_brain.dataio.audio import (
    played,
    read_audio,
    resampled,
    resampled_count,
)
from ser_brain.errors import InputError


def _tone(hertz, rate, seconds=0.5):
    return 0.5 * np.sin(
        2 * np.pi * hertz * np.arange(int(rate * seconds)) / rate
    )


def test_real_speech_is_resampled(shared_corpora):
    paths = sorted(shared_corpora.rglob("*.flac"))[:400:100]
    assert paths
    for path in paths:
        samples, rate = soundfile.read(path, always_2d=True)
        expected = resample_poly(samples.mean(1), 16000, rate)
        found = read_audio(path)
        assert found.dtype == torch.float32
        assert abs(len(found) - len(samples) * 16000 / rate) < 2
        shared = min(len(found), len(expected))
        error = found.numpy()[:shared] - expected[:shared]
        assert error.std() < 0.03 * expected.std()


@pytest.mark.parametrize("rate", [8000, 16000, 22050, 48000])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("suffix", ["wav", "flac"])
def test_any_rate_and_channel_count(tmp_path, rate, channels, suffix):
    path = tmp_path / f"clip.{suffix}"
    tone = np.repeat(_tone(440, rate)[:, None], channels, axis=1)
    soundfile.write(path, tone, rate)

    wav = read_audio(path)

    assert wav.shape == (8000,)
    middle = slice(400, -400)
    expected = torch.from_numpy(_tone(440, 16000)).float()
    assert (wav - expected)[middle].abs().max() < 0.01


@pytest.mark.parametrize("rate", [11127, 22254, 47981, 2**31 - 1])
def test_no_rate_takes_more_memory_than_another(tmp_path, rate):
    path = tmp_path / "odd.wav"
    soundfile.write(path, np.zeros(8000), rate)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert len(read_audio(path)) == resampled_count(8000, rate)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 100_000  # KiB


@given(st.integers(1, 3000), st.integers(1000, 200_000))
def test_the_number_of_samples_is_known_before(samples, rate):
    found = resampled(torch.zeros(samples), rate, 16000)
    assert len(found) == resampled_count(samples, rate)
    assert found.dtype == torch.float32


def test_a_speed_moves_the_pitch():
    tone = torch.from_numpy(_tone(400, 16000, seconds=1.1)).float()
    faster = played(tone, 1.1)
    expected = torch.from_numpy(_tone(440, 16000, seconds=1)).float()
    assert (faster - expected)[400:-400].abs().max() < 0.01
    assert played(tone, 1.0) is tone


def test_a_rate_that_no_recording_has_is_refused(tmp_path):
    path = tmp_path / "slow.wav"
    soundfile.write(path, np.zeros(100), 10)
    with pytest.raises(InputError, match="slow.wav has a sampling rate of 10"):
        read_audio(path)


def test_channels_are_averaged(tmp_path):
    path = tmp_path / "stereo.wav"
    left = _tone(300, 16000)
    soundfile.write(path, np.stack([left, -left], axis=1), 16000)
    assert read_audio(path).abs().max() < 1e-4


def test_another_rate_can_be_asked_for(tmp_path):
    path = tmp_path / "clip.wav"
    soundfile.write(path, _tone(440, 16000), 16000)
    assert read_audio(path, sample_rate=8000).shape == (4000,)


@pytest.mark.parametrize(
    "content, message",
    [(None, "cannot be read"), (b"", "cannot be read"), (b"RIFFxx", "cannot")],
)
def test_what_is_no_audio_is_refused(tmp_path, content, message):
    path = tmp_path / "clip.wav"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=f"clip.wav {message}"):
        read_audio(path)


def test_a_file_without_samples_is_refused(tmp_path):
    path = tmp_path / "clip.wav"
    soundfile.write(path, np.zeros(0), 16000)
    with pytest.raises(InputError, match="clip.wav holds no samples"):
        read_audio(path)


def test_a_file_without_a_header_is_refused(tmp_path):
    path = tmp_path / "clip.raw"
    path.write_bytes(bytes(4000))
    with pytest.raises(InputError, match="clip.raw cannot be read"):
        read_audio(path)
