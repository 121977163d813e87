"""SAVEE: four speakers, seven emotions, the emotion in the file's name.

Three layouts exist: the official `AudioData/DC/a01.wav`, the repackaged
`ALL/DC_a01.wav`, and either of them without its outer folder. The four
speakers read the same sentences (`savee_sentences.yaml`).
"""

import re
from pathlib import Path

import yaml

from ser_brain.corpora.corpus import AUDIO_SUFFIXES, Clip, Corpus, Reading
from ser_brain.errors import InputError

SPEAKERS = ("DC", "JE", "JK", "KL")
EMOTIONS = {
    "a": "anger",
    "d": "disgust",
    "f": "fear",
    "h": "happiness",
    "n": "neutral",
    "sa": "sadness",
    "su": "surprise",
}
# What is said, by emotion code, in the order of the clips' numbers.
SENTENCES = yaml.safe_load(
    Path(__file__).with_name("savee_sentences.yaml").read_text(encoding="utf-8")
)
CLIP_NAME = re.compile(r"(DC|JE|JK|KL)_([a-z]+)(\d+)")


def find_savee(data_folder):
    """Find the folder that contains SAVEE's audio.

    Arguments
    ---------
    data_folder : pathlib.Path
        The folder with AudioData or ALL in it, or either of these, or any
        folder with the speakers' folders or the clips in it.

    Returns
    -------
    pathlib.Path or None
        None if no clip of SAVEE is found.

    Example
    -------
    >>> from pathlib import Path
    >>> find_savee(Path("/nowhere")) is None
    True
    """
    for root in (data_folder / "AudioData", data_folder / "ALL", data_folder):
        if any(CLIP_NAME.fullmatch(name) for name, _ in _audio(root)):
            return root
    return None


def read_savee(data_folder, allow_incomplete=False):
    """Read every clip of SAVEE.

    Arguments
    ---------
    data_folder : pathlib.Path
        As for `find_savee`.
    allow_incomplete : bool
        Ignored: labels and audio are one file, so nothing can be missing.

    Returns
    -------
    Reading
        Clips named as in the flat layout ("DC_a01"), whichever layout is read.

    Raises
    ------
    InputError
        An audio file without a valid name of SAVEE, or a clip that exists
        twice.
    """
    clips, texts = {}, []
    for name, path in _audio(find_savee(data_folder)):
        parts = CLIP_NAME.fullmatch(name)
        if parts is None or parts[2] not in EMOTIONS:
            raise InputError(
                f"{path} has no emotion code of SAVEE in its name: codes are "
                f"{', '.join(EMOTIONS)}, as in DC_a01 (speakers "
                f"{', '.join(SPEAKERS)}); move other files elsewhere."
            )
        if name in clips:
            raise InputError(
                f"{path} is a second file for the clip {name}: keep one."
            )
        speaker, code, number = parts.groups()
        wav = path.relative_to(data_folder).as_posix()
        text = sentence(code, int(number))
        # A copy of other sentences has them beside the audio.
        own = path.with_suffix(".txt")
        if own.is_file():
            text = own.read_text(encoding="utf-8", errors="replace").strip()
            texts.append(own)
        clips[name] = Clip(
            name, wav, EMOTIONS[code], speaker, speaker, text=text or None
        )
    return Reading(tuple(clips.values()), label_files=tuple(texts))


def sentence(code, number):
    """What every speaker says in a clip.

    Arguments
    ---------
    code : str
        The emotion's code in the clip's name.
    number : int
        The clip's number, from 1.

    Returns
    -------
    str or None
        None where SAVEE has no such clip.

    Example
    -------
    >>> sentence("a", 3), sentence("a", 16)
    ('Will you tell me why?', None)
    """
    known = SENTENCES.get(code, ())
    return known[number - 1] if 1 <= number <= len(known) else None


def _audio(root):
    """Every audio file as (name in the flat layout, path), sorted."""
    found = [(path.stem, path) for path in root.glob("[!.]*")]
    for speaker in SPEAKERS:
        for path in (root / speaker).glob("[!.]*"):
            found.append((f"{speaker}_{path.stem}", path))
    return sorted(f for f in found if f[1].suffix.lower() in AUDIO_SUFFIXES)


SAVEE = Corpus(
    name="SAVEE",
    environment="SAVEE_ROOT",
    find=find_savee,
    read=read_savee,
    version=2,
    labels=tuple(EMOTIONS.values()),
    classes={emotion: (emotion,) for emotion in EMOTIONS.values()},
    published={
        speaker: {
            emotion: 30 if emotion == "neutral" else 15
            for emotion in EMOTIONS.values()
        }
        for speaker in SPEAKERS
    },
    by="speaker",
    layout="AudioData/DC/a01.wav",
    source="University of Surrey, SAVEE registration form",
)
