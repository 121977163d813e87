"""predictions.csv, metrics.json and the table that ends a run."""

import json

import pytest
from hypothesis import (
    given,
    settings,
    strategies as st,
)

from ser_brain.errors import InputError
from ser_brain.evaluation.metrics import scores
from ser_brain.reporting.formats import summary_table
from ser_brain.results import outputs

RUN = {
    "corpus": "SAVEE",
    "procedure": "vft",
    "scale": "nano",
    "fold": "DC",
    "seed": 1,
    "audio_seconds_per_second": {"train": 12.5},
    "wall_seconds": {"train": 3.0},
}


def row(**changes):
    """One well-formed row of predictions."""
    return {
        "id": "DC_a01",
        "speaker": "DC",
        "fold": "DC",
        "label": "anger",
        "prediction": "fear",
        "posteriors": {"anger": 0.25, "fear": 0.75},
    } | changes


words = st.text(
    st.characters(codec="utf-8", exclude_categories=["C", "Zl", "Zp"])
)
shares = st.integers(0, 10**6).map(lambda parts: parts / 10**6)


@settings(deadline=None)
@given(st.lists(st.tuples(words, words, shares), min_size=1))
def test_predictions_come_back(tmp_path_factory, clips):
    """Any text (commas, quotes) and six decimals survive the file."""
    file = tmp_path_factory.mktemp("rows") / "predictions.csv"
    rows = [
        row(id=name, label=label, posteriors={"anger": p, "fear": 1 - p})
        for name, label, p in clips
    ]
    outputs.write_predictions(file, rows)
    back = outputs.read_predictions(file)
    assert [r["id"] for r in back] == [r["id"] for r in rows]
    assert [r["label"] for r in back] == [r["label"] for r in rows]
    for was, now in zip(rows, back, strict=True):
        assert now["posteriors"] == pytest.approx(was["posteriors"], abs=1e-6)


def test_predictions_are_the_same_bytes_everywhere(tmp_path):
    """LF, six decimals, one column a class, no second file left."""
    outputs.write_predictions(tmp_path / "deep" / "predictions.csv", [row()])
    [file] = (tmp_path / "deep").iterdir()
    assert file.read_bytes() == (
        b"id,speaker,fold,label,prediction,anger,fear\n"
        b"DC_a01,DC,DC,anger,fear,0.250000,0.750000\n"
    )


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [row(posteriors={"label": 1.0})],
        [row(), row(posteriors={"fear": 0.75, "anger": 0.25})],
    ],
)
def test_rows_that_make_no_table(tmp_path, rows):
    """Refused, and nothing is written."""
    with pytest.raises(ValueError):
        outputs.write_predictions(tmp_path / "predictions.csv", rows)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "content, sentence",
    [
        ("", "does not begin with"),
        ("a,b\n1,2\n", "does not begin with"),
        (",".join(outputs.COLUMNS) + ",x\na,b,c,d,e,high\n", "line 2"),
        (",".join(outputs.COLUMNS) + ",x\na,b,c,d,e,1\na,b\n", "line 3"),
    ],
)
def test_other_files_are_not_predictions(tmp_path, content, sentence):
    """The sentence names the file and the line."""
    file = tmp_path / "predictions.csv"
    file.write_text(content)
    with pytest.raises(InputError, match=sentence) as caught:
        outputs.read_predictions(file)
    assert str(file) in str(caught.value)


def test_missing_predictions(tmp_path):
    """No such file."""
    with pytest.raises(InputError, match="finished run"):
        outputs.read_predictions(tmp_path / "predictions.csv")


def test_failed_write_keeps_the_old_file(tmp_path):
    """A row that cannot be written leaves the old file and no other."""
    file = tmp_path / "predictions.csv"
    outputs.write_predictions(file, [row()])
    before = file.read_bytes()
    with pytest.raises(TypeError):
        bad = row(posteriors={"anger": 0.25, "fear": "much"})
        outputs.write_predictions(file, [row(), bad])
    assert file.read_bytes() == before
    assert list(tmp_path.iterdir()) == [file]


def test_metrics_hold_what_a_table_needs(tmp_path):
    """All keys and the versions; absent classes are null, not NaN."""
    file = tmp_path / "metrics.json"
    found = scores(["sad"], ["sad"], ["angry", "sad"])
    written = outputs.write_metrics(file, RUN | found)
    assert json.loads(file.read_text()) == written
    assert written["recall"] == {"angry": None, "sad": 1.0}
    assert outputs.read_metrics(file) == written
    assert set(outputs.METRICS) | {"versions"} == set(written)
    assert set(written["versions"]) == {
        "python", "torch", "torchaudio", "speechbrain", "transformers",
        "ser_brain",
    }  # fmt: skip


def test_metrics_refuse_gaps_and_nan(tmp_path):
    """A forgotten key or a NaN is an error of the caller."""
    found = scores(["sad"], ["sad"])
    with pytest.raises(ValueError, match="UA"):
        outputs.write_metrics(tmp_path / "metrics.json", RUN)
    with pytest.raises(ValueError):
        nan = RUN | found | {"UA": float("nan")}
        outputs.write_metrics(tmp_path / "metrics.json", nan)
    assert not list(tmp_path.iterdir())


def test_table_shows_absent_classes():
    """A class without test clips is said to have none."""
    table = summary_table(scores(["sad"], ["sad"], ["angry", "sad"]))
    assert "recall angry  no clip     50.0" in table
    assert len({len(line) for line in table.splitlines()[:3]}) == 1
