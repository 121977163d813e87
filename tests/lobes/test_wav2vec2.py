"""wav2vec 2.0: blind to the batch, equal to transformers' own."""

import json

import pytest
import torch
from hypothesis import (
    given,
    settings,
    strategies as st,
)
from transformers import Wav2Vec2FeatureExtractor, Wav2Vec2Model

from ser_brain.lobes.wav2vec2 import Wav2Vec2, Wav2Vec2Pretraining
from ser_brain.nnet.heads import UtteranceHead
from ser_brain.nnet.masking import SpanMask

KINDS = {
    "group": {},
    "layer": {
        "feat_extract_norm": "layer",
        "do_stable_layer_norm": True,
        "conv_bias": True,
    },
}
NO_DROPOUT = {
    "attention_dropout": 0.0,
    "hidden_dropout": 0.0,
    "activation_dropout": 0.0,
    "feat_proj_dropout": 0.0,
    "layerdrop": 0.0,
}


@pytest.fixture(scope="module", params=list(KINDS))
def folder(request, make_wav2vec2):
    """A checkpoint of each kind of norm."""
    return make_wav2vec2(**KINDS[request.param])


@pytest.fixture
def encoder(folder):
    """The lobe in evaluation."""
    return Wav2Vec2(folder).eval()


def _wavs(*samples, filler=0.0, room=0):
    """Clips in a padded batch, with their relative lengths."""
    generator = torch.Generator().manual_seed(len(samples))
    width = max(samples) + room
    batch = torch.full((len(samples), width), filler)
    for row, count in enumerate(samples):
        clip = torch.randn(count, generator=generator)
        batch[row, :count] = 0.1 * clip + 0.02 * row
    return batch, torch.tensor(samples) / width


@torch.no_grad()
@pytest.mark.parametrize("filler", [0.0, 9.0, float("nan")])
def test_a_clip_is_the_same_alone_and_in_a_batch(encoder, filler):
    samples = [9000, 27000, 1300, 400]
    wavs, wav_lens = _wavs(*samples, filler=filler, room=500)
    head = UtteranceHead(encoder.dim, 4)

    together = encoder(wavs, wav_lens)
    logits = head(together, encoder.frame_lengths(torch.tensor(samples)))

    assert together.shape == (4, encoder.frame_lengths(27000), encoder.dim)
    for row, count in enumerate(samples):
        alone = encoder(wavs[row : row + 1, :count])
        frames = encoder.frame_lengths(count)
        assert alone.shape[1] == frames
        torch.testing.assert_close(
            together[row, :frames], alone[0], atol=1e-4, rtol=0
        )
        torch.testing.assert_close(
            logits[row], head(alone)[0], atol=1e-4, rtol=0
        )


@torch.no_grad()
def test_equals_transformers_on_one_clip(folder, encoder):
    wavs, _ = _wavs(12345)
    theirs = Wav2Vec2Model.from_pretrained(folder).eval()
    if encoder.config.feat_extract_norm == "layer":
        normalize = Wav2Vec2FeatureExtractor(do_normalize=True)
        inputs = normalize(wavs[0].numpy(), sampling_rate=16000)
        inputs = torch.tensor(inputs["input_values"][0])[None]
    else:
        inputs = wavs

    expected = theirs(inputs, output_hidden_states=True)

    output = expected.last_hidden_state
    torch.testing.assert_close(encoder(wavs), output, atol=1e-5, rtol=0)
    layers = encoder.layers(wavs)
    # transformers gives the last layer's output before the final norm here.
    inner = [*expected.hidden_states[:-1], output]
    for found, states in zip(layers, inner, strict=True):
        torch.testing.assert_close(found, states, atol=1e-5, rtol=0)


@torch.no_grad()
def test_the_halves_and_kept_features_make_the_whole(encoder):
    wavs, wav_lens = _wavs(9000, 5000)
    whole = encoder(wavs, wav_lens)

    features, lengths = encoder.front_end(wavs, wav_lens)
    kept, _ = encoder.cacheable_features(wavs, wav_lens)

    assert lengths.tolist() == [27, 15]
    assert torch.equal(encoder.transformer(features, lengths), whole)
    assert torch.equal(encoder(wavs, wav_lens, features=kept), whole)


