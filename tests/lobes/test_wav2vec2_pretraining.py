"""TAPT's objective: transformers' own loss, with padding out of play."""

import math

import pytest
import torch
from hypothesis import (
    given,
    settings,
    strategies as st,
)
from transformers import Wav2Vec2ForPreTraining

from ser_brain.lobes.wav2vec2 import Wav2Vec2Pretraining
from ser_brain.lobes.wav2vec2.pretraining import draw_negatives

SURE = {
    "attention_dropout": 0.0,
    "hidden_dropout": 0.0,
    "activation_dropout": 0.0,
    "feat_proj_dropout": 0.0,
    "feat_quantizer_dropout": 0.0,
    "layerdrop": 0.0,
}
TEMPERATURE = 0.7


@pytest.fixture(scope="module")
def sure_folder(make_wav2vec2):
    """A model without dropout, and with codes enough that few coincide.

    In training transformers tells equal targets apart by the last bit of the
    straight-through sum, which is chance; here the codes are compared.
    """
    return make_wav2vec2(**SURE, num_codevectors_per_group=64)


@pytest.fixture(scope="module")
def few_codes_folder(make_wav2vec2):
    """A model whose masked frames must share codes."""
    return make_wav2vec2(**SURE, num_codevectors_per_group=3)


def _clips(*samples):
    generator = torch.Generator().manual_seed(7)
    batch = torch.zeros(len(samples), max(samples))
    for row, count in enumerate(samples):
        batch[row, :count] = 0.1 * torch.randn(count, generator=generator)
    return batch, torch.tensor(samples) / max(samples)


def _drawn(objective, samples, seed=0):
    """Masks and negatives of one clip."""
    generator = torch.Generator().manual_seed(seed)
    frames = objective.frame_lengths(samples)
    mask = objective.draw_mask([frames], generator)
    return mask, draw_negatives(mask, 20, generator)


def _theirs(folder, wavs, mask, negatives, training, seed):
    """Loss, parts and gradients of transformers' model."""
    model = Wav2Vec2ForPreTraining.from_pretrained(folder).train(training)
    model.set_gumbel_temperature(TEMPERATURE)
    masked = mask[0].nonzero()[:, 0]
    positions = torch.zeros(1, mask.shape[1], negatives.shape[2]).long()
    positions[0, masked] = masked[negatives[0]]
    torch.manual_seed(seed)
    output = model(
        wavs, mask_time_indices=mask, sampled_negative_indices=positions
    )
    output.loss.backward()
    return output, {name: p.grad for name, p in model.named_parameters()}


def _check_parity(folder, training, samples=12000, seed=5):
    objective = Wav2Vec2Pretraining(folder).train(training)
    objective.set_temperature(0, start=TEMPERATURE)
    wavs, _ = _clips(samples)
    mask, negatives = _drawn(objective, samples)
    expected, gradients = _theirs(folder, wavs, mask, negatives, training, seed)

    torch.manual_seed(seed)
    loss, details = objective(
        wavs, time_mask=mask, negatives=negatives, keep=[True, True]
    )
    loss.backward()

    def close(found, wanted):
        torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5)

    close(loss, expected.loss)
    close(details["contrastive"], expected.contrastive_loss)
    close(details["diversity"], expected.diversity_loss)
    close(details["perplexity"], expected.codevector_perplexity)
    for name, weight in objective.model.named_parameters():
        assert (weight.grad is None) == (gradients[name] is None), name
        if weight.grad is not None:
            scale = gradients[name].abs().max().clamp(min=1.0)
            close(weight.grad / scale, gradients[name] / scale)
    return objective, details


def test_equals_transformers_in_training(sure_folder):
    objective, details = _check_parity(sure_folder, training=True)
    assert details["masked_frames"] > 10
    weights = objective.model.quantizer.weight_proj.weight
    assert weights.grad.abs().max() > 0


def test_equals_transformers_in_evaluation(sure_folder):
    _check_parity(sure_folder, training=False)


def test_equals_transformers_where_codes_coincide(few_codes_folder):
    objective, details = _check_parity(few_codes_folder, training=False)
    assert details["perplexity"] <= 6


def test_equals_transformers_with_layer_norm(make_wav2vec2):
    folder = make_wav2vec2(
        **SURE,
        num_codevectors_per_group=64,
        feat_extract_norm="layer",
        do_stable_layer_norm=True,
    )
    objective = Wav2Vec2Pretraining(folder).eval()
    wavs, _ = _clips(12000)
    mask, negatives = _drawn(objective, 12000)
    normal = (wavs - wavs.mean()) / wavs.std(correction=0)
    expected, _ = _theirs(folder, normal, mask, negatives, False, 0)

    loss, _ = objective(wavs, time_mask=mask, negatives=negatives)

    torch.testing.assert_close(loss, expected.loss, atol=1e-5, rtol=1e-5)


@given(
    rows=st.lists(
        st.lists(st.booleans(), min_size=9, max_size=9), min_size=1, max_size=4
    ),
    seed=st.integers(0, 2**31),
)
@settings(deadline=None, max_examples=100)
def test_negatives_are_other_masked_frames_of_the_clip(rows, seed):
    mask = torch.tensor(rows)
    generator = torch.Generator().manual_seed(seed)
    negatives = draw_negatives(mask, 60, generator)

    counts = mask.sum(1).tolist()
    assert negatives.shape == (len(rows), max(counts), 60)
    for clip, count in zip(negatives, counts):
        for itself, drawn in enumerate(clip[:count].tolist()):
            others = set(range(count)) - {itself} or {itself}
            assert set(drawn) <= others
    again = draw_negatives(mask, 60, generator.manual_seed(seed))
    assert torch.equal(negatives, again)


