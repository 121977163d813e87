"""Groups of speakers: no speaker in two, none left out, sizes alike."""

from hypothesis import (
    given,
    strategies as st,
)

from ser_brain.corpora import speaker_groups

SPEAKERS = st.lists(st.integers(0, 9).map(str), min_size=2, max_size=60)


def manifest_of(speakers):
    return {
        f"clip{number:02}": {"speaker": name, "emotion": "ab"[number % 2]}
        for number, name in enumerate(speakers)
    }


@given(SPEAKERS, st.integers(2, 6))
def test_groups_share_no_speaker_and_leave_none_out(speakers, most):
    manifest = manifest_of(speakers)
    groups = speaker_groups(manifest, manifest, most)
    assert groups.keys() == manifest.keys()
    numbers = set(groups.values())
    assert numbers == set(range(len(numbers)))
    if len(set(speakers)) == 1:
        return
    assert len(numbers) == min(most, len(set(speakers)))
    for name in set(speakers):
        own = {
            groups[key] for key in manifest if manifest[key]["speaker"] == name
        }
        assert len(own) == 1


@given(st.integers(4, 40))
def test_one_speaker_is_dealt_out_class_by_class(count):
    manifest = manifest_of(["x"] * count)
    groups = speaker_groups(manifest, manifest, most=2)
    for emotion in "ab":
        own = [
            groups[key]
            for key in manifest
            if manifest[key]["emotion"] == emotion
        ]
        assert abs(own.count(0) - own.count(1)) <= 1


@given(SPEAKERS)
def test_the_order_of_the_clips_does_not_matter(speakers):
    manifest = manifest_of(speakers)
    backwards = dict(reversed(manifest.items()))
    groups = speaker_groups(manifest, list(manifest))
    assert speaker_groups(backwards, list(backwards)) == groups
