"""Speakers' turns from an RTTM file."""

import math
from pathlib import Path
from typing import NamedTuple

from ser_brain.errors import InputError

# type file channel begin duration orthography subtype speaker confidence
FEWEST_FIELDS = 8
IGNORED = ("SPKR-INFO", "LEXEME", "NON-LEX", "NON-SPEECH", "SEGMENT", "NOSCORE")


class Turn(NamedTuple):
    """A stretch of time in which a speaker talks.

    Arguments
    ---------
    begin, end : float
        Seconds.
    speaker : str
        Name.
    """

    begin: float
    end: float
    speaker: str


def read_turns(path, recording):
    """Read the speakers' turns of a recording.

    Arguments
    ---------
    path : str or Path
        An RTTM file, as written by diarisation programs. If it holds turns of
        several recordings, those are used whose file field is the recording's
        name without its suffix.
    recording : str or Path
        The audio file.

    Returns
    -------
    list of Turn
        By their beginning; turns of one speaker that touch or overlap are
        joined.

    Raises
    ------
    InputError
        If the file cannot be read, a line is malformed, or no turn belongs
        to the recording.

    Example
    -------
    >>> path = getfixture("tmp_path") / "call.rttm"
    >>> line = "SPEAKER call 1 {} {} <NA> <NA> {} <NA> <NA>"
    >>> rows = [("0.5", "2", "anna"), ("2.5", "1", "anna"), ("3", "2", "ben")]
    >>> _ = path.write_text("\\n".join(line.format(*row) for row in rows))
    >>> for turn in read_turns(path, "call.wav"):
    ...     print(*turn)
    0.5 3.5 anna
    3.0 5.0 ben
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"{path} cannot be read as RTTM ({error}): give a text file in "
            "UTF-8 with one SPEAKER line per turn."
        ) from error
    found = {}
    for number, line in enumerate(text.splitlines(), start=1):
        fields = line.split()
        if not fields or fields[0].startswith(";") or fields[0] in IGNORED:
            continue
        file, turn = _turn(f"{path}, line {number}", fields)
        found.setdefault(file, []).append(turn)
    return _joined(_of_recording(path, found, Path(recording).stem))


def _turn(where, fields):
    """Parse file field and turn of a line."""
    if fields[0] != "SPEAKER" or len(fields) < FEWEST_FIELDS:
        raise InputError(
            f"{where}, is not a turn in RTTM: it must be SPEAKER file channel "
            "begin duration <NA> <NA> speaker <NA> <NA>."
        )
    begin = _seconds(where, "begin", fields[3])
    duration = _seconds(where, "duration", fields[4])
    return fields[1], Turn(begin, begin + duration, fields[7])


def _seconds(where, name, text):
    """A number of seconds, 0 or more."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise InputError(
            f"{where}, gives {name} as {text[:40]!r}: give seconds, 0 or more."
        )
    return seconds


def _of_recording(path, found, stem):
    """Select the turns of the recording."""
    if len(found) == 1:
        return next(iter(found.values()))
    if stem in found:
        return found[stem]
    if not found:
        raise InputError(
            f"{path} holds no SPEAKER line: give an RTTM file with the "
            "speakers' turns."
        )
    names = ", ".join(sorted(found)[:5])
    raise InputError(
        f"{path} holds turns of {len(found)} recordings ({names}), none of "
        f"them {stem}: name the audio file as its turns do, or give its turns "
        "alone."
    )


def _joined(turns):
    """Join turns of a speaker that touch or overlap."""
    joined, last = [], {}
    for turn in sorted(turns):
        before = last.get(turn.speaker)
        if before is not None and turn.begin <= joined[before].end:
            end = max(turn.end, joined[before].end)
            joined[before] = joined[before]._replace(end=end)
        else:
            last[turn.speaker] = len(joined)
            joined.append(turn)
    return joined
