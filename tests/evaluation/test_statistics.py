"""Scores of the protocol and their intervals, against other code."""

import warnings

import numpy as np
import pytest
from hypothesis import (
    given,
    settings,
    strategies as st,
)
from scipy.stats import bootstrap as scipy_bootstrap
from sklearn.metrics import accuracy_score, f1_score, recall_score

from ser_brain.evaluation.statistics import (
    FoldTrials,
    bootstrap,
    bootstrap_difference,
    protocol_scores,
    run_deviation,
)


def draw_trials(seed, clips=40, runs=3, classes=4, speakers=(0,)):
    """Random answers of some runs to the clips of a fold."""
    generator = np.random.default_rng(seed)
    truth = generator.integers(0, classes, clips)
    wrong = generator.integers(0, classes, (runs, clips))
    right = generator.random((runs, clips)) < 0.5
    return FoldTrials(
        truth,
        generator.choice(speakers, clips),
        np.where(right, truth, wrong),
    )


@given(st.integers(0, 10**6), st.integers(1, 4), st.integers(2, 30))
@settings(deadline=None, max_examples=40)
def test_scores_are_those_of_scikit_learn(seed, runs, clips):
    """The mean over runs, of whatever classes occur."""
    trials = draw_trials(seed, clips, runs)
    found = protocol_scores([trials], 4)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, other in [
            (
                "UA",
                lambda t, p: recall_score(
                    t, p, labels=np.unique(t), average="macro"
                ),
            ),
            ("WA", accuracy_score),
            ("macro_f1", lambda t, p: f1_score(t, p, average="macro")),
        ]:
            expected = [other(trials.truth, p) for p in trials.prediction]
            assert found[name][0] == pytest.approx(np.mean(expected))


@given(st.integers(0, 10**6))
@settings(deadline=None, max_examples=30)
def test_a_weight_of_three_is_a_clip_three_times(seed):
    folds = [draw_trials(seed), draw_trials(seed + 1, clips=25)]
    generator = np.random.default_rng(seed)
    times = [generator.integers(0, 4, len(f.truth)) for f in folds]
    for count in times:
        count[0] = 1
    repeated = [
        FoldTrials(
            f.truth.repeat(n), f.speaker.repeat(n), f.prediction.repeat(n, 1)
        )
        for f, n in zip(folds, times)
    ]
    weighted = protocol_scores(folds, 4, [n[None] for n in times])
    for name, expected in protocol_scores(repeated, 4).items():
        np.testing.assert_allclose(weighted[name], expected)


def test_recall_is_pooled_over_folds():
    """One of one and one of three: half of four clips, not two thirds."""
    one = FoldTrials(np.array([0]), np.array([0]), np.array([[0]]))
    three = FoldTrials(
        np.zeros(3, int), np.zeros(3, int), np.array([[0, 1, 1]])
    )
    found = protocol_scores([one, three], 2)
    assert found["recall"][0, 0] == 0.5
    assert np.isnan(found["recall"][0, 1])
    assert found["UA"][0] == pytest.approx((1 + 1 / 3) / 2)


@pytest.mark.parametrize("resamples", [200, 600])
def test_interval_over_clips_is_scipy_s(resamples):
    """The same draws, in one piece there and in chunks here."""
    trials = draw_trials(5, clips=60)
    recalls = lambda chosen: np.mean([  # noqa: E731
        recall_score(
            trials.truth[chosen], p[chosen], average="macro",
            labels=np.unique(trials.truth[chosen]),
        )
        for p in trials.prediction[:1]
    ])  # fmt: skip
    expected = scipy_bootstrap(
        (np.arange(60),),
        recalls,
        n_resamples=resamples,
        method="percentile",
        vectorized=False,
        rng=np.random.default_rng(7),
    ).confidence_interval
    single = FoldTrials(trials.truth, trials.speaker, trials.prediction[:1])
    found = bootstrap([single], 4, "clip", resamples, seed=7)["UA"]
    np.testing.assert_allclose(found, expected)


def test_interval_over_two_speakers_is_their_range():
    """A draw holds one twice, half of the time: 2.5 % lies in the tails."""
    folds = [
        FoldTrials(np.zeros(4, int), np.full(4, n), np.array([said]))
        for n, said in enumerate([[0, 0, 0, 1], [0, 1, 1, 1]])
    ]
    low, high = bootstrap(folds, 2, "speaker")["UA"]
    assert (low, high) == (0.25, 0.75)


def test_interval_over_speakers_is_that_of_a_plain_loop():
    """Two speakers a fold; a fold counts as often as its speakers do."""
    folds = [
        draw_trials(1, speakers=(0, 1)),
        draw_trials(2, speakers=(2, 3)),
    ]
    drawn = np.random.default_rng(3).integers(0, 4, (200, 4))
    means = []
    for speakers in drawn:
        scores, shares = [], []
        for fold in folds:
            chosen = np.concatenate(
                [np.flatnonzero(fold.speaker == s) for s in speakers]
            )
            if len(chosen):
                scores.append(
                    np.mean(
                        [
                            recall_score(
                                fold.truth[chosen], p[chosen], average="macro"
                            )
                            for p in fold.prediction
                        ]
                    )
                )
                shares.append(np.isin(speakers, fold.speaker).sum())
        means.append(np.average(scores, weights=shares))
    found = bootstrap(folds, 4, "speaker", 200, seed=3)["UA"]
    np.testing.assert_allclose(found, np.percentile(means, [2.5, 97.5]))


def test_the_same_seed_gives_the_same_interval():
    folds = [draw_trials(1)]
    first, again = (bootstrap(folds, 4, seed=s)["UA"] for s in (1, 1))
    assert (first == again).all()
    assert (bootstrap(folds, 4, seed=2)["UA"] != first).any()


def test_draws_are_by_clip_or_speaker():
    with pytest.raises(ValueError, match="by='run'"):
        bootstrap([draw_trials(1)], 4, "run")


def test_deviation_of_the_mean_over_folds():
    """Deviations 1 and 2: the root of 1 + 4, over two folds."""
    folds = [[59.0, 60.0, 61.0], [68.0, 70.0, 72.0]]
    assert run_deviation(folds) == pytest.approx(5**0.5 / 2)
    assert run_deviation([[59.0, 61.0], [70.0]]) is None


def test_a_difference_is_scored_on_the_same_draws():
    """Better on some clips and nowhere worse: so in every single draw."""
    draws = np.random.default_rng(0)
    truth = np.arange(80) // 20
    speaker = np.arange(80) % 4
    worse = draws.integers(0, 4, (2, 80))
    better = worse.copy()
    better[:, ::7] = truth[::7]
    one, other = (FoldTrials(truth, speaker, said) for said in (better, worse))
    for by in ("speaker", "clip"):
        low, high = bootstrap_difference([one], [other], 4, by, 300)["UA"]
        gain = (
            protocol_scores([one], 4)["UA"] - protocol_scores([other], 4)["UA"]
        )
        assert 0 <= low < gain[0] < high
    # Over clips, so is the interval: it is narrower than that of one alone.
    alone = bootstrap([one], 4, "clip", 300)["UA"]
    assert high - low < alone[1] - alone[0]
    elsewhere = FoldTrials(truth[::-1].copy(), speaker, worse)
    with pytest.raises(ValueError, match="other clips"):
        bootstrap_difference([one], [elsewhere], 4)
