"""A header that promises more than the file holds: both lengths are named."""

import numpy as np
import pytest
import soundfile

from ser_brain.corpora.audio import check_audio_files, ogg_ends
from ser_brain.dataio import audio
from ser_brain.errors import InputError

KINDS = [
    ("WAV", "PCM_16"),
    ("WAV", "PCM_24"),
    ("WAV", "FLOAT"),
    ("W64", "PCM_16"),
    ("RF64", "PCM_16"),
    ("AIFF", "PCM_16"),
    ("AU", "PCM_16"),
    ("FLAC", "PCM_16"),
    ("MP3", "MPEG_LAYER_III"),
]


@pytest.fixture
def cut(tmp_path):
    """Writes a file of 4 s, stereo at 22 050 Hz, and cuts most of it off."""

    def cut(form, subtype, share=0.4):
        noise = np.random.default_rng(0).uniform(-0.5, 0.5, (88200, 2))
        path = tmp_path / "a.bin"
        soundfile.write(path, noise, 22050, subtype, format=form)
        content = path.read_bytes()
        path.write_bytes(content[: int(share * len(content))])
        return path

    return cut


@pytest.mark.parametrize("form, subtype", KINDS)
def test_inference_warns_and_reads_what_is_there(cut, form, subtype, caplog):
    path = cut(form, subtype)
    signal = audio.read_audio(path)
    seconds = len(signal) / audio.SAMPLE_RATE
    assert 0.8 < seconds < 1.8
    (told,) = caplog.messages
    assert told.startswith(f"{path} is cut short: its header promises 4.0")
    assert f"it holds {seconds:.2f} s" in told


@pytest.mark.parametrize("form, subtype", KINDS)
def test_preparation_refuses_it(cut, form, subtype):
    with pytest.raises(InputError) as refused:
        check_audio_files([cut(form, subtype)], progress=False)
    # A FLAC that is cut cannot be decoded to its end.
    said = "not a readable audio" if form == "FLAC" else "promises 4.0"
    assert said in str(refused.value)


@pytest.mark.parametrize("form, subtype", [*KINDS, ("OGG", "VORBIS")])
def test_a_whole_file_is_no_cut_one(cut, form, subtype, caplog):
    path = cut(form, subtype, share=1)
    assert len(audio.read_audio(path)) == pytest.approx(64000, abs=1)
    assert check_audio_files([path], progress=False) == [4.0]
    assert not caplog.messages


def test_a_cut_ogg_names_what_it_holds(cut, caplog):
    path = cut("OGG", "VORBIS")
    signal = audio.read_audio(path)
    (told,) = caplog.messages
    assert "its last page is missing after" in told and len(signal) > 0
    with pytest.raises(InputError, match="its last page is missing"):
        check_audio_files([path], progress=False)


def test_an_ogg_may_end_within_the_header_of_a_page(tmp_path):
    path = tmp_path / "a.ogg"
    soundfile.write(path, np.zeros(16000), 16000)
    whole = path.read_bytes()
    path.write_bytes(whole + b"OggS")
    assert not ogg_ends(path)
    path.write_bytes(whole)
    assert ogg_ends(path)


def test_a_header_takes_no_memory(tmp_path):
    """A FLAC of a tenth of a second whose header promises 600 hours."""
    path = tmp_path / "a.flac"
    soundfile.write(path, np.zeros(1600), 16000)
    content = bytearray(path.read_bytes())
    # STREAMINFO: 36 bits of samples, the last four of byte 21 and the next 4.
    content[21] |= 0x0F
    content[22:26] = b"\xff" * 4
    path.write_bytes(content)
    assert soundfile.info(path).frames > 2**35
    assert len(audio.read_audio(path)) <= 1600
