"""Whisper's encoder: equal to transformers' own, over any length of clip."""

import pytest
import torch
from hypothesis import (
    given,
    settings,
    strategies as st,
)
from transformers import (
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperForAudioClassification,
    WhisperForConditionalGeneration,
    WhisperModel,
)
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from ser_brain.assets import folder as asset
from ser_brain.lobes.whisper import Whisper
from ser_brain.lobes.whisper.encoder import window_edges
from ser_brain.lobes.whisper.log_mel import LogMel

THIRTY_SECONDS = 480000


def clip(samples, seed=0):
    """Noise of changing loudness, shape (1, samples)."""
    generator = torch.Generator().manual_seed(seed)
    wav = torch.randn(1, samples, generator=generator)
    return 0.1 * wav * torch.linspace(0.01, 1, samples)


def their_features(wav, bins=80, **options):
    """What transformers' feature extractor gives, (1, bins, frames)."""
    extractor = WhisperFeatureExtractor(feature_size=bins)
    answer = extractor(wav[0].numpy(), sampling_rate=16000, **options)
    return torch.tensor(answer["input_features"])


@torch.no_grad()
@pytest.mark.parametrize("seconds", [30, 3.7])
def test_equals_transformers_on_30_seconds(seconds):
    source = asset("whisper_tiny_en")
    theirs = WhisperEncoder.from_pretrained(source, dtype=torch.float32)
    wav = torch.zeros(1, THIRTY_SECONDS)
    spoken = int(seconds * 16000)
    wav[:, :spoken] = clip(spoken)
    expected = theirs.eval()(their_features(wav), output_hidden_states=True)
    ours = Whisper(source).eval()
    layers = ours.layers(wav)
    assert layers.shape == (5, 1, 1500, 384)
    for found, states in zip(layers, expected.hidden_states, strict=True):
        torch.testing.assert_close(found, states, atol=1e-4, rtol=0)
    torch.testing.assert_close(
        ours(wav), expected.last_hidden_state, atol=1e-4, rtol=0
    )


@pytest.mark.parametrize("samples", [400, 401, 559, 560, 16000, 20123])
def test_features_are_those_of_the_feature_extractor(samples):
    wav = clip(samples)
    found, lengths = LogMel(80)(wav, torch.tensor([samples]))
    expected = their_features(wav, padding=False)
    assert found.shape == expected.shape
    assert lengths.tolist() == [expected.shape[2]]
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)


def test_features_take_edges_and_maximum_from_the_clip_itself():
    loud, quiet = 5 * clip(16000), 1e-4 * clip(7777, seed=1)
    batch = torch.full((2, 16000), torch.nan)
    batch[0], batch[1, :7777] = loud, quiet
    log_mel = LogMel(24)
    together, lengths = log_mel(batch, torch.tensor([16000, 7777]))
    assert lengths.tolist() == [100, 48]
    alone, _ = log_mel(quiet, torch.tensor([7777]))
    torch.testing.assert_close(together[1:, :, :48], alone, atol=1e-5, rtol=0)
    assert not together[1, :, 48:].any()


def test_autocast_leaves_the_spectrogram_alone():
    wav, samples = clip(8000), torch.tensor([8000])
    log_mel = LogMel(24)
    expected, _ = log_mel(wav, samples)
    with torch.autocast("cpu", torch.bfloat16):
        found, _ = log_mel(wav, samples)
    assert torch.equal(found, expected)


