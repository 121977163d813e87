"""Speakers' turns from RTTM."""

import pytest

from ser_brain.errors import InputError
from ser_brain.recordings import Turn, read_turns

GOOD = "SPEAKER call 1 0.50 2.25 <NA> <NA> anna 0.9 <NA>"


def write(folder, *lines):
    """An RTTM file."""
    path = folder / "turns.rttm"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_turns_of_the_recording(tmp_path):
    """Comments and other line types are passed over, other files too."""
    path = write(
        tmp_path,
        ";; made by hand",
        "SPKR-INFO call 1 <NA> <NA> <NA> unknown anna <NA> <NA>",
        GOOD,
        "",
        "SPEAKER other 1 0 9 <NA> <NA> carl <NA> <NA>",
        "SPEAKER call 1 2.75 1 <NA> <NA> ben <NA>",
    )
    turns = read_turns(path, "/somewhere/call.wav")
    assert turns == [Turn(0.5, 2.75, "anna"), Turn(2.75, 3.75, "ben")]


def test_the_turns_of_one_file_need_not_bear_its_name(tmp_path):
    """As where a program called it by a path or number."""
    assert len(read_turns(write(tmp_path, GOOD), "renamed.flac")) == 1


@pytest.mark.parametrize(
    "line, sentence",
    [
        ("SPEAKER call 1 0.5", "line 2, is not a turn in RTTM"),
        ("0.5 2.25 anna", "line 2, is not a turn in RTTM"),
        (GOOD.replace("0.50", "x"), "line 2, gives begin as 'x'"),
        (GOOD.replace("2.25", "-1"), "line 2, gives duration as '-1'"),
        (GOOD.replace("2.25", "nan"), "line 2, gives duration as 'nan'"),
        (GOOD.replace("2.25", "inf"), "line 2, gives duration as 'inf'"),
    ],
)
def test_malformed_lines(tmp_path, line, sentence):
    """File, line and value are named."""
    path = write(tmp_path, GOOD, line)
    with pytest.raises(InputError, match=sentence) as caught:
        read_turns(path, "call.wav")
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_no_turns(tmp_path):
    """No file, no text, no line, no line for this recording."""
    with pytest.raises(InputError, match="cannot be read as RTTM"):
        read_turns(tmp_path / "none.rttm", "call.wav")
    binary = tmp_path / "a.rttm"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="cannot be read as RTTM"):
        read_turns(binary, "call.wav")
    with pytest.raises(InputError, match="holds no SPEAKER line"):
        read_turns(write(tmp_path, ";; nothing"), "call.wav")
    both = write(tmp_path, GOOD, GOOD.replace("call", "talk"))
    with pytest.raises(InputError, match=r"\(call, talk\), none of them other"):
        read_turns(both, "other.wav")
