"""The reader of IEMOCAP, on the layout of METHOD and its litter."""

from collections import Counter

import pytest

from ser_brain.corpora import get_corpus, read_corpus
from ser_brain.errors import InputError


def clips_of(folder, **options):
    return read_corpus("IEMOCAP", folder, **options).clips


def label_file(iemocap):
    return iemocap / "Session1/dialog/EmoEvaluation/Ses01F_impro01.txt"


def test_every_labelled_utterance_is_read_and_no_litter(iemocap):
    clips = {clip.id: clip for clip in clips_of(iemocap)}
    assert len(clips) == 5 * 2 * 2 * 7
    assert Counter(c.emotion for c in clips.values())["xxx"] == 20
    clip = clips["Ses05M_script01_1b_F002"]
    assert clip.emotion == "exc"
    assert clip.session == "5"
    assert clip.wav == (
        "Session5/sentences/wav/Ses05M_script01_1b/Ses05M_script01_1b_F002.wav"
    )


def test_the_last_letter_speaks_whoever_wore_the_markers(iemocap):
    clips = {clip.id: clip for clip in clips_of(iemocap)}
    assert clips["Ses01F_impro01_M000"].speaker == "Ses01M"
    assert clips["Ses05M_script01_1b_F000"].speaker == "Ses05F"
    assert len({clip.speaker for clip in clips.values()}) == 10


def test_the_folder_above_serves_as_well(iemocap):
    above = clips_of(iemocap.parent)
    assert {clip.id for clip in above} == {c.id for c in clips_of(iemocap)}
    assert (iemocap.parent / above[0].wav).is_file()


def test_only_the_files_that_were_read_are_named(iemocap):
    files = read_corpus("IEMOCAP", iemocap).label_files
    assert len(files) == 10
    assert all(file.parent.name == "EmoEvaluation" for file in files)


def test_unknown_code_names_file_line_and_the_known_ones(iemocap):
    file = label_file(iemocap)
    text = file.read_text("latin-1").replace("\tsad\t", "\tsda\t", 1)
    file.write_text(text, encoding="latin-1")
    line = next(n for n, s in enumerate(text.split("\n"), 1) if "sda" in s)
    with pytest.raises(InputError) as error:
        clips_of(iemocap)
    assert f"{file}, line {line}," in str(error.value)
    assert "'sda'" in str(error.value)
    assert "ang, dis, exc, fea, fru, hap" in str(error.value)


@pytest.mark.parametrize(
    "line, said",
    [
        ("[6.29 - 8.2", "is not a label line"),
        ("[1.0 - 2.0]\tSes01_F000\tneu\t[1, 1, 1]", "utterance Ses01_F000"),
        (
            "[1.0 - 2.0]\tSes01F_impro01_F000\tneu\t[1, 1, 1]",
            "a second time",
        ),
    ],
)
def test_a_damaged_label_file_is_told(iemocap, line, said):
    with label_file(iemocap).open("a") as file:
        file.write("\n" + line)
    with pytest.raises(InputError, match=said):
        clips_of(iemocap)


def test_labelled_utterance_without_audio(iemocap, caplog):
    wavs = iemocap / "Session2/sentences/wav/Ses02F_impro01"
    (wavs / "Ses02F_impro01_F003.wav").unlink()
    with pytest.raises(InputError, match="Ses02F_impro01_F003.wav is missing"):
        clips_of(iemocap)
    assert len(clips_of(iemocap, allow_incomplete=True)) == 139
    assert "Ses02F_impro01_F003.wav is missing" in caplog.text


def test_published_counts_add_up_as_the_paper_has_them():
    published = get_corpus("IEMOCAP").published
    sessions = [sum(counts.values()) for counts in published.values()]
    assert sessions == [1085, 1023, 1151, 1031, 1241]
    classes = Counter()
    for counts in published.values():
        classes.update(counts)
    assert classes == {
        "neutral": 1708,
        "happy": 1636,
        "sad": 1084,
        "angry": 1103,
    }
    assert sum(sessions) == 5531


def test_transcriptions_become_texts(iemocap):
    folder = iemocap / "Session1/dialog/transcriptions"
    folder.mkdir()
    (folder / "Ses01F_impro01.txt").write_text(
        "Ses01F_impro01_F000 [006.2901-008.2357]: Excuse me. [LAUGHTER]\r\n"
        "M: [aside]\n"
        "Ses01F_impro01_F001 [010.0-011.0]:  Oui, d\xe9j\xe0.\n"
        "Ses01F_impro01_F002 [012.0-013.0]: \n",
        encoding="latin-1",
    )
    texts = {clip.id: clip.text for clip in clips_of(iemocap) if clip.text}
    assert texts == {
        "Ses01F_impro01_F000": "Excuse me. [LAUGHTER]",
        "Ses01F_impro01_F001": "Oui, d\xe9j\xe0.",
    }
