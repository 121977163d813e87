"""The user's own corpus, given as a table."""

import json

import pytest

from ser_brain.corpora import fold_rule, folds, prepare_table, read_table
from ser_brain.errors import InputError


@pytest.fixture
def folder(tmp_path, write_wav):
    for name in ("a/1.wav", "a/2.wav", "b/1.wav", "b/3.wav"):
        write_wav(tmp_path / "mine" / name)
    return tmp_path / "mine"


def csv_table(folder, *lines, header="path,emotion,speaker"):
    path = folder / "clips.csv"
    path.write_text("\n".join((header, *lines)) + "\n", encoding="utf-8")
    return path


def json_table(folder, data):
    path = folder / "clips.json"
    path.write_text(json.dumps(data), encoding="utf-8")
    return path


def test_csv_with_the_columns_that_are_needed(folder):
    table = csv_table(folder, "a/1.wav,happy,Ann", "b/3.wav, sad ,Bob")
    first, second = read_table(table).clips
    assert (first.id, first.wav, first.fold) == ("1", "a/1.wav", None)
    assert (second.emotion, second.session) == ("sad", "Bob")


def test_csv_with_all_columns_others_and_a_byte_order_mark(folder):
    table = csv_table(
        folder,
        'x,a/1.wav,happy,Ann,1,one,"Yes, of course."',
        "y,b/1.wav,sad,Bob,2,two,",
        header="\ufeffnote,path,emotion,speaker,session,fold,text",
    )
    clips = read_table(table).clips
    assert [c.id for c in clips] == ["a_1", "b_1"]
    assert [(c.session, c.fold) for c in clips] == [("1", "one"), ("2", "two")]
    assert [c.text for c in clips] == ["Yes, of course.", None]


def test_json_list_and_json_by_id(folder):
    record = {"path": "a/1.wav", "emotion": "sad", "speaker": 7, "fold": 2}
    (clip,) = read_table(json_table(folder, [record])).clips
    assert (clip.id, clip.speaker, clip.fold) == ("1", "7", "2")
    (clip,) = read_table(json_table(folder, {"mine": record})).clips
    assert clip.id == "mine"


def test_absolute_paths_inside_and_outside(folder, tmp_path, write_wav):
    write_wav(tmp_path / "other" / "x.wav")
    table = csv_table(
        folder,
        f"{folder / 'a/1.wav'},happy,Ann",
        f"{tmp_path / 'other/x.wav'},sad,Bob",
    )
    manifest = prepare_table(table, tmp_path / "m.json", progress=False)
    assert manifest["1"]["wav"] == "{data_root}/a/1.wav"
    assert manifest["x"]["wav"] == "{data_root}/../other/x.wav"


def test_a_table_becomes_folds(folder, tmp_path):
    lines = ["a/1.wav,sad,Ann", "a/2.wav,happy,Ann", "b/3.wav,sad,Bob"]
    table = csv_table(folder, *lines)
    manifest = prepare_table(table, tmp_path / "m.json", progress=False)
    assert fold_rule(manifest) == "session"
    assert list(folds(manifest, fold_rule(manifest))) == ["Ann", "Bob"]


@pytest.mark.parametrize(
    "lines, said",
    [
        ([], "lists no clip"),
        (["a/1.wav,sad,Ann", "a/9.wav,sad,Ann"], "line 3, names .*a/9.wav"),
        (["a/1.wav,sad,Ann", "a/../a/1.wav,sad,Bob"], "line 3, .* again"),
        (["a/1.wav,,Ann"], "line 2, has no emotion"),
        (["a/1.wav,sad"], "line 2, has no speaker"),
        (["a/1.wav,sad,Ann,7"], "line 2, has more values"),
        (["a/1.wav,sad," + "x" * 200_000], "line 2, cannot be read"),
        (["x" * 9000 + ".wav,sad,Ann"], "line 2, names .*x, which does not"),
        (["a/1.wav,s\x1b[2Jad,Ann"], r"character '\\x1b' in its emotion"),
        (['a/1.wav,sad,"A\nB"'], r"line 3, has the character '\\n' in its sp"),
    ],
)
def test_a_bad_line_is_told_by_its_number(folder, lines, said):
    with pytest.raises(InputError, match=said):
        read_table(csv_table(folder, *lines))


def test_a_missing_column_and_a_fold_left_out(folder):
    table = csv_table(folder, "a/1.wav,sad", header="path,emotion")
    with pytest.raises(InputError, match="line 1, lacks .* 'speaker'"):
        read_table(table)
    header = "path,emotion,speaker,fold"
    lines = ["a/1.wav,sad,Ann,1", "a/2.wav,sad,Ann,"]
    with pytest.raises(InputError, match="line 3, has no fold"):
        read_table(csv_table(folder, *lines, header=header))


@pytest.mark.parametrize(
    "delimiter, called", [(";", "semicolons"), ("\t", "tabs")]
)
def test_other_delimiters_are_told(folder, delimiter, called):
    path = folder / "clips.csv"
    path.write_text(delimiter.join(("path", "emotion", "speaker")) + "\n")
    with pytest.raises(InputError, match=f"{called} between its columns"):
        read_table(path)


def test_a_character_that_cannot_be_written(folder):
    record = {"path": "a/1.wav", "emotion": "sad", "speaker": "\ud800"}
    with pytest.raises(InputError, match="clip 1, has the character"):
        read_table(json_table(folder, [record]))


@pytest.mark.parametrize(
    "text, said",
    [
        ("[", "line 1, is not JSON"),
        ("[]", "lists no clip"),
        ("3", "is not an object"),
        ("[3]", "clip 1, is not an object"),
        ('{"a": {"path": "x.wav"}}', "clip 'a', has no emotion"),
        ('{"a": {}, "a": {}}', "'a' twice"),
        ("[" * 100_000, "is nested too deeply"),
        ("[" * 100_000 + "]" * 100_000, "is nested too deeply"),
    ],
)
def test_a_bad_json_table(folder, text, said):
    path = folder / "clips.json"
    path.write_text(text)
    with pytest.raises(InputError, match=said):
        read_table(path)


def test_a_file_that_is_no_table(folder):
    with pytest.raises(InputError, match="neither .csv nor .json"):
        read_table(folder / "a" / "1.wav")
    path = folder / "clips.csv"
    path.write_bytes("path,emotion,spéaker".encode("latin-1"))
    with pytest.raises(InputError, match="is not UTF-8"):
        read_table(path)