def test_negatives_are_drawn_evenly():
    mask = torch.ones(1, 5, dtype=torch.bool)
    negatives = draw_negatives(mask, 8000, torch.Generator().manual_seed(0))
    for itself, drawn in enumerate(negatives[0]):
        shares = drawn.bincount(minlength=5) / 8000
        assert shares[itself] == 0
        assert (shares[shares > 0] - 0.25).abs().max() < 0.03


@torch.no_grad()
def test_padding_never_enters_the_loss(sure_folder):
    objective = Wav2Vec2Pretraining(sure_folder, diversity_weight=0.0).eval()
    samples = (6000, 18000)
    drawn = [_drawn(objective, count, seed=count) for count in samples]
    wavs, wav_lens = _clips(*samples)
    masks = torch.zeros(2, objective.frame_lengths(18000), dtype=torch.bool)
    most = max(one.shape[1] for _, one in drawn)
    negatives = torch.full((2, most, 20), -100)
    alone = 0.0
    for row, (mask, others) in enumerate(drawn):
        masks[row, : mask.shape[1]] = mask[0]
        negatives[row, : others.shape[1]] = others[0]
        clip = wavs[row : row + 1, : samples[row]]
        alone += objective(clip, time_mask=mask, negatives=others)[0]
    wavs[0, 6000:] = 5.0

    together, details = objective(wavs, wav_lens, masks, negatives)

    torch.testing.assert_close(together, alone, atol=1e-3, rtol=1e-5)
    assert details["masked_frames"] == masks.sum()

    objective.padding_mask = False
    seen, _ = objective(wavs, wav_lens, masks, negatives)
    assert torch.isfinite(seen)
    assert abs(seen - together) > 1e-2
    whole = wavs[1:], None, masks[1:], negatives[1:]
    unpadded, _ = objective(*whole)
    objective.padding_mask = True
    assert torch.equal(unpadded, objective(*whole)[0])


@torch.no_grad()
def test_masks_and_negatives_are_drawn_if_not_given(sure_folder):
    objective = Wav2Vec2Pretraining(sure_folder, mask_prob=0.3, mask_length=4)
    wavs, wav_lens = _clips(16000, 5000)
    for _ in range(5):
        loss, details = objective(wavs, wav_lens)
        assert torch.isfinite(loss)
        assert 4 < details["masked_frames"] < 49 + 15
        assert 0 <= details["accuracy"] <= 1


def test_given_noise_is_used_as_if_it_were_drawn(sure_folder):
    """The noise of transformers' draws, at the masked frames."""
    objective = Wav2Vec2Pretraining(sure_folder)
    wavs, _ = _clips(12000)
    mask, negatives = _drawn(objective, 12000)
    whole = {"time_mask": mask, "negatives": negatives, "keep": [True, True]}
    quantizer = objective.model.quantizer
    shape = (mask.shape[1], quantizer.num_groups, quantizer.num_vars)
    torch.manual_seed(5)
    noise = -torch.empty(shape).exponential_().log()[mask[0]]

    torch.manual_seed(5)
    expected, _ = objective(wavs, **whole)
    found, _ = objective(wavs, **whole, noise=noise)
    other, _ = objective(wavs, **whole, noise=noise.flip(0))

    assert torch.equal(found, expected)
    assert not torch.isclose(other, expected)


def test_noise_belongs_to_the_clip(sure_folder):
    objective = Wav2Vec2Pretraining(sure_folder)
    counts, seeds = [40, 0, 7], [3, 2**62, 5]
    noise = objective.draw_noise(counts, seeds)
    quantizer = objective.model.quantizer
    assert noise.shape == (47, quantizer.num_groups, quantizer.num_vars)
    assert torch.equal(noise[40:], objective.draw_noise([7], [5]))
    assert not torch.equal(noise[40:], objective.draw_noise([7], [6]))
    # The Gumbel distribution has Euler's constant as its mean.
    assert noise.mean() == pytest.approx(0.5772, abs=0.05)
    assert noise.var() == pytest.approx(math.pi**2 / 6, abs=0.15)


@torch.no_grad()
def test_a_clip_of_two_frames_has_a_loss(sure_folder):
    objective = Wav2Vec2Pretraining(sure_folder)
    loss, details = objective(_clips(720)[0])
    assert torch.isfinite(loss)
    assert details["masked_frames"] == 1


def test_the_temperature_falls_to_its_floor(sure_folder):
    objective = Wav2Vec2Pretraining(sure_folder)
    quantizer = objective.model.quantizer
    for step in (0, 1, 20000, 277000, 277300, 10**6):
        objective.set_temperature(step)
        expected = max(2.0 * math.exp(step * math.log(0.999995)), 0.5)
        assert quantizer.temperature == pytest.approx(expected, rel=1e-9)
    objective.set_temperature(10, start=1.0, end=0.1, decay=0.5)
    assert quantizer.temperature == 0.1
