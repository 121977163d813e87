"""From label codes to the classes that the yaml names."""

import pytest

from ser_brain.corpora import class_names, get_corpus, select_classes
from ser_brain.errors import InputError

MANIFEST = {
    str(n): {"emotion": code, "speaker": "Ann"}
    for n, code in enumerate(["neu", "hap", "exc", "exc", "sad", "xxx"])
}
LABELS = get_corpus("IEMOCAP").labels


def test_excited_joins_happy_and_the_manifest_is_left_alone():
    classes = {"sad": ["sad"], "happy": ["hap", "exc"]}
    chosen = select_classes(MANIFEST, classes, LABELS)
    assert {id: item["emotion"] for id, item in chosen.items()} == {
        "1": "happy",
        "2": "happy",
        "3": "happy",
        "4": "sad",
    }
    assert chosen["1"]["speaker"] == "Ann"
    assert MANIFEST["1"]["emotion"] == "hap"


def test_indices_are_alphabetical():
    assert class_names({"sad": [], "angry": [], "neutral": []}) == [
        "angry",
        "neutral",
        "sad",
    ]


@pytest.mark.parametrize(
    "classes, said",
    [
        ({"happy": ["hpa"]}, "'hpa', .* did you mean 'hap'"),
        ({"a": ["hap"], "b": ["hap"]}, "'hap' to both 'a' and 'b'"),
        ({"angry": ["ang"]}, "class 'angry' .ang. has no clip"),
        ({"neutral": "neu"}, r"write a list, neutral: \[neu\]"),
        ({"neutral": []}, "'neutral' .* has no clip"),
        ({"neutral": [False]}, "label False"),
    ],
)
def test_a_bad_mapping_is_told(classes, said):
    with pytest.raises(InputError, match=said):
        select_classes(MANIFEST, classes, LABELS)


def test_without_known_labels_those_of_the_manifest_count():
    with pytest.raises(InputError, match="'ang', .* does not have"):
        select_classes(MANIFEST, {"angry": ["ang"]})
