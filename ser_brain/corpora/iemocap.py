"""IEMOCAP as USC ships it: five sessions of two speakers each.

The labels are in `Session1/dialog/EmoEvaluation/Ses01F_impro01.txt`, one line
per utterance among the lines of the individual raters; the audio is in
`Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_F000.wav`; what is said
in `Session1/dialog/transcriptions/Ses01F_impro01.txt`.
"""

import difflib
import logging
import re
from collections import Counter
from dataclasses import replace

from ser_brain.corpora.corpus import Clip, Corpus, Reading
from ser_brain.errors import InputError
from ser_brain.files import is_file

logger = logging.getLogger(__name__)

LABELS = tuple("ang dis exc fea fru hap neu oth sad sur xxx".split())
# Times, then name and label.
LABEL_LINE = re.compile(r"\[\s*[\d.]+\s*-\s*[\d.]+\s*\]\s+(\S+)\s+(\S+)\s+\[")
# Valence, activation and dominance, the means of the raters.
RATINGS = re.compile(r"\[\s*([\d.]+),\s*([\d.]+),\s*([\d.]+)\s*\]\s*$")
ATTRIBUTES = ("valence", "arousal", "dominance")
# "C-E2:" is a rater, "C-F1:" an actor.
RATER_LINE = re.compile(r"C-E\d+:")
RATER_CODES = {
    "anger": "ang",
    "disgust": "dis",
    "excited": "exc",
    "fear": "fea",
    "frustration": "fru",
    "happiness": "hap",
    "neutral": "neu",
    "neutral state": "neu",
    "other": "oth",
    "sadness": "sad",
    "surprise": "sur",
}
# Other lines of a transcription name no utterance.
TEXT_LINE = re.compile(r"(Ses\w+)\s+\[[\d.\s-]+\]\s*:\s*(\S.*)")
# The letter after "Ses01" is the person with markers; the last the speaker.
UTTERANCE = re.compile(r"(Ses0([1-5])[FM]_\w+)_([FM])\d+")


def find_iemocap(data_folder):
    """Find the folder that contains Session1 to Session5.

    Arguments
    ---------
    data_folder : pathlib.Path
        IEMOCAP_full_release or the folder above it.

    Returns
    -------
    pathlib.Path or None
        None if no session's labels are found.

    Example
    -------
    >>> from pathlib import Path
    >>> find_iemocap(Path("/nowhere")) is None
    True
    """
    for root in (data_folder, data_folder / "IEMOCAP_full_release"):
        if any(root.glob("Session[1-5]/dialog/EmoEvaluation")):
            return root
    return None


def read_iemocap(data_folder, allow_incomplete=False):
    """Read every labelled utterance of IEMOCAP, whatever its label.

    Arguments
    ---------
    data_folder : pathlib.Path
        IEMOCAP_full_release or the folder above it.
    allow_incomplete : bool
        Skip utterances without audio with a warning, not an error.

    Returns
    -------
    Reading
        Clips with the corpus's own label codes and, where they are
        transcribed, texts; and the files of both.

    Raises
    ------
    InputError
        An unknown label, a label line that cannot be read, an utterance
        labelled twice, or one without audio.
    """
    root = find_iemocap(data_folder)
    # Real copies hold "._Ses…" files and sub-folders with single raters'
    # files of the same names; this pattern meets neither.
    files = sorted(root.glob("Session[1-5]/dialog/EmoEvaluation/Ses*.txt"))
    spoken = sorted(root.glob("Session[1-5]/dialog/transcriptions/Ses*.txt"))
    texts = dict(line for file in spoken for line in _text_lines(file))
    clips = {}
    for file in files:
        wavs = file.parents[2] / "sentences" / "wav"
        for where, name, label in _label_lines(file):
            if name in clips:
                raise InputError(
                    f"{where} labels {name} a second time: keep only one "
                    "label file of each dialogue."
                )
            clip = _clip(where, name, label, wavs, data_folder)
            clips[name] = replace(clip, text=texts.get(name))
    present = _with_audio(clips.values(), data_folder, allow_incomplete)
    return Reading(present, (*files, *spoken))


def _text_lines(file):
    """Yield (utterance name, what is said) for each line of a dialogue."""
    for line in file.read_text(encoding="latin-1").splitlines():
        match = TEXT_LINE.match(line)
        if match is not None:
            yield match[1], match[2].strip()


def read_iemocap_numbers(data_folder):
    """Read the ratings of every utterance by IEMOCAP's raters.

    Arguments
    ---------
    data_folder : pathlib.Path
        IEMOCAP_full_release or the folder above it.

    Returns
    -------
    dict
        From utterance to its mean valence, arousal and dominance (1 to 5),
        and, for each label code that a rater gave, its share of the raters. A
        rater who gave two labels gives half a vote to each; the actors' own
        ratings are left out.

    Raises
    ------
    InputError
        If a rater's label is unknown, or an utterance has no ratings.
    """
    root = find_iemocap(data_folder)
    files = sorted(root.glob("Session[1-5]/dialog/EmoEvaluation/Ses*.txt"))
    return {name: numbers for file in files for name, numbers in _numbers(file)}


