"""Folds keep speakers apart and test every clip once: a property."""

import pytest
from hypothesis import (
    given,
    settings,
    strategies as st,
)

from ser_brain.corpora import (
    Fold,
    check_training_classes,
    fold_rule,
    folds,
    get_fold,
    split_validation,
)
from ser_brain.errors import InputError

NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=4)


@st.composite
def manifests(draw):
    """Any clips of speakers that each stay in one session and one fold."""
    speakers = draw(
        st.dictionaries(NAMES, st.tuples(NAMES, NAMES), min_size=1, max_size=6)
    )
    owners = draw(
        st.lists(st.sampled_from(sorted(speakers)), min_size=1, max_size=20)
    )
    manifest = {}
    for n, speaker in enumerate(owners):
        session, fold = speakers[speaker]
        manifest[f"clip{n}"] = {
            "speaker": speaker,
            "session": session,
            "fold": fold,
        }
    order = draw(st.permutations(sorted(manifest)))
    return {id: manifest[id] for id in order}


@settings(deadline=None, max_examples=200)
@given(manifests(), st.sampled_from(["session", "speaker", "fold"]))
def test_speakers_apart_and_every_clip_tested_once(manifest, by):
    groups = {item[by] for item in manifest.values()}
    if len(groups) < 2:
        with pytest.raises(InputError, match="at least two"):
            folds(manifest, by)
        return
    every = folds(manifest, by)
    assert set(every) == groups
    tested = [id for fold in every.values() for id in fold.test]
    assert sorted(tested) == sorted(manifest)
    for fold in every.values():
        voices = [
            {manifest[id]["speaker"] for id in part}
            for part in (fold.train, fold.test)
        ]
        assert voices[0].isdisjoint(voices[1])
        assert fold.train and fold.test
        assert set(fold.train) | set(fold.test) == set(manifest)
    assert folds(dict(sorted(manifest.items())), by) == every


@settings(deadline=None, max_examples=100)
@given(
    st.sets(NAMES, min_size=2, max_size=40),
    st.floats(0.001, 0.999),
    st.integers(0, 2**31),
)
def test_validation_stays_inside_the_training_part(ids, fraction, seed):
    train, valid = split_validation(ids, fraction, seed)
    assert train and valid
    assert sorted(train + valid) == sorted(ids)
    assert split_validation(sorted(ids, reverse=True), fraction, seed) == (
        train,
        valid,
    )


def test_validation_is_a_tenth_and_the_seed_counts():
    ids = [f"{n:03d}" for n in range(200)]
    train, valid = split_validation(ids)
    assert (len(train), len(valid)) == (180, 20)
    assert split_validation(ids, seed=1) != (train, valid)


@pytest.mark.parametrize(
    "ids, fraction, said",
    [("a", 0.1, "two clips"), ("ab", 0, "is 0"), ("ab", 1.0, "is 1.0")],
)
def test_a_split_that_cannot_be(ids, fraction, said):
    with pytest.raises(InputError, match=said):
        split_validation(ids, fraction)


def clips(*speakers_and_sessions):
    return {
        f"{n}": {"speaker": speaker, "session": session, "emotion": "sad"}
        for n, (speaker, session) in enumerate(speakers_and_sessions)
    }


def test_a_speaker_in_two_sessions_is_named():
    with pytest.raises(InputError, match="speaker Ann is in both 2 and 10"):
        folds(clips(("Ann", "10"), ("Ann", "2"), ("Bob", "3")), "session")


def test_folds_come_in_the_order_of_people_and_by_name_or_number():
    manifest = clips(("Ann", "10"), ("Bob", "2"))
    assert list(folds(manifest, "session")) == ["2", "10"]
    assert get_fold(manifest, "session", 10).test == ("0",)
    with pytest.raises(InputError, match="no fold '6': .* are 2, 10"):
        get_fold(manifest, "session", 6)


def test_a_rule_or_a_fold_that_is_not_there():
    with pytest.raises(InputError, match="rules are session, speaker, fold"):
        folds(clips(("Ann", "1")), "dialogue")
    with pytest.raises(InputError, match="clip 0 has no fold"):
        folds(clips(("Ann", "1")), "fold")
    assert fold_rule(clips(("Ann", "1"))) == "session"


def test_a_class_that_is_never_trained():
    manifest = clips(("Ann", "1"), ("Bob", "2"))
    manifest["1"]["emotion"] = "angry"
    fold = Fold("2", train=("0",), test=("1",))
    check_training_classes(manifest, fold, ["sad"])
    with pytest.raises(InputError, match="'angry' has no training clip"):
        check_training_classes(manifest, fold, ["angry", "sad"])
