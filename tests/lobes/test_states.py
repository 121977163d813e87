"""Encoders of emotion states: of wav2vec 1.0, wav2vec 2.0 and Whisper."""

import json
import shutil

import pytest
import torch

from ser_brain.assets import folder as asset
from ser_brain.lobes import (
    load_encoder,
    load_state_encoder,
    new_state_encoder,
    states_dim,
)
from ser_brain.lobes.states import is_wav2vec
from ser_brain.lobes.transformer_states import TransformerStateEncoder
from ser_brain.lobes.wav2vec import EmotionStateEncoder
from ser_brain.nnet.masking import SpanMask

SPANS = SpanMask(time_prob=0.3, time_span=4, feature_prob=0.3, feature_span=3)
KINDS = {
    "wav2vec": EmotionStateEncoder,
    "wav2vec2": TransformerStateEncoder,
    "whisper": TransformerStateEncoder,
}


@pytest.fixture(scope="module", params=sorted(KINDS))
def source(request, tiny_wav2vec, make_wav2vec2, make_whisper):
    """Folder of a tiny checkpoint of each kind."""
    if request.param == "wav2vec":
        return tiny_wav2vec
    if request.param == "wav2vec2":
        return make_wav2vec2(layerdrop=0.5)
    return make_whisper(encoder_layerdrop=0.5)


@pytest.fixture
def encoder(source):
    """A state encoder with a convolution of its own."""
    torch.manual_seed(0)
    return new_state_encoder(source)


def noise(*samples, filler=0.0):
    """Clips in a padded batch, with their relative lengths."""
    generator = torch.Generator().manual_seed(len(samples))
    batch = torch.full((len(samples), max(samples)), filler)
    for row, count in enumerate(samples):
        batch[row, :count] = 0.1 * torch.randn(count, generator=generator)
    return batch, torch.tensor(samples) / max(samples)


def test_the_kind_follows_from_the_source(source, encoder):
    config = json.loads((source / "config.json").read_text())
    kind = config.get("model_type", "wav2vec")
    assert type(encoder) is KINDS[kind]
    assert is_wav2vec(source) == (kind == "wav2vec")
    assert encoder.dim == states_dim(source)


@torch.no_grad()
@pytest.mark.parametrize("filler", [0.0, 9.0])
def test_a_clip_is_the_same_alone_and_in_a_batch(encoder, filler):
    encoder.eval()
    samples = [9000, 18000, 1300, 6001]
    wavs, wav_lens = noise(*samples, filler=filler)
    together = encoder(wavs, wav_lens)
    lengths = encoder.frame_lengths(torch.tensor(samples))
    assert together.shape == (4, int(lengths.max()), encoder.dim)
    assert (together >= 0).all()
    for row, count in enumerate(samples):
        alone = encoder(wavs[row : row + 1, :count])[0]
        assert len(alone) == encoder.frame_lengths(count) == lengths[row]
        torch.testing.assert_close(
            together[row, : len(alone)], alone, atol=2e-5, rtol=0
        )
        assert not together[row, len(alone) :].any()


def test_a_transformer_gives_as_many_states_as_frames(
    make_wav2vec2, tiny_whisper
):
    for folder in (make_wav2vec2(), tiny_whisper):
        lobe, states = load_encoder(folder), new_state_encoder(folder)
        for samples in (399, 400, 719, 720, 16000, 16001, 48000):
            assert states.frame_lengths(samples) == lobe.frame_lengths(samples)


@torch.no_grad()
def test_saved_and_loaded_it_is_the_same(encoder, tmp_path):
    encoder.eval()
    encoder.save_pretrained(tmp_path / "states")
    again = load_state_encoder(tmp_path / "states").eval()
    assert type(again) is type(encoder)
    batch = noise(9000, 5000)
    assert torch.equal(again(*batch), encoder(*batch))
    learns = {
        name for name, one in again.named_parameters() if one.requires_grad
    }
    assert learns == {
        name for name, one in encoder.named_parameters() if one.requires_grad
    }


