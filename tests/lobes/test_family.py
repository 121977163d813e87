"""wav2vec 2.0's relatives: equal to transformers, blind to the batch."""

import copy

import pytest
import torch
from transformers import AutoModel, Wav2Vec2FeatureExtractor
from transformers.models.wavlm.modeling_wavlm import WavLMAttention

from ser_brain.lobes import load_encoder
from ser_brain.lobes.wav2vec2.family import silence
from ser_brain.nnet.dropout import QuickDropout

LARGE = {
    "feat_extract_norm": "layer",
    "do_stable_layer_norm": True,
    "conv_bias": True,
}
VARIANTS = {
    "wav2vec2": ("wav2vec2", {}),
    "wav2vec2, large and XLS-R": ("wav2vec2", LARGE),
    "hubert": ("hubert", {}),
    "hubert, large": ("hubert", LARGE),
    "hubert, batch norm": ("hubert", {"conv_pos_batch_norm": True}),
    "hubert, no norm": ("hubert", {"feat_proj_layer_norm": False}),
    "wavlm": ("wavlm", {}),
    "wavlm, large": ("wavlm", LARGE),
    "data2vec-audio": ("data2vec-audio", {}),
    "data2vec-audio, even": ("data2vec-audio", {"conv_pos_kernel_size": 4}),
    "unispeech-sat": ("unispeech-sat", {}),
    "unispeech-sat, large": ("unispeech-sat", LARGE),
}
# emotion2vec has no counterpart in transformers (test_emotion2vec.py).
FAMILY = {**VARIANTS, "emotion2vec": ("emotion2vec", {})}
NO_DROPOUT = {
    "attention_dropout": 0.0,
    "hidden_dropout": 0.0,
    "activation_dropout": 0.0,
    "feat_proj_dropout": 0.0,
}


@pytest.fixture(scope="module", params=list(FAMILY))
def folder(request, make_encoder):
    """A checkpoint of each kind, in each shape that is published."""
    kind, options = FAMILY[request.param]
    return make_encoder(kind, num_hidden_layers=3, **NO_DROPOUT, **options)


@pytest.fixture
def encoder(folder):
    """The lobe in evaluation."""
    return load_encoder(folder).eval()