@given(samples=st.integers(400, 10**6))
@settings(deadline=None, max_examples=50)
def test_frame_lengths_are_half_the_spectrograms(samples):
    frames = Whisper.frame_lengths(None, samples)
    assert frames == -(-(samples // 160) // 2)
    tensor = Whisper.frame_lengths(None, torch.tensor([samples]))
    assert tensor.tolist() == [frames]


@given(frames=st.integers(1, 10**5), longest=st.integers(1, 1500))
def test_windows_are_few_and_alike(frames, longest):
    edges = window_edges(frames, longest)
    sizes = [b - a for a, b in zip(edges, edges[1:])]
    assert sum(sizes) == frames
    assert max(sizes) <= longest and max(sizes) - min(sizes) <= 1
    assert len(sizes) == -(-frames // longest)


@torch.no_grad()
def test_a_long_clip_runs_in_windows(tiny_whisper):
    encoder = Whisper(tiny_whisper).eval()
    wav = clip(int(2.9 * 16000))
    features, lengths = encoder.front_end(wav)
    assert lengths.tolist() == [145]
    edges = [0, 48, 96, 145]
    windows = [features[:, a:b] for a, b in zip(edges, edges[1:])]
    expected = [
        encoder.transformer(window, torch.tensor([window.shape[1]]))
        for window in windows
    ]
    whole = encoder(wav)
    torch.testing.assert_close(
        whole, torch.cat(expected, dim=1), atol=1e-5, rtol=0
    )
    assert torch.equal(encoder.layers(wav)[-1], whole)


@torch.no_grad()
def test_a_second_beside_31_seconds():
    encoder = Whisper(asset("whisper_tiny_en")).eval()
    samples = torch.tensor([16000, 31 * 16000])
    batch = torch.zeros(2, 31 * 16000)
    batch[0, :16000], batch[1] = clip(16000), clip(31 * 16000, seed=1)
    together = encoder(batch, samples / samples.max())
    assert together.shape == (2, 1550, 384)
    alone = encoder(batch[:1, :16000])
    torch.testing.assert_close(together[:1, :50], alone, atol=1e-4, rtol=0)
    alone = encoder(batch[1:])
    torch.testing.assert_close(together[1:], alone, atol=1e-4, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize(
    "model_class",
    [
        WhisperEncoder,
        WhisperModel,
        WhisperForConditionalGeneration,
        WhisperForAudioClassification,
    ],
)
def test_any_whisper_in_half_precision_is_read(model_class, tmp_path):
    config = WhisperConfig(
        d_model=16,
        encoder_layers=3,
        encoder_attention_heads=4,
        encoder_ffn_dim=24,
        decoder_layers=1,
        decoder_attention_heads=2,
        decoder_ffn_dim=8,
        num_mel_bins=128,
        vocab_size=10,
        pad_token_id=0,
        bos_token_id=0,
        eos_token_id=0,
        decoder_start_token_id=0,
    )
    model = model_class(config).half()
    model.save_pretrained(tmp_path / "theirs")
    encoder = Whisper(tmp_path / "theirs").eval()
    assert (encoder.dim, len(encoder.layer_stack)) == (16, 3)
    state = {
        name.split("encoder.")[-1]: weight.float()
        for name, weight in model.state_dict().items()
        if "encoder." in name or model_class is WhisperEncoder
    }
    assert state.keys() == encoder.model.state_dict().keys()
    for name, weight in encoder.model.state_dict().items():
        assert weight.dtype == torch.float32
        assert torch.equal(weight, state[name])
    encoder.save_pretrained(tmp_path / "ours")
    theirs = WhisperEncoder.from_pretrained(tmp_path / "ours")
    wav = clip(THIRTY_SECONDS)
    torch.testing.assert_close(
        encoder(wav),
        theirs.eval()(their_features(wav, 128)).last_hidden_state,
        atol=1e-4,
        rtol=0,
    )


def test_a_masked_frame_is_its_position_alone(tiny_whisper):
    encoder = Whisper(tiny_whisper).eval()
    features, _ = encoder.front_end(clip(16000))
    mask = torch.zeros(features.shape[:2], dtype=torch.bool)
    mask[0, 4] = True
    embedded = encoder.embed(encoder.mask(features, mask))
    position = encoder.model.embed_positions.weight[4]
    assert torch.equal(embedded[0, 4], position)


@pytest.mark.parametrize("quick", [True, False])
def test_training_drops_out(tiny_whisper, quick):
    encoder = Whisper(tiny_whisper, quick_dropout=quick).train()
    wav = clip(16000)
    assert not torch.equal(encoder(wav), encoder(wav))
    encoder.eval()
    assert torch.equal(encoder(wav), encoder(wav))