def test_masks_are_drawn_in_training_alone(encoder):
    batch = noise(9000, 9000)
    encoder.eval()
    plain = encoder(*batch)
    encoder.span_mask = SPANS
    assert torch.equal(encoder(*batch), plain)
    time_mask, feature_mask = encoder.draw_masks(
        9000, torch.Generator().manual_seed(1)
    )
    assert time_mask.shape == (encoder.masked_lengths(9000),)
    assert feature_mask.shape == (encoder.masked_dim,)
    masked = encoder(
        *batch,
        time_mask=torch.stack([time_mask, torch.zeros_like(time_mask)]),
        feature_mask=torch.stack(
            [feature_mask, torch.zeros_like(feature_mask)]
        ),
    )
    assert not torch.allclose(masked[0], plain[0])
    torch.testing.assert_close(masked[1], plain[1], atol=2e-5, rtol=0)
    again, _ = encoder.draw_masks(9000, torch.Generator().manual_seed(1))
    assert torch.equal(again, time_mask)


def test_an_encoder_without_masks_draws_none(encoder):
    assert encoder.draw_masks(9000) == (None, None)


def test_masks_of_a_call_are_drawn_by_the_span_mask(source):
    drawn = []

    def span_mask(lengths, dim):
        drawn.append((list(lengths), dim))
        return SPANS(lengths, dim)

    encoder = new_state_encoder(source, span_mask=span_mask)
    encoder.train()(*noise(9000, 5000))
    lengths = [encoder.masked_lengths(count) for count in (9000, 5000)]
    assert drawn == [(lengths, encoder.masked_dim)]


def test_the_front_end_is_frozen_and_the_rest_learns(encoder):
    keep = encoder.keep_layers(torch.Generator().manual_seed(0))
    assert (keep is None) == isinstance(encoder, EmotionStateEncoder)
    keep = keep and [True] * len(keep)
    encoder.train()(*noise(9000, 5000), keep=keep).square().sum().backward()
    if keep is None:
        frozen, learning = encoder.wav2vec.extractor, encoder.wav2vec.aggregator
    else:
        frozen = torch.nn.ModuleList(encoder.encoder.cacheable_parts())
        learning = encoder.encoder.layer_stack
    assert all(one.grad is None for one in frozen.parameters())
    assert all(one.grad is not None for one in learning.parameters())
    assert encoder.conv.weight.grad.abs().sum() > 0


def test_dropped_layers_are_not_run(make_whisper):
    encoder = new_state_encoder(make_whisper()).eval()
    wavs, _ = noise(9000)
    both = encoder(wavs, keep=[True, True])
    assert torch.equal(both, encoder(wavs))
    assert not torch.allclose(both, encoder(wavs, keep=[True, False]))


def test_folders_that_hold_no_states_are_refused(source, encoder, tmp_path):
    with pytest.raises(ValueError, match="not an encoder of emotion states"):
        load_state_encoder(source)
    with pytest.raises(OSError, match="neither a local folder"):
        load_state_encoder(tmp_path)
    encoder.save_pretrained(tmp_path / "states")
    with pytest.raises(ValueError, match="no encoder: give one of type"):
        new_state_encoder(tmp_path / "states")
    (tmp_path / "states" / "model.safetensors").write_bytes(b"junk")
    with pytest.raises(ValueError, match="damaged"):
        load_state_encoder(tmp_path / "states")


def test_a_part_that_is_missing_is_no_hub_model(tiny_whisper, tmp_path):
    new_state_encoder(tiny_whisper).save_pretrained(tmp_path)
    shutil.rmtree(tmp_path / "encoder")
    with pytest.raises(OSError, match="encoder"):
        load_state_encoder(tmp_path)


def test_the_embedded_models():
    assert states_dim(asset("nano_wav2vec")) == 96
    assert states_dim(asset("whisper_tiny_en")) == 384
