"""wav2vec 1.0: the arithmetic, the blindness to padding, the folder."""

import json
import math

import fairseq_reference as reference
import pytest
import torch
from hypothesis import (
    given,
    settings,
    strategies as st,
)

from ser_brain.lobes.wav2vec import (
    EmotionStateEncoder,
    Wav2Vec,
    Wav2VecPretraining,
)
from ser_brain.nnet.masking import SpanMask

VARIANTS = list(reference.VARIANTS)


def _speech_like(*samples, seed=0):
    generator = torch.Generator().manual_seed(seed)
    wav = torch.randn(*samples, generator=generator)
    return wav.cumsum(-1).sin() * torch.linspace(0.05, 0.5, samples[-1])


def _model(tmp_path, variant, **kwargs):
    options = reference.options_of(variant)
    weights = reference.random_weights(options)
    path = reference.write_checkpoint(tmp_path / "w.pt", options, weights)
    return Wav2Vec(path, **kwargs).eval(), weights, options


@pytest.fixture
def large(tmp_path):
    return _model(tmp_path, "large")[0]


@pytest.mark.parametrize("samples", [465, 1301, 9000])
@pytest.mark.parametrize("variant", VARIANTS)
def test_equals_the_plain_reference(tmp_path, variant, samples):
    model, weights, options = _model(tmp_path, variant)
    wav = _speech_like(samples)

    with torch.no_grad():
        z = reference.extract(wav, weights, options)
        c = reference.aggregate(z, weights, options)
        found_z, found_c = model.features(wav[None]), model(wav[None])

    torch.testing.assert_close(found_z.transpose(1, 2), z, atol=1e-5, rtol=0)
    torch.testing.assert_close(found_c.transpose(1, 2), c, atol=1e-5, rtol=0)
    assert found_z.shape == (1, z.shape[2], model.feature_dim)
    assert found_c.shape == (1, model.frame_lengths(samples), model.dim)


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_clip_is_the_same_alone_and_in_a_batch(tmp_path, variant):
    model, *_ = _model(tmp_path, variant)
    encoder = EmotionStateEncoder(model).eval()
    samples = [4000, 12000, 1111, 1300]
    batch = torch.full((4, max(samples)), 7.0)
    for row, n in enumerate(samples):
        batch[row, :n] = _speech_like(n, seed=row)
    wav_lens = torch.tensor(samples) / max(samples)

    with torch.no_grad():
        for run, lengths in (
            (model.features, model.feature_lengths),
            (model, model.frame_lengths),
            (encoder, encoder.frame_lengths),
        ):
            together = run(batch, wav_lens)
            for row, n in enumerate(samples):
                alone = run(batch[row : row + 1, :n], torch.ones(1))[0]
                frames = lengths(n)
                assert len(alone) == frames
                difference = together[row, :frames] - alone
                assert difference.abs().max() < 1e-4
                assert not together[row, frames:].any()


@pytest.mark.parametrize("new_style", [False, True])
def test_old_and_new_checkpoints_and_the_folder_agree(tmp_path, new_style):
    options = reference.options_of("replicate")
    weights = reference.random_weights(options)
    half = {name: value.half() for name, value in weights.items()}
    path = reference.write_checkpoint(
        tmp_path / "w.pt", options, half, new_style
    )
    model = Wav2Vec(path).eval()
    wavs = _speech_like(2, 3000)
    c = model(wavs)
    assert c.dtype == torch.float32

    for dtype in (torch.float32, torch.float16):
        folder = tmp_path / "deep" / str(dtype)
        model.save_pretrained(folder, dtype)
        again = Wav2Vec(folder).eval()
        # The weights were fp16 from the start: either dtype holds them.
        assert torch.equal(again(wavs), c)
        assert {p.dtype for p in again.parameters()} == {torch.float32}
        files = sorted(file.name for file in folder.iterdir())
        assert files == ["config.json", "model.safetensors"]


