"""Segments, and the forms in which a timeline leaves."""

import csv
import io
import json

import numpy as np
import pytest

from ser_brain.errors import InputError
from ser_brain.recordings import Timeline, read_turns
from ser_brain.recordings.timeline import segments_of

CLASSES = ("angry", "sad")


def timeline(speakers=(None, None, None, None)):
    """Four steps: angry, angry, sad; after a pause sad again."""
    times = np.array([[1.0, 2.0], [2.0, 4.0], [4.0, 5.0], [7.0, 9.0]])
    angry = np.array([0.9, 0.6, 0.2, 0.1])
    posteriors = np.stack([angry, 1 - angry], axis=1)
    speakers = list(speakers)
    return Timeline(
        path="calls/a call.wav",
        duration=10.0,
        truncated=False,
        classes=CLASSES,
        window=4.0,
        hop=2.0,
        speech=[(1.0, 5.0), (7.0, 9.0)],
        times=times,
        posteriors=posteriors,
        speakers=speakers,
        segments=segments_of(times, posteriors, speakers, CLASSES),
        envelope=np.random.default_rng(0).uniform(-1, 1, (500, 2)),
    )


def test_neighbours_of_one_label_are_joined():
    """Not over a pause; posteriors weighted by time."""
    found = timeline().segments
    assert [(s.begin, s.end, s.label) for s in found] == [
        (1.0, 4.0, "angry"),
        (4.0, 5.0, "sad"),
        (7.0, 9.0, "sad"),
    ]
    # One second of 0.9, two of 0.6.
    assert found[0].score == pytest.approx(0.7)
    assert found[0].posteriors == pytest.approx({"angry": 0.7, "sad": 0.3})


def test_speakers_are_not_joined():
    """A change of speaker ends a segment."""
    found = timeline(("anna", "ben", "ben", "ben")).segments
    assert [one.speaker for one in found] == ["anna", "ben", "ben", "ben"]
    assert len(found) == 4


def test_json():
    """Segments and steps, with names."""
    content = json.loads(timeline(("anna",) * 4).to_json())
    assert content["classes"] == list(CLASSES)
    assert content["speech"] == [[1.0, 5.0], [7.0, 9.0]]
    assert content["truncated"] is False and content["duration"] == 10.0
    first = content["segments"][0]
    assert first["speaker"] == "anna" and first["label"] == "angry"
    assert [first["begin"], first["end"]] == [1.0, 4.0]
    assert content["steps"][2]["posteriors"] == {"angry": 0.2, "sad": 0.8}
    assert "speaker" not in json.loads(timeline().to_json())["steps"][0]


def test_csv():
    """A row a segment, a column a class."""
    rows = list(csv.DictReader(io.StringIO(timeline().to_csv())))
    assert [row["label"] for row in rows] == ["angry", "sad", "sad"]
    assert float(rows[0]["score"]) == pytest.approx(0.7)
    assert float(rows[2]["sad"]) == pytest.approx(0.9)


def test_rttm_can_be_read_back(tmp_path):
    """Times and names survive; names have no blanks."""
    path = tmp_path / "a.rttm"
    path.write_text(timeline(("ann b", "ann b", "c", "c")).to_rttm())
    turns = read_turns(path, "calls/a call.wav")
    assert [tuple(turn) for turn in turns] == [
        (1.0, 4.0, "ann_b:angry"),
        (4.0, 5.0, "c:sad"),
        (7.0, 9.0, "c:sad"),
    ]


def test_audacity():
    """Tabs between begin, end and text."""
    lines = timeline().to_audacity().split("\n")
    assert lines[0].split("\t") == ["1.000000", "4.000000", "angry 70%"]


def test_the_picture_names_classes_and_speakers(tmp_path):
    """As text, in SVG."""
    path = tmp_path / "a.svg"
    timeline(("anna", "ben", "ben", "ben")).draw(path)
    text = path.read_text()
    assert all(word in text for word in (*CLASSES, "anna", "ben"))


def test_a_picture_of_another_kind(tmp_path):
    """The endings that there are, are named."""
    with pytest.raises(InputError, match=r"a.txt is not a picture's name"):
        timeline().draw(tmp_path / "a.txt")
    assert list(tmp_path.iterdir()) == []


def test_a_recording_without_speech(tmp_path):
    """Nothing, in every form."""
    nothing = Timeline(
        "a.wav", 3.0, False, CLASSES, 4.0, 2.0, [], np.empty((0, 2)),
        np.empty((0, 2)), [], [], np.zeros((150, 2)),
    )  # fmt: skip
    assert json.loads(nothing.to_json())["segments"] == []
    assert nothing.to_csv() == "begin,end,speaker,label,score,angry,sad"
    assert nothing.to_rttm() == nothing.to_audacity() == ""
    nothing.draw(tmp_path / "a.png")
