"""Manifests are written once, whole, and made again when files change."""

import json
import os

import pytest

from ser_brain.corpora import (
    find_data_folder,
    get_corpus,
    load_manifest,
    manifest_key,
    prepare,
    prepare_table,
)
from ser_brain.errors import InputError


def prepared(folder, target, corpus="IEMOCAP", **options):
    options = {"check_counts": False, "progress": False, **options}
    return prepare(corpus, folder, target, **options)


@pytest.fixture
def target(tmp_path):
    return tmp_path / "out" / "iemocap.json"


def utterance(iemocap, session="1", n=0):
    dialogue = f"Ses0{session}F_impro01"
    wavs = iemocap / f"Session{session}" / "sentences" / "wav" / dialogue
    return wavs / f"{dialogue}_F{n:03d}.wav"


def test_the_file_says_what_is_returned(iemocap, target):
    manifest = prepared(iemocap, target)
    assert load_manifest(target) == manifest
    assert list(manifest) == sorted(manifest)
    assert manifest["Ses01F_impro01_F000"] == {
        "wav": "{data_root}/Session1/sentences/wav/Ses01F_impro01/"
        "Ses01F_impro01_F000.wav",
        "duration": 0.5,
        "emotion": "neu",
        "speaker": "Ses01F",
        "session": "1",
    }


def test_speechbrain_reads_it(iemocap, target):
    dataset = pytest.importorskip("speechbrain.dataio.dataset")
    prepared(iemocap, target)
    data = dataset.DynamicItemDataset.from_json(
        target, replacements={"data_root": str(iemocap)}
    )
    assert len(data) == 140
    assert all(os.path.isfile(item["wav"]) for item in data.data.values())


def test_a_current_manifest_is_not_written_again(iemocap, target):
    first = prepared(iemocap, target)
    written = target.stat()
    assert prepared(iemocap, target) == first
    again = target.stat()
    assert (again.st_ino, again.st_mtime_ns) == (
        written.st_ino,
        written.st_mtime_ns,
    )


def test_a_changed_clip_is_seen(iemocap, target, write_wav):
    prepared(iemocap, target)
    write_wav(utterance(iemocap), seconds=0.75)
    assert prepared(iemocap, target)["Ses01F_impro01_F000"]["duration"] == 0.75


def test_a_touched_file_and_an_edited_label_are_seen(iemocap, target):
    prepared(iemocap, target)
    inode = target.stat().st_ino
    os.utime(utterance(iemocap), ns=(1, 1))
    prepared(iemocap, target)
    assert target.stat().st_ino != inode
    labels = iemocap / "Session1/dialog/EmoEvaluation/Ses01F_impro01.txt"
    text = labels.read_text("latin-1").replace("\tneu\t", "\toth\t")
    labels.write_text(text, encoding="latin-1")
    manifest = prepared(iemocap, target)
    assert manifest["Ses01F_impro01_F000"]["emotion"] == "oth"


@pytest.mark.parametrize("damage", ["{", "{}", '{"a": {}}', "[1]"])
def test_a_damaged_manifest_is_made_again(iemocap, target, damage):
    first = prepared(iemocap, target)
    target.write_text(damage)
    assert prepared(iemocap, target) == first == load_manifest(target)


def test_bad_files_leave_nothing_behind(iemocap, target):
    utterance(iemocap).write_bytes(b"")
    utterance(iemocap, session="2").write_bytes(b"RIFF")
    with pytest.raises(InputError) as error:
        prepared(iemocap, target)
    assert str(utterance(iemocap)) in str(error.value)
    assert "1 more files are bad" in str(error.value)
    assert not target.parent.exists()


def test_an_incomplete_corpus_is_told_by_session_and_class(iemocap, target):
    with pytest.raises(InputError) as error:
        prepared(iemocap, target, check_counts=True)
    assert "session 3: 4 angry of 240, 8 happy of 286" in str(error.value)
    assert not target.parent.exists()


def test_what_was_allowed_once_is_not_allowed_for_ever(iemocap, target):
    utterance(iemocap).unlink()
    prepared(iemocap, target, allow_incomplete=True)
    with pytest.raises(InputError, match="is missing"):
        prepared(iemocap, target)


def test_a_folder_that_cannot_be_made_is_one_sentence(iemocap, target):
    target.parent.write_text("a file where the folder should be")
    with pytest.raises(InputError, match="iemocap.json cannot be written"):
        prepared(iemocap, target)


@pytest.fixture
def one_kilobyte():
    """The system refuses more in one file, as a full disk does."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1024, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_leaves_no_half_manifest(iemocap, target, one_kilobyte):
    with pytest.raises(InputError, match="iemocap.json cannot be written"):
        prepared(iemocap, target)
    assert list(target.parent.iterdir()) == []


def test_the_other_corpus_is_recognised(iemocap, savee, target):
    with pytest.raises(InputError, match="looks like SAVEE, not IEMOCAP"):
        prepared(savee, target)
    with pytest.raises(InputError, match="looks like IEMOCAP, not SAVEE"):
        prepared(iemocap, target, corpus="SAVEE")


@pytest.mark.parametrize("corpus", ["IEMOCAP", "SAVEE"])
def test_folders_that_are_no_corpus(tmp_path, target, corpus):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="empty is empty"):
        prepared(tmp_path / "empty", target, corpus)
    with pytest.raises(InputError, match="not_there, .* is not a folder"):
        prepared(tmp_path / "not_there", target, corpus)
    with pytest.raises(InputError, match=f"does not hold {corpus}"):
        prepared(tmp_path, target, corpus)


def test_an_unknown_corpus_names_the_known_ones():
    with pytest.raises(InputError, match="IEMOCAP, SAVEE"):
        get_corpus("EMODB")


def test_the_argument_comes_before_the_environment(tmp_path, monkeypatch):
    monkeypatch.delenv("SAVEE_ROOT", raising=False)
    assert find_data_folder("SAVEE") is None
    with pytest.raises(InputError, match="No folder is given for SAVEE"):
        prepare("SAVEE", None, tmp_path / "x.json")
    monkeypatch.setenv("SAVEE_ROOT", str(tmp_path))
    assert find_data_folder("SAVEE") == tmp_path
    (tmp_path / "mine").mkdir()
    assert find_data_folder("SAVEE", tmp_path / "mine") == tmp_path / "mine"
    monkeypatch.setenv("SAVEE_ROOT", "/not/there")
    with pytest.raises(InputError, match="/not/there, named by SAVEE_ROOT"):
        find_data_folder("SAVEE")


def test_the_key_does_not_know_the_machine(iemocap, target, tmp_path):
    key = manifest_key(prepared(iemocap, target))
    moved = iemocap.rename(tmp_path / "elsewhere")
    manifest = prepared(moved, target)
    assert manifest_key(manifest) == key
    shuffled = dict(reversed(list(manifest.items())))
    assert manifest_key(shuffled) == key
    for field in ("wav", "duration", "emotion", "speaker", "session", "fold"):
        other = json.loads(json.dumps(manifest))
        other["Ses01F_impro01_F000"][field] = "other"
        assert manifest_key(other) != key


def test_a_table_is_not_overwritten_by_its_manifest(tmp_path):
    table = tmp_path / "mine.json"
    table.write_text("[]")
    with pytest.raises(InputError, match="overwritten by its own manifest"):
        prepare_table(table, table)
    assert table.read_text() == "[]"