def test_new_projection_does_not_break_loading(tmp_path):
    options = {**reference.options_of("large"), "project_features": "new"}
    weights = reference.random_weights(options)
    extra = {
        name.replace("feature_aggregator", "project_features"): value
        for name, value in weights.items()
        if name.startswith("feature_aggregator")
    }
    path = reference.write_checkpoint(
        tmp_path / "w.pt", options, {**weights, **extra}
    )
    assert torch.equal(
        Wav2Vec(path).aggregator.layers[3].conv.weight,
        weights["feature_aggregator.conv_layers.3.1.weight"],
    )


def _without_a_weight(options, weights):
    del weights["feature_extractor.conv_layers.2.0.weight"]


def _with_a_foreign_weight(options, weights):
    weights["feature_extractor.lost.weight"] = torch.ones(1)


def _with_a_wrong_shape(options, weights):
    name = "feature_aggregator.conv_layers.2.1.bias"
    weights[name] = torch.ones(5)


def _without_an_option(options, weights):
    del options["log_compression"]


def _with_a_wrong_flag(options, weights):
    options["agg_zero_pad"] = "False"


def _with_an_unknown_activation(options, weights):
    options["activation"] = "swish"


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_without_a_weight, "w.pt.*Missing.*extractor.layers.2.conv"),
        (_with_a_foreign_weight, "w.pt.*Unexpected.*lost"),
        (_with_a_wrong_shape, "w.pt.*size mismatch"),
        (_without_an_option, "lack log_compression"),
        (_with_a_wrong_flag, "agg_zero_pad is 'False'"),
        (_with_an_unknown_activation, "activation is 'swish'.*relu, gelu"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path, spoil, message):
    options = reference.options_of("large")
    weights = reference.random_weights(options)
    spoil(options, weights)
    path = reference.write_checkpoint(tmp_path / "w.pt", options, weights)
    with pytest.raises(ValueError, match=message):
        Wav2Vec(path)


def test_folders_that_are_not_ours(tmp_path, large):
    with pytest.raises(OSError, match="config.json"):
        Wav2Vec(tmp_path)
    with pytest.raises(OSError, match="nowhere"):
        Wav2Vec(tmp_path / "nowhere")
    folder = tmp_path / "other"
    large.save_pretrained(folder)
    with pytest.raises(ValueError, match="ser_brain-emotion-states-1"):
        EmotionStateEncoder.from_pretrained(folder)
    (folder / "model.safetensors").write_bytes(b"no such thing")
    with pytest.raises(ValueError, match="model.safetensors is damaged"):
        Wav2Vec(folder)
    (folder / "config.json").write_text(json.dumps({"model_type": "hubert"}))
    with pytest.raises(ValueError, match="format 'hubert'"):
        Wav2Vec(folder)
    (folder / "config.json").write_text("{")
    with pytest.raises(ValueError, match="not a model's configuration"):
        Wav2Vec(folder)


def test_a_failed_save_leaves_the_old_files(tmp_path, large, monkeypatch):
    large.save_pretrained(tmp_path / "m")
    before = (tmp_path / "m" / "model.safetensors").read_bytes()

    def full_disk(*_):
        raise OSError("No space left on device")

    monkeypatch.setattr("os.replace", full_disk)
    with pytest.raises(OSError, match="No space"):
        large.save_pretrained(tmp_path / "m", torch.float16)
    assert (tmp_path / "m" / "model.safetensors").read_bytes() == before
    assert len(list((tmp_path / "m").iterdir())) == 2


def test_clips_too_short_are_one_sentence(large):
    with pytest.raises(ValueError, match="464 samples.*needs 465 .29 ms"):
        large(torch.zeros(1, 464))
    with pytest.raises(ValueError, match="100 samples"):
        large(torch.zeros(2, 1000), torch.tensor([1.0, 0.1]))
    encoder = EmotionStateEncoder(large)
    assert encoder.frame_lengths(944) == 0
    with pytest.raises(ValueError, match="gives 3 frames .* needs 4 .59 ms"):
        encoder(torch.zeros(1, 944))
    assert encoder(torch.zeros(1, 945)).shape[1] == 1


