"""Nested, stratified shares of a training part."""

from collections import Counter

import pytest
from hypothesis import (
    given,
    settings,
    strategies as st,
)

from ser_brain.corpora import hours, training_share
from ser_brain.errors import InputError

HALVES = (1 / 8, 1 / 4, 1 / 2, 1.0)


def clips(counts):
    """A manifest: (emotion, speaker) -> number of clips."""
    return {
        f"{speaker}_{emotion}_{number}": {
            "emotion": emotion,
            "speaker": speaker,
            "duration": 2.0,
        }
        for (emotion, speaker), count in counts.items()
        for number in range(count)
    }


manifests = st.dictionaries(
    st.tuples(
        st.sampled_from(["sad", "angry", "happy"]), st.sampled_from("FM")
    ),
    st.integers(10, 40),
    min_size=1,
).map(clips)


@settings(deadline=None, max_examples=50)
@given(manifests, st.integers(0, 5), st.randoms(use_true_random=False))
def test_halves_are_nested_and_keep_the_classes(manifest, seed, random):
    shuffled = list(manifest)
    random.shuffle(shuffled)
    whole = Counter(entry["emotion"] for entry in manifest.values())
    smaller = set()
    for share in HALVES:
        taken = training_share(manifest, shuffled, share, seed)
        assert taken == training_share(manifest, manifest, share, seed)
        assert len(taken) == round(share * len(manifest))
        assert smaller <= set(taken)
        smaller = set(taken)
        found = Counter(manifest[id]["emotion"] for id in taken)
        for emotion, count in whole.items():
            assert abs(found[emotion] - share * count) < 2
    assert smaller == set(manifest)


def test_speakers_within_a_class_are_spread():
    manifest = clips({("sad", "F"): 80, ("sad", "M"): 40, ("angry", "F"): 40})
    taken = training_share(manifest, manifest, 0.25)
    found = Counter((manifest[i]["emotion"], i[0]) for i in taken)
    wanted = {("sad", "F"): 20, ("sad", "M"): 10, ("angry", "F"): 10}
    assert all(abs(found[key] - wanted[key]) <= 1 for key in wanted)


def test_another_seed_draws_other_clips():
    manifest = clips({("sad", "F"): 40, ("angry", "M"): 40})
    first, second = (training_share(manifest, manifest, 0.5, s) for s in (0, 1))
    assert first != second


@pytest.mark.parametrize("share", [0, -0.5, 1.5, float("nan")])
def test_no_share(share):
    with pytest.raises(InputError, match="above 0 and up to 1"):
        training_share(clips({("sad", "F"): 4}), [], share)


def test_a_share_without_a_class_is_refused():
    manifest = clips({("sad", "F"): 40, ("angry", "F"): 2})
    with pytest.raises(InputError, match="none of the class 'angry'"):
        training_share(manifest, manifest, 1 / 40)


def test_hours_counts_only_what_was_drawn():
    manifest = clips({("sad", "F"): 4})
    taken = training_share(manifest, manifest, 0.5)
    assert hours(manifest, taken) == pytest.approx(4 / 3600)
