"""The reader of SAVEE in each layout, fabricated and real."""

import os
import shutil

import pytest
import soundfile

from ser_brain.corpora import (
    count_differences,
    get_corpus,
    prepare,
    read_corpus,
)
from ser_brain.corpora.savee import SENTENCES
from ser_brain.errors import InputError

SAVEE = get_corpus("SAVEE")


def clips_of(folder):
    return read_corpus("SAVEE", folder).clips


@pytest.fixture
def flat(savee, tmp_path):
    """The same clips, repackaged as ALL/DC_a01.wav."""
    everything = tmp_path / "flat" / "ALL"
    everything.mkdir(parents=True)
    for wav in savee.glob("AudioData/??/[!.]*.wav"):
        os.link(wav, everything / f"{wav.parent.name}_{wav.name}")
    return everything.parent


def test_official_layout_from_three_folders(savee):
    folder_of_speakers = savee / "AudioData"
    (savee / "AudioData").rename(savee / "Speakers")
    named_otherwise = clips_of(savee / "Speakers")
    (savee / "Speakers").rename(folder_of_speakers)
    outer, inner = clips_of(savee), clips_of(folder_of_speakers)
    assert outer[0].wav == "AudioData/DC/a01.wav"
    assert inner[0].wav == "DC/a01.wav"
    assert named_otherwise == inner
    assert count_differences(SAVEE, outer) == []


def test_flat_layout_gives_the_same_clips(savee, flat):
    official = {(c.id, c.emotion, c.speaker) for c in clips_of(savee)}
    for folder in (flat, flat / "ALL"):
        found = clips_of(folder)
        assert {(c.id, c.emotion, c.speaker) for c in found} == official
    assert found[0].wav == "DC_a01.wav"


def test_codes_are_read_whole(savee):
    emotion = {clip.id: clip.emotion for clip in clips_of(savee)}
    assert emotion["KL_a01"] == "anger"
    assert emotion["KL_sa01"] == "sadness"
    assert emotion["KL_su15"] == "surprise"
    assert emotion["KL_n30"] == "neutral"


@pytest.mark.parametrize("name", ["x01.wav", "s01.wav", "a.wav", "take.flac"])
def test_unknown_code_is_an_error(savee, write_wav, name):
    write_wav(savee / "AudioData" / "JK" / name)
    with pytest.raises(InputError, match=f"{name} has no emotion code"):
        clips_of(savee)


def test_one_clip_in_two_files_is_an_error(savee, write_wav):
    write_wav(savee / "AudioData" / "JK" / "a01.flac")
    with pytest.raises(InputError, match="a second file for the clip JK_a01"):
        clips_of(savee)


def test_incomplete_copy_is_told_by_speaker_and_class(savee, tmp_path, caplog):
    (savee / "AudioData" / "JE" / "n07.wav").unlink()
    (savee / "AudioData" / "KL" / "su01.wav").unlink()
    target = tmp_path / "out" / "savee.json"
    with pytest.raises(InputError) as error:
        prepare("SAVEE", savee, target, progress=False)
    said = "session JE: 29 neutral of 30; session KL: 14 surprise of 15"
    assert said in str(error.value)
    assert not target.parent.exists()
    manifest = prepare(
        "SAVEE", savee, target, allow_incomplete=True, progress=False
    )
    assert len(manifest) == 478
    assert said in caplog.text


@pytest.fixture(scope="module")
def real_savee(shared_corpora, tmp_path_factory):
    """The real corpus, one speaker a folder, as 16 bit wav."""
    root = tmp_path_factory.mktemp("real") / "AudioData"
    for flac in sorted((shared_corpora / "savee").glob("DC/*.flac")):
        wav = root / flac.parent.name / f"{flac.stem}.wav"
        wav.parent.mkdir(parents=True, exist_ok=True)
        samples, rate = soundfile.read(flac, dtype="int16")
        soundfile.write(wav, samples, rate, subtype="PCM_16")
    for speaker in ("JE", "JK", "KL"):
        # The other speakers stay FLAC: half of the time, and both are met.
        shutil.copytree(shared_corpora / "savee" / speaker, root / speaker)
    return root.parent


def test_real_savee_is_complete_and_sound(real_savee, tmp_path):
    manifest = prepare(
        "SAVEE", real_savee, tmp_path / "savee.json", progress=False
    )
    assert len(manifest) == 480
    total = sum(item["duration"] for item in manifest.values())
    assert 25 * 60 < total < 35 * 60
    wav = manifest["DC_a01"]["wav"].format(data_root=real_savee)
    info = soundfile.info(wav)
    assert info.samplerate == 44100
    assert manifest["DC_a01"]["duration"] == round(info.duration, 6)


def test_all_speakers_read_the_same_sentences(savee):
    texts = {clip.id: clip.text for clip in clips_of(savee)}
    assert texts["KL_a04"] == "Who authorized the unlimited expense account?"
    for name, text in texts.items():
        assert text == texts["DC" + name[2:]]
    # As SAVEE has it: three for all, two more in the neutral clips, too.
    spoken = {
        code: {*texts_of_code} for code, texts_of_code in SENTENCES.items()
    }
    common = set.intersection(*spoken.values())
    assert len(common) == 3
    for code in spoken.keys() - {"n"}:
        others = set().union(*(spoken[one] for one in spoken.keys() - {code}))
        assert len(spoken[code]) == 15 and len(spoken[code] - others) == 10
        assert len(spoken[code] & spoken["n"]) == 5
    assert (len(SENTENCES["n"]), len(spoken["n"])) == (30, 27)


def test_a_text_beside_a_clip_comes_first(savee):
    (savee / "AudioData" / "DC" / "a01.txt").write_text("Quite another.\n")
    reading = read_corpus("SAVEE", savee)
    texts = {clip.id: clip.text for clip in reading.clips}
    assert texts["DC_a01"] == "Quite another."
    assert [path.name for path in reading.label_files] == ["a01.txt"]
