"""The mini corpus, its index, and what the readers find in it unpacked."""

import json
import os
import re
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from ser_brain.assets import folder
from ser_brain.corpora import read_corpus
from ser_brain.corpora.mini import MARKER, default_target, is_mini, unpack_mini
from ser_brain.errors import InputError

ASSET = Path(folder("mini_corpus"))
COUNTS = {"neutral": 80, "angry": 60, "happy": 60, "sad": 50}


@pytest.fixture(scope="module")
def clips():
    return json.loads((ASSET / "index.json").read_text("utf-8"))["clips"]


@pytest.fixture(scope="module")
def iemocap(tmp_path_factory):
    return unpack_mini("IEMOCAP", tmp_path_factory.mktemp("mini") / "iemocap")


@pytest.fixture(scope="module")
def savee(tmp_path_factory):
    return unpack_mini("savee", tmp_path_factory.mktemp("mini") / "savee")


def snapshot(root):
    """Name, bytes and time of every file, to see whether one changed."""
    return {
        path.relative_to(root): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in root.rglob("*")
        if path.is_file()
    }


def test_the_asset_is_small_and_its_index_is_whole(clips):
    files = [path for path in ASSET.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= 9.5e6
    names = {path.stem for path in ASSET.glob("audio/*.flac")}
    assert names == {clip["id"] for clip in clips}
    assert Counter(clip["emotion"] for clip in clips) == COUNTS


def test_a_session_is_one_woman_and_one_man_with_every_emotion(clips):
    sessions = defaultdict(set)
    emotions = defaultdict(set)
    for clip in clips:
        sessions[clip["session"]].add((clip["sex"], clip["speaker"]))
        emotions[clip["speaker"]].add(clip["emotion"])
    assert sorted(sessions) == [1, 2, 3, 4, 5]
    assert all({s for s, _ in pair} == {"F", "M"} for pair in sessions.values())
    assert all(len(pair) == 2 for pair in sessions.values())
    assert len({n for pair in sessions.values() for _, n in pair}) == 10
    assert all(found == set(COUNTS) for found in emotions.values())


def test_no_excerpt_is_heard_twice(clips):
    spans = defaultdict(list)
    for clip in clips:
        spans[clip["source"]].append((clip["start"], clip["end"]))
    for excerpts in spans.values():
        excerpts.sort()
        for (_, end), (start, _) in zip(excerpts, excerpts[1:], strict=False):
            assert end <= start


def test_iemocap_reader_reads_the_mini_corpus(iemocap):
    found = read_corpus("IEMOCAP", iemocap).clips
    labels = Counter(clip.emotion for clip in found)
    assert labels == {"neu": 80, "ang": 60, "sad": 50, "hap": 30, "exc": 30}
    assert len({clip.speaker for clip in found}) == 10
    assert Counter(c.session for c in found) == dict.fromkeys("12345", 50)


def test_every_clip_has_its_text_in_both_layouts(iemocap, savee, clips):
    texts = json.loads((ASSET / "texts.json").read_text("utf-8"))
    assert texts.keys() == {clip["id"] for clip in clips}
    for layout, root in (("IEMOCAP", iemocap), ("SAVEE", savee)):
        found = [clip.text for clip in read_corpus(layout, root).clips]
        assert set(found) <= set(texts.values())
        assert all(found) and len(set(found)) > 0.9 * len(found)


def test_iemocap_files_have_the_release_s_form(iemocap):
    label = re.compile(
        r"\[\d+\.\d{4} - \d+\.\d{4}\]\tSes05[FM]_\w+_[FM]\d{3}\t"
        r"(neu|hap|exc|sad|ang)\t\[\d\.\d{4}, \d\.\d{4}, \d\.\d{4}\]"
    )
    other = re.compile(r"%.*|[CA]-E\d:\t.+;\t\(.*\)|")
    file = iemocap / "Session5/dialog/EmoEvaluation/Ses05M_script01_1b.txt"
    lines = file.read_text("utf-8").split("\n")
    assert lines[0].startswith("%")
    assert sum(bool(label.fullmatch(line)) for line in lines) == 10
    assert all(label.fullmatch(x) or other.fullmatch(x) for x in lines)


def test_iemocap_times_are_the_clips_durations(iemocap):
    times = re.compile(r"\[(\S+) - (\S+)\]\t(\S+)\t", re.ASCII)
    session = iemocap / "Session1"
    text = (session / "dialog/EmoEvaluation/Ses01F_impro01.txt").read_text()
    for start, end, name in times.findall(text):
        wav = session / "sentences/wav/Ses01F_impro01" / f"{name}.wav"
        info = sf.info(wav)
        assert (info.samplerate, info.channels) == (16000, 1)
        assert info.subtype == "PCM_16"
        assert float(end) - float(start) == pytest.approx(
            info.duration, abs=2e-4
        )


def test_iemocap_holds_every_clip_bit_for_bit(iemocap):
    wanted = Counter(
        sf.read(path, dtype="int16")[0].tobytes()
        for path in ASSET.glob("audio/*.flac")
    )
    unpacked = Counter(
        sf.read(path, dtype="int16")[0].tobytes()
        for path in iemocap.glob("Session?/sentences/wav/*/*.wav")
    )
    assert unpacked == wanted


def test_savee_reader_reads_the_mini_corpus(savee):
    found = read_corpus("SAVEE", savee).clips
    counts = Counter((clip.speaker, clip.emotion) for clip in found)
    of_one = {"anger": 6, "happiness": 6, "neutral": 8, "sadness": 5}
    assert counts == {
        (speaker, emotion): count
        for speaker in ("DC", "JE", "JK", "KL")
        for emotion, count in of_one.items()
    }


def test_savee_is_the_same_speech_at_44_1_khz(savee, clips):
    first = next(
        clip
        for clip in clips
        if (clip["sex"], clip["session"], clip["emotion"]) == ("M", 1, "angry")
    )
    low, _ = sf.read(ASSET / "audio" / f"{first['id']}.flac")
    high, rate = sf.read(savee / "AudioData/DC/a01.wav")
    assert rate == 44100
    assert len(high) == -(-len(low) * 441 // 160)
    # At every 441st sample of 160, both clocks tick together.
    np.testing.assert_allclose(high[::441], low[::160], atol=0.02)


def test_a_current_copy_is_left_alone(iemocap):
    before = snapshot(iemocap)
    assert unpack_mini("IEMOCAP", iemocap) == iemocap
    assert snapshot(iemocap) == before
    assert is_mini(iemocap)
    assert "not IEMOCAP" in (iemocap / MARKER).read_text()


def test_an_older_copy_is_replaced_whole(tmp_path):
    target = unpack_mini("SAVEE", tmp_path / "mini")
    (target / MARKER).write_text("version of yesterday")
    (target / "AudioData/DC/a99.wav").write_text("left over")
    unpack_mini("SAVEE", target)
    assert not (target / "AudioData/DC/a99.wav").exists()
    assert "version of yesterday" not in (target / MARKER).read_text()
    assert {path.name for path in tmp_path.iterdir()} <= {"mini", ".mini.lock"}


def test_a_folder_with_other_files_is_refused_and_kept(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(InputError, match="holds other files"):
        unpack_mini("SAVEE", tmp_path)
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


def test_three_processes_at_once_leave_one_whole_copy(tmp_path):
    call = (
        "import sys; from ser_brain.corpora.mini import unpack_mini; "
        "unpack_mini('SAVEE', sys.argv[1])"
    )
    target = tmp_path / "mini"
    started = [
        subprocess.Popen([sys.executable, "-c", call, str(target)])
        for _ in range(3)
    ]
    assert [process.wait(60) for process in started] == [0] * 3
    assert len(list(target.glob("AudioData/*/*.wav"))) == 100
    assert {path.name for path in tmp_path.iterdir()} <= {"mini", ".mini.lock"}


def test_nothing_is_left_of_an_unpacking_that_fails(tmp_path):
    # As a full disk does: no file may grow beyond 64 KiB.
    call = (
        "import resource, signal, sys; "
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536)); "
        "from ser_brain.corpora.mini import unpack_mini; "
        "unpack_mini('SAVEE', sys.argv[1])"
    )
    target = tmp_path / "mini"
    run = subprocess.run(
        [sys.executable, "-B", "-c", call, str(target)],
        capture_output=True,
        text=True,
    )
    assert "InputError: The mini corpus cannot be unpacked" in run.stderr
    assert {path.name for path in tmp_path.iterdir()} <= {".mini.lock"}


def test_default_target_is_the_user_s_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_target("SAVEE") == tmp_path / "ser_brain" / "mini-savee"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    wanted = tmp_path / ".cache" / "ser_brain" / "mini-iemocap"
    assert default_target("IEMOCAP") == wanted


def test_a_cache_that_cannot_be_written_is_named(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(InputError, match=re.escape(str(tmp_path / "file"))):
        default_target("SAVEE")
    with pytest.raises(InputError, match="cannot be unpacked"):
        unpack_mini("SAVEE", tmp_path / "file" / "mini")


@pytest.mark.parametrize("call", [unpack_mini, default_target])
def test_an_unknown_layout_is_named(call):
    with pytest.raises(InputError, match="'RAVDESS'.*IEMOCAP or SAVEE"):
        call("RAVDESS")


def test_the_asset_folder_is_absolute():
    assert os.path.isabs(folder("mini_corpus"))