@given(samples=st.integers(0, 10**6))
@settings(deadline=None, max_examples=50)
def test_frame_lengths_are_transformers(tiny_wav2vec2, samples):
    encoder = _once(tiny_wav2vec2)
    expected = encoder.model._get_feat_extract_output_lengths(samples)
    found = encoder.frame_lengths(torch.tensor([samples]))
    assert int(found) == encoder.frame_lengths(samples)
    assert int(found) == max(int(expected), 0)


_ENCODERS = {}


def _once(folder):
    """The lobe of a folder, built once for all examples."""
    if folder not in _ENCODERS:
        _ENCODERS[folder] = Wav2Vec2(folder).eval()
    return _ENCODERS[folder]


@torch.no_grad()
def test_masks_put_the_embedding_and_zeros(tiny_wav2vec2):
    encoder = Wav2Vec2(tiny_wav2vec2)
    features = torch.randn(2, 6, 32)
    before = features.clone()
    time_mask = torch.zeros(2, 6, dtype=torch.bool)
    time_mask[0, 1:3] = True
    feature_mask = torch.zeros(2, 32, dtype=torch.bool)
    feature_mask[1, 5] = True

    masked = encoder.mask(features, time_mask, feature_mask)

    embedding = encoder.model.masked_spec_embed
    assert torch.equal(masked[0, 1:3], embedding.expand(2, -1))
    assert not masked[1, :, 5].any()
    untouched = ~(time_mask[..., None] | feature_mask[:, None])
    assert torch.equal(masked[untouched], before[untouched])
    assert torch.equal(features, before)


def test_span_mask_is_drawn_in_training_alone(make_wav2vec2):
    spans = SpanMask(time_prob=0.3, time_span=3, feature_span=4)
    encoder = Wav2Vec2(make_wav2vec2(**NO_DROPOUT), span_mask=spans)
    wavs, _ = _wavs(9000)
    plain = encoder.eval()(wavs)
    assert torch.equal(encoder(wavs, masks=(None, None)), plain)

    encoder.train()
    torch.manual_seed(3)
    drawn = encoder(wavs)
    torch.manual_seed(3)
    masks = spans([27], encoder.dim)

    assert torch.equal(encoder(wavs, masks=masks), drawn)
    assert not torch.allclose(drawn, plain)


@pytest.mark.parametrize("freeze", [True, False])
def test_freezing_stops_the_front_end_only(make_wav2vec2, freeze):
    folder = make_wav2vec2(layerdrop=0.0)
    encoder = Wav2Vec2(folder, freeze_front_end=freeze).train()
    wavs, wav_lens = _wavs(9000, 7000)
    time_mask = torch.zeros(2, 27, dtype=torch.bool)
    time_mask[:, 3:6] = True

    encoder(wavs, wav_lens, masks=(time_mask, None)).square().sum().backward()

    for name, weight in encoder.model.named_parameters():
        learns = name.startswith("encoder.") or not freeze
        assert (weight.grad is not None) == learns, name


def test_dropped_layers_are_reproducible_and_off_in_eval(make_wav2vec2):
    encoder = Wav2Vec2(make_wav2vec2(layerdrop=0.5))
    seeded = torch.Generator().manual_seed
    draws = [encoder.keep_layers(seeded(seed)) for seed in range(40)]
    again = [encoder.keep_layers(seeded(seed)) for seed in range(40)]
    assert draws == again
    share = sum(map(sum, draws)) / 80
    assert 0.3 < share < 0.7

    wavs, _ = _wavs(5000)
    encoder.eval()
    with torch.no_grad():
        whole = encoder(wavs)
        assert torch.equal(whole, encoder(wavs, keep=[True, True]))
        one = encoder(wavs, keep=[True, False])
        encoder.config.layerdrop = 1.0
        assert torch.equal(whole, encoder(wavs))
    assert not torch.allclose(whole, one)