def test_a_frozen_extractor_stays_as_it_is(large):
    encoder = EmotionStateEncoder(large).train()
    assert not any(m.training for m in large.extractor.modules())
    assert large.aggregator.training
    encoder(_speech_like(2, 3000)).sum().backward()
    assert all(p.grad is None for p in large.extractor.parameters())
    trained = [p for p in encoder.parameters() if p.requires_grad]
    assert all(p.grad is not None for p in trained)
    assert sum(p.numel() for p in trained) == sum(
        p.numel()
        for part in (large.aggregator, encoder.conv)
        for p in part.parameters()
    )


def test_a_free_extractor_learns(tmp_path):
    model, *_ = _model(tmp_path, "large", freeze_extractor=False)
    assert model.train().extractor.training
    model(_speech_like(1, 3000)).square().sum().backward()
    assert model.extractor.layers[0].conv.weight.grad.abs().sum() > 0


def test_masked_frames_and_features_become_zero(large):
    encoder = EmotionStateEncoder(large).eval()
    wavs = _speech_like(2, 5000)
    z = large.features(wavs)
    time_mask = torch.zeros(z.shape[:2], dtype=torch.bool)
    time_mask[0, 3:9] = True
    feature_mask = torch.zeros(2, z.shape[2], dtype=torch.bool)
    feature_mask[1, :4] = True
    masked = z.clone()
    masked[0, 3:9] = 0
    masked[1, :, :4] = 0
    c = large.aggregate(masked).transpose(1, 2)
    golden = torch.relu(
        torch.nn.functional.conv1d(
            c, encoder.conv.weight, encoder.conv.bias, stride=2
        )
    )

    found = encoder(wavs, None, time_mask, feature_mask)

    torch.testing.assert_close(found.transpose(1, 2), golden)
    assert not torch.allclose(found, encoder(wavs))


def test_span_mask_is_for_training_only(large):
    encoder = EmotionStateEncoder(
        large, SpanMask(feature_span=3, feature_prob=0.5)
    )
    wavs, wav_lens = _speech_like(2, 8000), torch.tensor([0.9, 0.4])
    encoder.eval()
    plain = encoder(wavs, wav_lens)
    assert torch.equal(plain, encoder(wavs, wav_lens))
    masked = encoder.train()(wavs, wav_lens)
    assert masked.shape == plain.shape
    assert not torch.allclose(masked, plain)
    assert encoder(wavs).shape[1] == encoder.frame_lengths(8000)


def test_emotion_state_encoder_is_saved_whole(tmp_path, large):
    encoder = EmotionStateEncoder(large).eval()
    encoder.save_pretrained(tmp_path / "states")
    again = EmotionStateEncoder.from_pretrained(tmp_path / "states").eval()
    wavs = _speech_like(1, 3000)
    assert torch.equal(again(wavs), encoder(wavs))
    assert not again.wav2vec.extractor.layers[0].conv.weight.requires_grad


