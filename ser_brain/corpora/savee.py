"""SAVEE: four speakers, seven emotions, the emotion in the file's name.

Three layouts are met: the official `AudioData/DC/a01.wav`, the repackaged
`ALL/DC_a01.wav`, and either of them without its outer folder.
"""

import re

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
CLIP_NAME = re.compile(r"(DC|JE|JK|KL)_([a-z]+)\d+")


def find_savee(data_folder):
    """The folder that holds SAVEE's audio.

    Arguments
    ---------
    data_folder : pathlib.Path
        The folder with AudioData or ALL in it, or either of these, or any
        folder with the speakers' folders or the clips in it.

    Returns
    -------
    pathlib.Path or None
        None where no clip of SAVEE is found.

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
        As `find_savee` takes it.
    allow_incomplete : bool
        Nothing is missing to this reader: labels and audio are one file.

    Returns
    -------
    Reading
        Clips named as in the flat layout ("DC_a01"), whichever is read.

    Raises
    ------
    InputError
        An audio file that is not named as SAVEE names them, or a clip that
        is there twice.
    """
    clips = {}
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
        speaker, code = parts.groups()
        wav = path.relative_to(data_folder).as_posix()
        clips[name] = Clip(name, wav, EMOTIONS[code], speaker, speaker)
    return Reading(tuple(clips.values()), label_files=())


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
    version=1,
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