def test_a_clip_under_one_frame_is_refused(encoder):
    wavs, wav_lens = _wavs(5000, 399)
    with pytest.raises(ValueError, match="399 samples.*needs 400"):
        encoder(wavs, wav_lens)
    assert encoder(*_wavs(400)).shape[1] == 1


def test_another_kind_of_model_is_refused(tmp_path):
    config = {"model_type": "hubert"}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match="'hubert', not 'wav2vec2'"):
        Wav2Vec2(tmp_path)


@pytest.mark.parametrize("source", ["/no/such/folder", "nobody/no-model"])
def test_what_cannot_be_reached_asks_for_a_folder(source, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(OSError, match="give the path of a folder"):
        Wav2Vec2(source)


def test_damaged_weights_are_refused(tiny_wav2vec2, tmp_path):
    config = (tiny_wav2vec2 / "config.json").read_text()
    (tmp_path / "config.json").write_text(config)
    whole = (tiny_wav2vec2 / "model.safetensors").read_bytes()
    (tmp_path / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="damaged.*copy it again"):
        Wav2Vec2(tmp_path)


def test_an_encoder_without_quantizer_cannot_be_pretrained(encoder, tmp_path):
    encoder.save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="lacks.*quantizer"):
        Wav2Vec2Pretraining(tmp_path)


@torch.no_grad()
def test_the_older_names_of_the_position_weights_are_read(
    tiny_wav2vec2, tmp_path
):
    from safetensors.torch import load_file, save_file

    state = load_file(tiny_wav2vec2 / "model.safetensors")
    prefix = "wav2vec2.encoder.pos_conv_embed.conv."
    for number, old in enumerate(("weight_g", "weight_v")):
        name = f"{prefix}parametrizations.weight.original{number}"
        state[prefix + old] = state.pop(name)
    save_file(state, tmp_path / "model.safetensors", {"format": "pt"})
    config = (tiny_wav2vec2 / "config.json").read_text()
    (tmp_path / "config.json").write_text(config)
    wavs, _ = _wavs(5000)

    found = Wav2Vec2Pretraining(tmp_path).encoder.eval()(wavs)

    assert torch.equal(found, Wav2Vec2(tiny_wav2vec2).eval()(wavs))


@torch.no_grad()
def test_what_was_saved_is_read_back(encoder, folder, tmp_path):
    wavs, wav_lens = _wavs(5000, 3000)
    encoder.model.masked_spec_embed.add_(1.0)
    encoder.model.encoder.layer_norm.bias.add_(1.0)
    encoder.save_pretrained(tmp_path / "encoder")
    objective = Wav2Vec2Pretraining(folder)
    objective.save_pretrained(tmp_path / "objective")

    again = Wav2Vec2(tmp_path / "encoder").eval()
    from_objective = Wav2Vec2(tmp_path / "objective").eval()

    expected = encoder(wavs, wav_lens)
    assert torch.equal(again(wavs, wav_lens), expected)
    for name, weight in encoder.model.named_parameters():
        assert torch.equal(again.model.get_parameter(name), weight)
    original = Wav2Vec2(folder).eval()(wavs, wav_lens)
    assert torch.equal(from_objective(wavs, wav_lens), original)
    assert not torch.allclose(expected, original)


@torch.no_grad()
def test_bf16_autocast_runs_padded_or_not(encoder):
    wavs, wav_lens = _wavs(9000, 5000)
    exact = encoder(wavs, wav_lens)
    features, _ = encoder.cacheable_features(wavs, wav_lens)
    with torch.autocast("cpu", torch.bfloat16):
        found = encoder(wavs, wav_lens)
        short = encoder(wavs, wav_lens, features=features)
    scale = exact.abs().max()
    for each in (found, short):
        for row, frames in enumerate((27, 15)):
            error = (each - exact)[row, :frames].abs().max()
            assert error < 0.1 * scale