@pytest.fixture
def wavlm(make_encoder):
    """WavLM with dropout, in training."""
    return load_encoder(make_encoder("wavlm", num_hidden_layers=3))


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
@pytest.mark.parametrize("folder", VARIANTS, indirect=True)
def test_equals_transformers_on_one_clip(folder, encoder):
    wavs, _ = _wavs(22345)
    theirs = AutoModel.from_pretrained(folder).eval()
    inputs = wavs
    if encoder.normalizes_clips:
        normalize = Wav2Vec2FeatureExtractor(do_normalize=True)
        inputs = normalize(wavs[0].numpy(), sampling_rate=16000)
        inputs = torch.tensor(inputs["input_values"][0])[None]

    expected = theirs(inputs, output_hidden_states=True)

    output = expected.last_hidden_state
    torch.testing.assert_close(encoder(wavs), output, atol=1e-5, rtol=0)
    # transformers gives the last layer's output before the final norm here.
    inner = [*expected.hidden_states[:-1], output]
    for found, states in zip(encoder.layers(wavs), inner, strict=True):
        torch.testing.assert_close(found, states, atol=1e-5, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize("filler", [0.0, float("nan")])
@pytest.mark.parametrize("keep", [[True] * 3, [False, True, True]])
def test_a_clip_is_the_same_alone_and_in_a_batch(encoder, filler, keep):
    samples = [9000, 27000, 1300, 400]
    wavs, wav_lens = _wavs(*samples, filler=filler, room=500)

    together = encoder(wavs, wav_lens, keep=keep)

    for row, count in enumerate(samples):
        alone = encoder(wavs[row : row + 1, :count], keep=keep)[0]
        assert len(alone) == encoder.frame_lengths(count)
        torch.testing.assert_close(
            together[row, : len(alone)], alone, atol=1e-4, rtol=0
        )


def test_so_are_the_gradients(encoder):
    """Training does not depend on the batch, either."""
    encoder.train()
    samples = [9000, 5000]
    wavs, wav_lens = _wavs(*samples, room=300)
    weights = [
        (name, weight)
        for name, weight in encoder.named_parameters()
        if weight.requires_grad and "rel_attn" not in name
    ]

    def gradients(states):
        return torch.autograd.grad(
            states.square().sum(),
            [weight for _, weight in weights],
            allow_unused=True,
        )

    keep = [False, True, True]
    frames = encoder.frame_lengths(5000)
    together = gradients(encoder(wavs, wav_lens, keep=keep)[1, :frames])
    alone = gradients(encoder(wavs[1:, :5000], keep=keep)[0])
    for (name, _), found, expected in zip(weights, together, alone):
        assert (found is None) == (expected is None), name
        if found is not None:
            scale = expected.abs().max() + 1
            assert (found - expected).abs().max() < 1e-4 * scale, name


@torch.no_grad()
def test_kept_features_make_the_whole(encoder):
    wavs, wav_lens = _wavs(9000, 5000)
    whole = encoder(wavs, wav_lens)
    kept, _ = encoder.cacheable_features(wavs, wav_lens)
    assert torch.equal(encoder(wavs, wav_lens, features=kept), whole)


@torch.no_grad()
def test_saved_and_loaded_it_is_the_same(encoder, tmp_path):
    wavs, wav_lens = _wavs(9000, 5000)
    encoder.save_pretrained(tmp_path)
    again = load_encoder(tmp_path).eval()
    assert torch.equal(again(wavs, wav_lens), encoder(wavs, wav_lens))


@pytest.mark.parametrize("folder", VARIANTS, indirect=True)
def test_transformers_reads_what_is_saved(encoder, tmp_path):
    encoder.save_pretrained(tmp_path)
    theirs = AutoModel.from_pretrained(tmp_path).state_dict()
    assert theirs.keys() == encoder.model.state_dict().keys()


@torch.no_grad()
def test_wavlm_s_bias_outlives_its_first_layer(make_encoder):
    options = {"num_hidden_layers": 3, **NO_DROPOUT}
    encoder = load_encoder(make_encoder("wavlm", **options)).eval()
    theirs = AutoModel.from_pretrained(make_encoder("wavlm", **options)).eval()
    wavs, _ = _wavs(9000)
    features, lengths = encoder.front_end(wavs)
    x = theirs.encoder.layer_norm(
        features + theirs.encoder.pos_conv_embed(features)
    )
    # What transformers' first layer would have handed on.
    frames = int(lengths)
    bias = theirs.encoder.layers[0].attention.compute_bias(frames, frames)
    for layer in theirs.encoder.layers[1:]:
        x, _ = layer(x, position_bias=bias)
    found = encoder.transformer(features, lengths, keep=[False, True, True])
    torch.testing.assert_close(found, x, atol=1e-5, rtol=0)


def test_wavlm_s_bias_learns_without_its_first_layer(wavlm):
    wavs, wav_lens = _wavs(9000, 5000)
    wavlm(wavs, wav_lens, keep=[False, True, True]).square().sum().backward()
    table = wavlm.layer_stack[0].attention.rel_attn_embed.weight
    assert table.grad.abs().sum() > 0


def test_wavlm_drops_attention_weights_in_training(wavlm):
    wavs, _ = _wavs(9000)
    for module in wavlm.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    with torch.no_grad():
        exact = wavlm.eval()(wavs)
        wavlm.train()
        keep = [True] * 3
        drawn = [wavlm(wavs, keep=keep) for _ in range(400)]
    mean = torch.stack(drawn).mean(0)
    assert not torch.equal(drawn[0], drawn[1])
    assert (mean - exact).abs().mean() < (drawn[0] - exact).abs().mean() / 3


@pytest.mark.parametrize("quick", [True, False])
def test_quick_dropout_of_wavlm_is_a_choice(make_encoder, quick):
    encoder = load_encoder(make_encoder("wavlm"), quick_dropout=quick)
    found = {
        type(module) is QuickDropout
        for module in encoder.modules()
        if isinstance(module, torch.nn.Dropout)
    }
    assert found == {quick}
    again = copy.deepcopy(encoder).eval()
    wavs, _ = _wavs(5000)
    assert torch.equal(again(wavs), encoder.eval()(wavs))
    for layer in again.layer_stack:
        assert isinstance(layer.attention, WavLMAttention)


def test_hubert_s_batch_norm_keeps_its_statistics(make_encoder):
    folder = make_encoder("hubert", conv_pos_batch_norm=True)
    encoder = load_encoder(folder).train()
    norm = encoder.model.encoder.pos_conv_embed.batch_norm
    before = norm.running_mean.clone(), norm.running_var.clone()
    encoder(_wavs(9000)[0])
    assert torch.equal(norm.running_mean, before[0])
    assert torch.equal(norm.running_var, before[1])


def test_masks_without_an_embedding_are_refused(make_encoder):
    folder = make_encoder("wav2vec2", mask_time_prob=0.0)
    encoder = load_encoder(folder).eval()
    wavs, _ = _wavs(9000)
    assert encoder(wavs).shape == (1, 27, 32)
    time_mask = torch.ones(1, 27, dtype=torch.bool)
    with pytest.raises(ValueError, match="set mask_time_prob to 0.05 there"):
        encoder(wavs, masks=(time_mask, None))


@torch.no_grad()
def test_bf16_autocast_runs_padded_or_not(encoder):
    wavs, wav_lens = _wavs(9000, 5000)
    exact = encoder(wavs, wav_lens)
    with torch.autocast("cpu", torch.bfloat16):
        found = encoder(wavs, wav_lens)
    scale = exact.abs().max()
    for row, frames in enumerate((27, 15)):
        error = (found - exact)[row, :frames].abs().max()
        assert error < 0.1 * scale


def test_nothing_is_silenced_without_padding():
    channels = torch.ones(1, 2, 3)
    assert silence(channels, None) is channels
