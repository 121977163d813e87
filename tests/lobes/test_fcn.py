"""The network on spectrograms: what it computes, and its independence."""

import json

import numpy as np
import pytest
import torch
from torch import nn

from ser_brain.lobes import load_frame_encoder
from ser_brain.lobes.fcn import LogSpectrogram, SpectrogramFCN
from ser_brain.lobes.wav2vec import Wav2Vec

SMALL = (3, 4, 5, 4, 6)


@pytest.fixture
def encoder():
    torch.manual_seed(0)
    return SpectrogramFCN(channels=SMALL).eval()


def test_the_spectrogram_is_numpys(encoder):
    wav = torch.randn(9000, generator=torch.Generator().manual_seed(1))
    x, lengths = LogSpectrogram(least=1)(wav[None], torch.tensor([9000]))
    frames = 1 + (9000 - 640) // 160
    assert lengths.tolist() == [frames] and x.shape == (1, frames, 400)
    window = 0.54 - 0.46 * np.cos(2 * np.pi * np.arange(640) / 640)
    rows = [
        np.log(np.abs(np.fft.rfft(window * part, 1600)[:400]))
        for part in (wav[160 * n :][:640].numpy() for n in range(frames))
    ]
    expected = (np.array(rows) - np.mean(rows)) / np.std(rows)
    np.testing.assert_allclose(x[0].numpy(), expected, atol=1e-3)


def test_the_layers_are_alexnets(encoder):
    """torchvision's own stack, built from its published numbers."""
    ones, twos, threes, fours, fives = encoder.convolutions
    alexnet = nn.Sequential(
        ones, nn.ReLU(), nn.MaxPool2d(3, 2),
        twos, nn.ReLU(), nn.MaxPool2d(3, 2),
        threes, nn.ReLU(), fours, nn.ReLU(), fives, nn.ReLU(),
        nn.MaxPool2d(3, 2),
    )  # fmt: skip
    shapes = [(one.kernel_size[0], one.stride[0], one.padding[0])
              for one in encoder.convolutions]  # fmt: skip
    assert shapes == [(11, 4, 2), (5, 1, 2), (3, 1, 1), (3, 1, 1), (3, 1, 1)]
    wavs = torch.randn(1, 24000)
    x, _ = encoder.spectrogram(wavs, torch.tensor([24000]))
    expected = alexnet(x[:, None])[0]
    places = encoder(wavs)[0]
    assert len(places) == encoder.frame_lengths(24000)
    torch.testing.assert_close(
        places.T.reshape(expected.shape), expected, atol=1e-5, rtol=1e-4
    )


def test_a_clip_does_not_see_its_batch(encoder):
    samples = torch.tensor([32000, 17123, 900])
    wavs = torch.full((3, 32000), 7.0)
    clips = [torch.randn(n) for n in samples.tolist()]
    for row, clip in zip(wavs, clips):
        row[: len(clip)] = clip
    together = encoder(wavs, samples / 32000)
    lengths = encoder.frame_lengths(samples)
    for row, clip, length in zip(together, clips, lengths.tolist()):
        alone = encoder(clip[None])[0]
        assert len(alone) == length == encoder.frame_lengths(len(clip))
        torch.testing.assert_close(row[:length], alone, atol=1e-5, rtol=1e-4)
        assert not row[length:].any()


def test_short_clips_are_padded_and_shorter_ones_refused(encoder):
    assert encoder.frame_lengths(640) == encoder.frame_lengths(9000) == 11
    assert encoder(torch.randn(1, 640)).isfinite().all()
    assert encoder.frame_lengths(639) == 0
    with pytest.raises(ValueError, match="639 samples.*needs 640 .40 ms"):
        encoder(torch.randn(1, 639))
    assert encoder(torch.zeros(1, 16000)).isfinite().all()


def test_saved_and_loaded(encoder, tmp_path):
    encoder.save_pretrained(tmp_path)
    again = load_frame_encoder(tmp_path).eval()
    wavs = torch.randn(1, 16000)
    assert torch.equal(again(wavs), encoder(wavs))
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "n_fft": 640}))
    assert load_frame_encoder(tmp_path).bins == 4
    config["channels"] = [1, 2, 3, 4, 5]
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match="do not fit the options"):
        load_frame_encoder(tmp_path)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"channels": (4, 4)}, "fcn_channels is .4, 4.: give the channels"),
        ({"n_fft": 400}, "fcn_n_fft is 400: a window of 640 samples"),
        ({"highest": 500.0}, "gives 50 bins below 500 Hz"),
    ],
)
def test_options_that_cannot_be(options, told):
    with pytest.raises(ValueError, match=told):
        SpectrogramFCN(**options)


def test_wav2vec_frames_for_a_head_are_the_aggregators(tiny_wav2vec):
    encoder = load_frame_encoder(tiny_wav2vec).eval()
    wavs = torch.randn(2, 8000)
    expected = Wav2Vec(tiny_wav2vec).eval()(wavs)
    assert torch.equal(encoder(wavs), expected)
    assert torch.equal(encoder.layers(wavs)[0], expected)
    assert encoder.frame_lengths(encoder.shortest) == 1
    assert encoder.frame_lengths(encoder.shortest - 1) == 0
    assert encoder.n_layers == 1 and encoder.keep_layers() is None
