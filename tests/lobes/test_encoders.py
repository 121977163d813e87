"""What every encoder has in common, for each lobe."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from ser_brain.assets import folder as asset
from ser_brain.lobes import encoder_dim, encoder_layers, load_encoder
from ser_brain.lobes.registry import ENCODERS
from ser_brain.lobes.wav2vec2 import Wav2Vec2, Wav2Vec2Pretraining
from ser_brain.lobes.whisper import Whisper
from ser_brain.nnet.masking import SpanMask


@pytest.fixture(scope="module", params=sorted(ENCODERS))
def source(request, make_encoder):
    """Folder of a tiny checkpoint of each kind."""
    return make_encoder(request.param, layerdrop=0.5)


@pytest.fixture
def encoder(source):
    """The lobe in evaluation."""
    return load_encoder(source).eval()


def clips(*samples, filler=0.0, room=0):
    """Clips in a padded batch, with their relative lengths."""
    generator = torch.Generator().manual_seed(len(samples))
    width = max(samples) + room
    batch = torch.full((len(samples), width), filler)
    for row, count in enumerate(samples):
        batch[row, :count] = 0.1 * torch.randn(count, generator=generator)
    return batch, torch.tensor(samples) / width


def test_the_lobe_follows_from_config_json(source, encoder):
    kind = json.loads((source / "config.json").read_text())["model_type"]
    assert type(encoder) is ENCODERS[kind]
    assert encoder.dim == encoder_dim(source) == 32
    assert len(encoder.layer_stack) == encoder_layers(source)
    assert encoder.frame_rate * encoder.hop == 16000


@torch.no_grad()
@pytest.mark.parametrize("filler", [0.0, 9.0, float("nan")])
def test_a_clip_is_the_same_alone_and_in_a_batch(encoder, filler):
    samples = [9000, 18000, 1300, 400]
    wavs, wav_lens = clips(*samples, filler=filler, room=500)
    together = encoder(wavs, wav_lens)
    lengths = encoder.frame_lengths(torch.tensor(samples))
    assert together.shape == (4, int(lengths[1]), encoder.dim)
    for row, count in enumerate(samples):
        alone = encoder(wavs[row : row + 1, :count])[0]
        assert len(alone) == encoder.frame_lengths(count) == lengths[row]
        torch.testing.assert_close(
            together[row, : len(alone)], alone, atol=2e-5, rtol=0
        )


@torch.no_grad()
def test_halves_and_kept_features_make_the_whole(encoder):
    wavs, wav_lens = clips(9000, 5000)
    whole = encoder(wavs, wav_lens)
    features, lengths = encoder.front_end(wavs, wav_lens)
    kept, kept_lengths = encoder.cacheable_features(wavs, wav_lens)
    assert kept.shape[2] == encoder.cacheable_dim
    assert torch.equal(lengths, kept_lengths)
    assert torch.equal(encoder.transformer(features, lengths), whole)
    assert torch.equal(encoder(wavs, wav_lens, features=kept), whole)
    half = encoder(wavs, wav_lens, features=kept.half())
    assert half.dtype == torch.float32
    torch.testing.assert_close(half, whole, atol=0.05, rtol=0)


@torch.no_grad()
def test_layers_end_with_the_output_and_are_blind_to_the_batch(encoder):
    samples = [9000, 5000]
    wavs, wav_lens = clips(*samples, filler=float("nan"), room=300)
    layers = encoder.layers(wavs, wav_lens)
    frames = encoder.frame_lengths(9000)
    assert layers.shape == (3, 2, frames, encoder.dim)
    assert torch.equal(layers[-1], encoder(wavs, wav_lens))
    alone = encoder.layers(wavs[1:, :5000])
    torch.testing.assert_close(
        layers[:, 1:, : alone.shape[2]], alone, atol=2e-5, rtol=0
    )


@torch.no_grad()
def test_layers_ignore_masks_and_layer_drop(encoder):
    batch = clips(9000, 5000)
    expected = encoder.layers(*batch)
    encoder.span_mask = SpanMask(time_prob=0.5, time_span=5)
    # The modules below stay in evaluation, so that nothing but masks and
    # layer drop could differ.
    encoder.training = True
    encoder.config.dropout = 0.0
    assert torch.equal(encoder.layers(*batch), expected)


@torch.no_grad()
def test_masks_change_masked_frames_and_features_alone(encoder):
    features, _ = encoder.front_end(*clips(9000, 9000))
    before = features.clone()
    time_mask = torch.zeros(features.shape[:2], dtype=torch.bool)
    time_mask[0, 3:6] = True
    feature_mask = torch.zeros(2, encoder.dim, dtype=torch.bool)
    feature_mask[1, 7] = True
    masked = encoder.mask(features, time_mask, feature_mask)
    assert torch.equal(features, before)
    embedding = encoder.mask_embedding.expand(3, encoder.dim)
    assert torch.equal(masked[0, 3:6], embedding)
    assert torch.equal(masked[0, :3], features[0, :3])
    assert torch.equal(masked[0, 6:], features[0, 6:])
    assert not masked[1, :, 7].any()
    assert torch.equal(masked[1, :, :7], features[1, :, :7])


@torch.no_grad()
def test_dropped_layers_are_not_run(encoder):
    wavs, _ = clips(9000)
    both, first = encoder(wavs), encoder(wavs, keep=[True, False])
    features, lengths = encoder.front_end(wavs)
    states = list(encoder.hidden_states(features, lengths, [True, False]))
    assert len(states) == 2
    assert torch.equal(states[-1], first) and not torch.equal(first, both)
    drawn = [encoder.keep_layers() for _ in range(50)]
    assert {len(keep) for keep in drawn} == {2}
    assert 20 < sum(sum(keep) for keep in drawn) < 80


def test_a_frozen_front_end_learns_nothing(source):
    wavs, wav_lens = clips(9000, 5000)
    for frozen in (True, False):
        encoder = load_encoder(source, freeze_front_end=frozen)
        encoder(wavs, wav_lens, keep=[True, True]).square().sum().backward()
        for part in encoder.cacheable_parts():
            for weight in part.parameters():
                assert weight.requires_grad != frozen
                assert (weight.grad is None) == frozen
        layer = encoder.layer_stack[0]
        assert all(weight.grad is not None for weight in layer.parameters())


@torch.no_grad()
def test_saved_and_loaded_it_is_the_same(encoder, tmp_path):
    encoder.save_pretrained(tmp_path)
    again = load_encoder(tmp_path).eval()
    wavs, wav_lens = clips(9000, 5000)
    assert torch.equal(again(wavs, wav_lens), encoder(wavs, wav_lens))
    assert again.front_end_fingerprint() == encoder.front_end_fingerprint()
    next(again.cacheable_parts()[0].parameters()).add_(1)
    assert again.front_end_fingerprint() != encoder.front_end_fingerprint()


def test_a_clip_that_is_too_short_is_refused(encoder):
    assert encoder.frame_lengths(399) == 0
    assert encoder.frame_lengths(400) == 1
    with pytest.raises(ValueError) as refused:
        encoder(*clips(9000, 399))
    assert f"399 samples, but {encoder.name} needs 400" in str(refused.value)


def write_config(folder, **config):
    """A folder with a config.json alone."""
    (folder / "config.json").write_text(json.dumps(config))
    return folder


@pytest.mark.parametrize("load", [load_encoder, encoder_dim, encoder_layers])
def test_other_sources_are_refused_in_one_sentence(load, tmp_path):
    with pytest.raises(OSError, match="neither a local folder"):
        load(tmp_path)
    with pytest.raises(ValueError, match="names no model_type"):
        load(write_config(tmp_path, hidden_size=3))
    with pytest.raises(ValueError) as refused:
        load(write_config(tmp_path, model_type="bert"))
    assert str(refused.value) == (
        f"{tmp_path} holds a model of type 'bert', for which there is no "
        "encoder: give one of type data2vec-audio, emotion2vec, hubert, "
        "unispeech-sat, wav2vec2, wavlm or whisper."
    )


def test_damaged_and_incomplete_weights_are_refused(source, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(source, folder)
    weights = folder / "model.safetensors"
    state = load_file(weights)
    gone = [key for key in state if "layers.1." in key]
    save_file({k: v for k, v in state.items() if k not in gone}, weights)
    with pytest.raises(ValueError, match="lacks weights of"):
        load_encoder(folder)
    weights.write_bytes(weights.read_bytes()[:500])
    with pytest.raises(ValueError, match="damaged"):
        load_encoder(folder)


def test_a_lobe_refuses_another_kind_and_says_what_it_needs():
    whisper, wav2vec2 = asset("whisper_tiny_en"), asset("nano_wav2vec2")
    with pytest.raises(ValueError, match="'whisper', not 'wav2vec2'"):
        Wav2Vec2(whisper)
    with pytest.raises(ValueError, match="'wav2vec2', not 'whisper'"):
        Whisper(wav2vec2)
    with pytest.raises(ValueError) as refused:
        Wav2Vec2Pretraining(whisper)
    assert str(refused.value).startswith(f"{whisper} holds a model of type")
    assert "with its quantizer, which contrastive" in str(refused.value)
