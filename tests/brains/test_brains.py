"""The four objectives: an update is the same however it is computed."""

import functools

import pytest
import torch
from speechbrain import Stage
from torch.nn import functional as F

from ser_brain.brains.base import ObjectiveBrain
from ser_brain.dataio.front_end import MemoryCache
from ser_brain.dataio.utterances import micro_batches, padded, with_signal
from ser_brain.errors import InputError
from ser_brain.nnet.schedules import ConstantRate

OBJECTIVES = [
    "emotion_states",
    "transformer_states",
    "contrastive",
    "clusters",
    "utterance",
    "segments",
]
CACHED = ["clusters", "utterance"]


class Observed(torch.optim.SGD):
    """Plain descent that keeps the last gradients."""

    def step(self, closure=None):
        weights = self.param_groups[0]["params"]
        self.last = [
            None if one.grad is None else one.grad.clone() for one in weights
        ]
        return super().step(closure)


OBSERVED = functools.partial(Observed, lr=0.0)


def _gradients(brain, update):
    """Loss and gradients of an update, by parameter name."""
    loss = brain.fit_batch(update)
    names = [name for name, _ in brain.modules.named_parameters()]
    return loss, dict(zip(names, brain.optimizer.last))


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_an_update_in_parts_is_the_update(
    objective, make_brain, start, update, sure_wav2vec2
):
    """Masks, crops and dropped layers are drawn alike; dropout is off.

    The codebook's diversity belongs to what is computed at once, so TAPT is
    compared without it.
    """
    found = []
    for seconds in (None, 1.1, 0.01):
        brain = make_brain(
            objective,
            folder=sure_wav2vec2,
            opt_class=OBSERVED,
            micro_batch_seconds=seconds,
        )
        start(brain)
        if objective == "contrastive":
            brain.modules.objective.diversity_weight = 0.0
        parts = [len(part.id) for part in _parts(brain, update)]
        found.append((len(parts), *_gradients(brain, update)))

    (one, whole_loss, whole), *others = found
    assert one == 1
    assert [count for count, *_ in others][1] == len(update)
    learning = [one for one in whole.values() if one is not None]
    largest = max(one.abs().max() for one in learning)
    assert largest > 1e-3
    for count, loss, parts in others:
        assert count > 1
        torch.testing.assert_close(loss, whole_loss, rtol=1e-5, atol=1e-6)
        for name, gradient in whole.items():
            assert (gradient is None) == (parts[name] is None), name
            if gradient is not None:
                # A bias of the keys has no gradient but rounding.
                scale = gradient.abs().max().clamp(min=0.01 * largest)
                error = (parts[name] - gradient).abs().max()
                assert error <= 1e-5 * scale, name


@pytest.mark.parametrize("objective", CACHED)
def test_the_kept_front_end_changes_nothing(
    objective, make_brain, start, update, sure_wav2vec2
):
    losses = []
    caches = (None, MemoryCache(1), MemoryCache(0))
    for cache in caches:
        brain = make_brain(
            objective,
            folder=sure_wav2vec2,
            opt_class=OBSERVED,
            front_end=cache,
        )
        start(brain)
        first = brain.fit_batch(update)
        brain.step += 1
        losses.append(torch.stack([first, brain.fit_batch(update)]))
    assert caches[1].kept and not caches[2].kept
    torch.testing.assert_close(losses[1], losses[0], rtol=1e-3, atol=0)
    assert torch.equal(losses[2], losses[1])


def test_crops_are_not_kept_as_whole_clips(make_brain, start, update):
    cache = MemoryCache(1)
    brain = make_brain("clusters", front_end=cache, max_seconds=0.3)
    start(brain).fit_batch(update)
    whole = {one.id for one in update if len(one.signal) <= 4800}
    assert set(cache.kept) == whole
    assert 0 < len(whole) < len(update)


def test_a_cache_of_other_audio_is_refused(make_brain, start, update):
    cache = MemoryCache(1)
    brain = start(make_brain("utterance", front_end=cache))
    brain.fit_batch(update)
    update[0].signal = update[0].signal[:-320]
    with pytest.raises(InputError, match="remove the cache's folder"):
        brain.fit_batch(update)


def _parts(brain, update):
    """Padded micro-batches of an update, as the Brain computes them."""
    utterances, totals = brain.drawn_update(update)
    for part in micro_batches(utterances, brain.budget.seconds):
        batch = padded(part, "cpu")
        batch.totals = totals
        yield batch


def _ready_batch(brain, update):
    """One whole training batch and what the Brain computes from it."""
    (batch,) = _parts(brain, update)
    outputs = brain.compute_forward(batch, Stage.TRAIN)
    loss = brain.compute_objectives(outputs, batch, Stage.TRAIN)
    return batch, outputs, loss