def _numbers(file):
    """Yield (utterance name, its numbers) of a label file."""
    name, means, votes = None, {}, []
    for number, line in enumerate(_lines(file), 1):
        where = f"{file}, line {number},"
        if line.startswith("["):
            if name is not None:
                yield name, {**means, **_shares(votes)}
            name, means = _mean_ratings(where, line)
            votes = []
        elif RATER_LINE.match(line):
            votes.append(_vote(where, line))
    if name is not None:
        yield name, {**means, **_shares(votes)}


def _mean_ratings(where, line):
    """Parse an utterance's name and its ratings."""
    found = RATINGS.search(line)
    if found is None:
        raise InputError(
            f"{where} has no [valence, activation, dominance] at its end "
            f"({line.strip()!r}): copy the file again from the release."
        )
    name = LABEL_LINE.match(line)[1]
    return name, dict(zip(ATTRIBUTES, map(float, found.groups())))


def _vote(where, line):
    """Parse the label codes that a rater gave."""
    given = line.split(":", 1)[1].split("(", 1)[0].split(";")
    given = [label.strip() for label in given if label.strip()]
    unknown = [label for label in given if label.casefold() not in RATER_CODES]
    if unknown:
        raise InputError(
            f"{where} has the rater's label {unknown[0]!r}, which is none of "
            f"{', '.join(RATER_CODES)}: correct it."
        )
    return [RATER_CODES[label.casefold()] for label in given]


def _shares(votes):
    """Each label's share of the raters who gave any."""
    cast = [vote for vote in votes if vote]
    shares = Counter()
    for vote in cast:
        for code in vote:
            shares[code] += 1 / len(vote) / len(cast)
    return dict(shares)


def _lines(file):
    """Lines of a label file."""
    # Raters' remarks contain stray bytes, and latin-1 accepts every byte.
    return file.read_text(encoding="latin-1").split("\n")


def _label_lines(file):
    """Yield (where, utterance name, label) for each label line."""
    for number, line in enumerate(_lines(file), 1):
        if not line.startswith("["):
            continue
        where = f"{file}, line {number},"
        match = LABEL_LINE.match(line)
        if match is None:
            raise InputError(
                f"{where} is not a label line ({line.strip()!r}): copy the "
                "file again from the release."
            )
        yield where, match[1], match[2]


def _clip(where, name, label, wavs, data_folder):
    """Turn a label line into a clip, or raise an error."""
    parts = UTTERANCE.fullmatch(name)
    if parts is None:
        raise InputError(
            f"{where} names the utterance {name}, not one like "
            "Ses01F_impro01_F000: copy the file again from the release."
        )
    if label not in LABELS:
        near = difflib.get_close_matches(label, LABELS, n=1, cutoff=0.0)[0]
        raise InputError(
            f"{where} has the unknown emotion code {label!r}: did it mean "
            f"{near!r}? The codes are {', '.join(LABELS)}."
        )
    dialogue, session, letter = parts.groups()
    return Clip(
        id=name,
        wav=(wavs / dialogue / f"{name}.wav")
        .relative_to(data_folder)
        .as_posix(),
        emotion=label,
        speaker=f"Ses0{session}{letter}",
        session=session,
    )


def _with_audio(clips, data_folder, allow_incomplete):
    """Select the clips with audio; report the others."""
    present, missing = [], []
    for clip in clips:
        if is_file(data_folder / clip.wav):
            present.append(clip)
        else:
            missing.append(clip)
    if missing:
        sentence = (
            f"{data_folder / missing[0].wav} is missing, though the labels "
            f"name it (missing in all: {len(missing)})"
        )
        if not allow_incomplete:
            raise InputError(
                f"{sentence}: copy the corpus again, or pass "
                "--allow_incomplete to work without."
            )
        logger.warning("%s: skipped.", sentence)
    return tuple(present)


IEMOCAP = Corpus(
    name="IEMOCAP",
    environment="IEMOCAP_ROOT",
    find=find_iemocap,
    read=read_iemocap,
    version=2,
    labels=LABELS,
    classes={
        "angry": ("ang",),
        "happy": ("hap", "exc"),
        "neutral": ("neu",),
        "sad": ("sad",),
    },
    published={
        "1": {"angry": 229, "happy": 278, "neutral": 384, "sad": 194},
        "2": {"angry": 137, "happy": 327, "neutral": 362, "sad": 197},
        "3": {"angry": 240, "happy": 286, "neutral": 320, "sad": 305},
        "4": {"angry": 327, "happy": 303, "neutral": 258, "sad": 143},
        "5": {"angry": 170, "happy": 442, "neutral": 384, "sad": 245},
    },
    by="session",
    layout="Session1/dialog/EmoEvaluation",
    source="USC SAIL, IEMOCAP release form",
    numbers=read_iemocap_numbers,
)