@settings(deadline=None, max_examples=200)
@given(samples=st.integers(0, 500_000))
def test_frame_counts_beside_wav2vec2(samples):
    # The large model's own layers; parameters are not needed for counting.
    encoder = _COUNTER
    frames = encoder.frame_lengths(samples)
    assert frames == int(encoder.frame_lengths(torch.tensor(samples)))
    assert frames == max(0, (samples - 945) // 320 + 1)
    wav2vec2 = max(0, (samples - 400) // 320 + 1)
    assert wav2vec2 - 2 <= frames <= wav2vec2
    if frames:
        assert wav2vec2 - frames in (1, 2)


_COUNTER = EmotionStateEncoder(Wav2Vec(reference.options_of("large")))


def test_initialisation_is_torchs_own_and_seeded():
    options = reference.options_of("large")
    torch.manual_seed(3)
    first = Wav2Vec.from_options(options)
    torch.manual_seed(3)
    second = Wav2Vec.from_options(options)
    weight = first.aggregator.layers[4].conv.weight
    assert torch.equal(weight, second.aggregator.layers[4].conv.weight)
    assert weight.abs().max() <= 1 / math.sqrt(12 * 6)


def _pretraining(**kwargs):
    torch.manual_seed(0)
    return Wav2VecPretraining(reference.options_of("large"), **kwargs)


def test_pretraining_equals_a_plain_loop():
    model = _pretraining(prediction_steps=3, num_negatives=4).eval()
    lengths = [7000, 3000]
    wavs = _speech_like(2, 7000)
    wav_lens = torch.tensor(lengths) / 7000
    generator = torch.Generator().manual_seed(1)
    loss, details = model(wavs, wav_lens, generator)

    draws = torch.rand(2, 41, 4, generator=torch.Generator().manual_seed(1))
    terms, hits = [], [[], [], []]
    for row, n in enumerate(lengths):
        z = model.wav2vec.features(wavs[row : row + 1, :n])
        c = model.wav2vec.aggregate(z)[0]
        z = z[0]
        for target in range(len(z)):
            others = [t for t in range(len(z)) if t != target]
            drawn = (draws[row, target] * len(others)).long()
            negatives = z[[others[int(i)] for i in drawn]]
            for step in range(3):
                now = target - 3 - step
                if now < 0:
                    continue
                guess = model.projections[step](c[now])
                true, false = z[target] @ guess, negatives @ guess
                terms.append(-torch.nn.functional.logsigmoid(true)[None])
                terms.append(-torch.nn.functional.logsigmoid(-false))
                hits[step].append(float(true > false.max()))

    torch.testing.assert_close(loss, torch.cat(terms).mean())
    shares = torch.tensor([sum(h) / len(h) for h in hits])
    torch.testing.assert_close(details["accuracy"], shares.mean())
    torch.testing.assert_close(details["accuracy_first_step"], shares[0])


def test_pretraining_is_blind_to_padding_content():
    model = _pretraining().eval()
    wavs = _speech_like(2, 6000)
    wav_lens = torch.tensor([1.0, 0.5])
    losses = []
    for filler in (0.0, 5.0):
        wavs[1, 3000:] = filler
        generator = torch.Generator().manual_seed(0)
        losses.append(model(wavs, wav_lens, generator)[0])
    torch.testing.assert_close(*losses)


def test_pretraining_learns():
    # White noise, then brown: what comes is told by what was.
    wavs = torch.randn(4, 8000, generator=torch.Generator().manual_seed(0))
    wavs[:, 4000:] = wavs[:, 4000:].cumsum(1) * 0.1
    layers = {
        "conv_feature_layers": "[(32, 10, 5), (32, 8, 4)] + [(32, 4, 2)] * 3",
        "conv_aggregator_layers": "[(32, 2, 1), (32, 3, 1)]",
    }
    torch.manual_seed(0)
    model = Wav2VecPretraining(
        {**reference.options_of("large"), **layers}, prediction_steps=2
    )
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    generator = torch.Generator().manual_seed(0)
    losses = []
    for _ in range(50):
        loss, _ = model(wavs, None, generator)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    # Who sees nothing, and always says "one in eleven", pays its entropy.
    blind = -(math.log(1 / 11) + 10 * math.log(10 / 11)) / 11
    assert losses[0] > 2 * blind
    assert max(losses[-5:]) < blind - 0.02


def test_pretraining_needs_room_to_predict():
    with pytest.raises(ValueError, match="2 frames.*is 3 ahead"):
        _pretraining()(torch.zeros(1, 700))