@pytest.mark.parametrize("seconds", [None, 0.01])
def test_a_part_without_a_masked_frame_adds_nothing(
    make_brain, start, update, sure_wav2vec2, seconds
):
    """A clip of one frame has none to mask: alone in its part, or not."""
    found = []
    for more in ([], [with_signal(update[0], torch.ones(500))]):
        brain = make_brain(
            "contrastive",
            folder=sure_wav2vec2,
            opt_class=OBSERVED,
            micro_batch_seconds=seconds,
        )
        utterances = [update[1], *more]
        found.append(_gradients(start(brain), utterances))
    (loss, gradients), (other, others) = found
    torch.testing.assert_close(other, loss, rtol=1e-5, atol=0)
    for name, gradient in gradients.items():
        if gradient is not None:
            torch.testing.assert_close(others[name], gradient, msg=name)


def test_emotion_states_are_two_weighted_means(make_brain, start, update):
    brain = start(make_brain("emotion_states"))
    weights = brain.hparams.class_weights

    batch, outputs, loss = _ready_batch(brain, update)

    frame_logits, utterance_logits, lengths = outputs
    shortest = min(len(one.signal) for one in update)
    assert batch.samples.tolist() == [shortest] * len(update)
    frames = brain.modules.encoder.frame_lengths(shortest)
    assert frame_logits.shape[:2] == (len(update), frames)
    labels = batch.label[:, None].expand(-1, frames)
    expected = F.cross_entropy(
        frame_logits.flatten(0, 1), labels.flatten(), weights
    ) + F.cross_entropy(utterance_logits, batch.label, weights)
    torch.testing.assert_close(loss, expected)


def test_emotion_states_of_padded_clips_count_their_own_frames(
    make_brain, start, update
):
    brain = start(make_brain("emotion_states"))
    brain.modules.eval()
    weights = brain.hparams.class_weights
    encoder, sums, total = brain.modules.encoder, [], 0.0
    losses = []
    for one in update:
        states = encoder(one.signal[None])
        logits = brain.modules.frame_head(states)[0]
        labels = torch.full((len(logits),), one.label)
        sums.append(F.cross_entropy(logits, labels, weights, reduction="sum"))
        total += weights[one.label] * len(logits)
        losses.append(brain.modules.utterance_head(states)[0])
    labels = torch.tensor([one.label for one in update])
    expected = sum(sums) / total
    expected += F.cross_entropy(torch.stack(losses), labels, weights)

    found = brain.evaluate_batch(update, Stage.VALID)

    torch.testing.assert_close(found, expected.detach(), rtol=1e-4, atol=0)


def test_fine_tuning_is_a_weighted_mean(make_brain, start, update):
    brain = start(make_brain("utterance", max_seconds=0.3))
    batch, logits, loss = _ready_batch(brain, update)
    assert int(batch.samples.max()) == 4800
    for one, wav, samples in zip(update, batch.wavs, batch.samples):
        assert torch.equal(wav[:samples], one.signal[:4800])
    weights = brain.hparams.class_weights
    expected = F.cross_entropy(logits, batch.label, weights)
    torch.testing.assert_close(loss, expected)


def test_clusters_are_means_over_masked_frames(
    make_brain, start, update, pseudo_labels
):
    brain = start(make_brain("clusters", max_seconds=0.3))
    batch, logits, loss = _ready_batch(brain, update)
    targets = batch.targets[batch.time_mask]
    assert (targets == -100).any(), "no mask reached an unlabelled frame"
    expected = sum(
        F.cross_entropy(each, targets[:, column])
        for column, each in enumerate(logits)
    )
    torch.testing.assert_close(loss, expected)
    for row, name in enumerate(batch.id):
        first = int(batch.start[row]) // 320
        labels = torch.from_numpy(pseudo_labels.labels[name][first:])
        count = min(len(labels), batch.time_mask[row].numel())
        valid = brain.modules.encoder.frame_lengths(int(batch.samples[row]))
        count = min(count, valid)
        assert torch.equal(batch.targets[row, :count], labels[:count])


def test_contrast_is_a_mean_over_masked_frames(make_brain, start, update):
    brain = start(make_brain("contrastive"))
    brain.modules.eval()
    batch, (total, details), loss = _ready_batch(brain, update)
    frames = batch.time_mask.sum()
    assert details["masked_frames"] == frames
    torch.testing.assert_close(loss, total / frames)
    assert brain.modules.objective.model.quantizer.temperature == 2.0
    brain.epoch = 10**6
    brain.fit_batch(update)
    assert brain.modules.objective.model.quantizer.temperature == 0.5


# What is fine-tuned on segments has no masks.
@pytest.mark.parametrize("objective", OBJECTIVES[:-1])
def test_draws_depend_on_seed_epoch_and_step_alone(
    objective, make_brain, start, update
):
    def drawn(brain, epoch, step):
        brain.epoch, brain.step = epoch, step
        (batch,) = _parts(brain, update)
        return batch.time_mask

    brain, other = (start(make_brain(objective)) for _ in range(2))
    masks = [drawn(brain, *at) for at in ((1, 1), (1, 2), (2, 1))]
    torch.manual_seed(99)
    assert torch.equal(drawn(other, 1, 2), masks[1])
    assert not torch.equal(masks[0], masks[1])
    assert not torch.equal(masks[0], masks[2])
    reseeded = start(make_brain(objective, seed=4))
    assert not torch.equal(drawn(reseeded, 1, 1), masks[0])


class Killed(Exception):
    """Stands for the end of a process."""


class KillingRate(ConstantRate):
    """Stops the run when an update is due."""

    def __init__(self, lr, at):
        super().__init__(lr)
        self.at = at

    def __call__(self, update, updates):
        if update == self.at:
            raise Killed
        return super().__call__(update, updates)


@pytest.mark.parametrize("killed_at", [3, 4, 7])
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_a_killed_run_goes_on_as_it_would_have(
    objective, killed_at, fit, tmp_path
):
    """Dropout, layer drop, masks and the Gumbel noise are all on."""
    torch.manual_seed(0)
    whole = fit(objective, tmp_path / "whole")
    with pytest.raises(Killed):
        rate = KillingRate(1e-3, killed_at)
        fit(objective, tmp_path / "killed", lr_schedule=rate)
    torch.manual_seed(1)
    resumed = fit(objective, tmp_path / "killed")

    found = dict(resumed.modules.named_parameters())
    for name, weight in whole.modules.named_parameters():
        assert torch.equal(found[name], weight), name
    assert resumed.optimizer_step == whole.optimizer_step == 8
    assert resumed.train_loss == pytest.approx(whole.train_loss, rel=1e-6)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_the_loss_goes_down(
    objective, make_brain, start, update, sure_wav2vec2
):
    rate = 2e-2 if objective == "emotion_states" else 5e-3
    brain = make_brain(
        objective, folder=sure_wav2vec2, lr_schedule=ConstantRate(rate)
    )
    start(brain)
    losses = []
    for step in range(1, 41):
        brain.step = step
        losses.append(float(brain.fit_batch(update)))
    first, last = sum(losses[:5]) / 5, sum(losses[-5:]) / 5
    assert last < 0.9 * first, losses


def test_the_rate_of_each_update_is_the_schedules(make_brain, start, update):
    class Ramp(ConstantRate):
        def __call__(self, update, updates):
            return self.lr * update / updates

    brain = make_brain("utterance", lr_schedule=Ramp(1.0), updates=100)
    start(brain)
    brain.epoch, brain.step = 3, 2
    brain.fit_batch(update)
    assert brain.optimizer.param_groups[0]["lr"] == pytest.approx(0.09)


def test_a_test_keeps_posteriors_by_id(make_brain, start, update):
    brain = start(make_brain("utterance"))
    brain.modules.eval()
    brain.on_stage_start(Stage.TEST)
    for one in update:
        brain.evaluate_batch([one], Stage.TEST)
    alone = brain.posteriors
    brain.on_stage_start(Stage.TEST)
    brain.evaluate_batch(update, Stage.TEST)
    assert list(alone) == [one.id for one in update]
    for name, posterior in brain.posteriors.items():
        assert sum(posterior) == pytest.approx(1, abs=1e-5)
        assert posterior == pytest.approx(alone[name], abs=1e-4)


def test_throughput_counts_audio_without_padding(make_brain, start, update):
    brain = start(make_brain("utterance", max_seconds=0.3))
    brain.fit_batch(update)
    seconds = sum(min(len(one.signal), 4800) for one in update) / 16000
    assert brain.trained_seconds == pytest.approx(seconds)
    assert brain.trained_wall > 0


def test_a_brain_must_say_what_it_draws():
    brain = ObjectiveBrain(
        hparams={"micro_batch_seconds": None, "max_skipped_updates": 0},
        run_opts={"device": "cpu"},
    )
    with pytest.raises(TypeError, match="does not define drawn"):
        brain.drawn(None, 0, None)
    with pytest.raises(TypeError, match="no denominators"):
        brain.denominators([])
