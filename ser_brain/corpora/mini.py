"""The embedded mini corpus, unpacked in a real corpus's layout.

Real voices with prosody changed by a vocoder: see the README of
``ser_brain/assets/mini_corpus``. It checks pipelines and measures nothing.
Unpacked, the readers of IEMOCAP and SAVEE read it as their own.
"""

import hashlib
import io
import json
import os
import random
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
import soundfile as sf
from filelock import FileLock
from scipy.signal import resample_poly

from ser_brain.assets import folder
from ser_brain.errors import InputError

MARKER = "MINI_CORPUS.txt"
# Incremented when the layout of the clips changes: old copies are replaced.
LAYOUT_VERSION = 2
RATE = 16000

SAVEE_SPEAKERS = ("DC", "JE", "JK", "KL")
SAVEE_CODES = {"angry": "a", "happy": "h", "neutral": "n", "sad": "sa"}
SAVEE_RATE = 44100

IEMOCAP_LABELS = {
    "angry": "ang",
    "happy": "hap",
    "neutral": "neu",
    "sad": "sad",
}
IEMOCAP_RATERS = {
    "ang": "Anger",
    "exc": "Excited",
    "hap": "Happiness",
    "neu": "Neutral state",
    "sad": "Sadness",
}
# Valence, activation and dominance on IEMOCAP's scale from 1 to 5.
IEMOCAP_ATTRIBUTES = {
    "ang": (2, 4, 4),
    "exc": (4, 4, 3),
    "hap": (4, 3, 3),
    "neu": (3, 3, 3),
    "sad": (2, 2, 2),
}
# As in the release: either speaker may wear the markers, and scripts have
# parts and takes.
IEMOCAP_DIALOGUES = (
    "F_impro01",
    "M_impro01",
    "F_script01_1",
    "M_script01_1b",
    "M_impro02",
)

NOTICE = """\
This is not {layout}. It is the mini corpus of ser_brain in its layout:
LibriSpeech voices (CC BY 4.0) whose prosody a vocoder changed to imitate four
emotions. It checks that a pipeline runs; a score on it says nothing about
emotion recognition. Where it comes from is told in the README of
ser_brain/assets/mini_corpus.
"""


def unpack_mini(layout, target=None):
    """Unpack the mini corpus, once, in the layout of a real corpus.

    An up-to-date copy is kept, an older one is replaced. The target appears
    completely or not at all, even if several processes unpack at once.

    Arguments
    ---------
    layout : str
        "IEMOCAP" (10 speakers, 5 sessions, 250 clips at 16 kHz, about half
        of the happy ones labelled excited) or "SAVEE" (4 speakers, the 4
        emotions that it shares with IEMOCAP, 100 clips at 44.1 kHz).
    target : str or pathlib.Path, optional
        The folder to create. Default: `default_target`.

    Returns
    -------
    pathlib.Path
        The target; give it to the reader as its data folder.

    Raises
    ------
    InputError
        When there is no such layout, the target holds something else or
        cannot be written, or the embedded files are damaged.

    Example
    -------
    >>> import tempfile
    >>> parent = tempfile.TemporaryDirectory()
    >>> root = unpack_mini("SAVEE", Path(parent.name) / "mini")
    >>> len(list(root.glob("AudioData/DC/sa*.wav"))), is_mini(root)
    (5, True)
    >>> parent.cleanup()
    """
    writer = _writer(layout)
    target = Path(target or default_target(layout)).absolute()
    marker = _marker(layout)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(target.parent / f".{target.name}.lock"):
            if not _is_current(target, marker):
                _replace(target, marker, writer)
    except OSError as error:
        raise InputError(
            f"The mini corpus cannot be unpacked to {target} "
            f"({error.strerror}): make room or give write permission there, "
            "or choose another cache folder by XDG_CACHE_HOME."
        ) from error
    return target


def default_target(layout):
    """Default folder of the mini corpus.

    Arguments
    ---------
    layout : str
        "IEMOCAP" or "SAVEE".

    Returns
    -------
    pathlib.Path
        ``ser_brain/mini-<layout>`` in the user's cache folder, that is in
        XDG_CACHE_HOME or ~/.cache.

    Raises
    ------
    InputError
        When there is no such layout or the cache folder is not writable.

    Example
    -------
    >>> default_target("IEMOCAP").name
    'mini-iemocap'
    """
    _writer(layout)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "ser_brain"
    try:
        cache = cache.expanduser()
        cache.mkdir(parents=True, exist_ok=True)
        writable = os.access(cache, os.W_OK)
    # expanduser raises RuntimeError for a user without a home.
    except (OSError, RuntimeError):
        writable = False
    if not writable:
        raise InputError(
            f"The cache folder {cache} is not writable: name one that is by "
            "the environment variable XDG_CACHE_HOME."
        )
    return cache / f"mini-{layout.lower()}"


def is_mini(data_folder):
    """Whether a data folder is the mini corpus, whatever its layout.

    Every figure computed on such a folder must be labelled "mini".

    Arguments
    ---------
    data_folder : str or pathlib.Path
        Any folder.

    Returns
    -------
    bool

    Example
    -------
    >>> is_mini("/nowhere")
    False
    """
    return (Path(data_folder) / MARKER).is_file()


def _writer(layout):
    """Return the function that writes a layout."""
    if layout.lower() not in LAYOUTS:
        raise InputError(
            f"The mini corpus has no layout {layout!r}: choose IEMOCAP or "
            "SAVEE."
        )
    return LAYOUTS[layout.lower()]


def _marker(layout):
    """The text that marks a current copy, with a key of all it depends on."""
    index = (Path(folder("mini_corpus")) / "index.json").read_bytes()
    salt = f"{LAYOUT_VERSION} {layout.lower()}".encode()
    key = hashlib.sha256(index + salt).hexdigest()[:16]
    return NOTICE.format(layout=layout.upper()) + f"\nversion {key}\n"


def _is_current(target, marker):
    """Whether the target is an unpacked copy of this version."""
    path = target / MARKER
    return path.is_file() and path.read_text("utf-8") == marker


def _replace(target, marker, writer):
    """Unpack beside the target and move the finished folder into place."""
    if target.exists() and not is_mini(target) and any(target.iterdir()):
        raise InputError(
            f"{target} holds other files: name a new or empty folder for the "
            "mini corpus."
        )
    with tempfile.TemporaryDirectory(
        dir=target.parent, prefix=f".{target.name}-"
    ) as work:
        fresh = Path(work) / "fresh"
        fresh.mkdir()
        writer(_load_clips(), fresh)
        (fresh / MARKER).write_text(marker, "utf-8")
        if target.exists():
            os.replace(target, Path(work) / "stale")
        os.replace(fresh, target)


def _load_clips():
    """The index's entries, in its order, with what is said."""
    index = Path(folder("mini_corpus")) / "index.json"
    clips = json.loads(index.read_text("utf-8"))["clips"]
    texts = json.loads(index.with_name("texts.json").read_text("utf-8"))
    return [clip | {"text": texts[clip["id"]]} for clip in clips]


def _read_audio(clip):
    """Read the samples of one embedded clip, int16, shape (samples,)."""
    path = Path(folder("mini_corpus")) / "audio" / f"{clip['id']}.flac"
    try:
        return sf.read(path, dtype="int16")[0]
    except sf.LibsndfileError as error:
        raise InputError(
            f"{path} is missing or damaged ({error.error_string}): install "
            "ser_brain again."
        ) from error


def _write_wav(path, samples, rate):
    """Write 16-bit mono WAV."""
    # Through memory, so that a full disk is reported as an OSError.
    wav = io.BytesIO()
    sf.write(wav, samples, rate, "PCM_16", format="WAV")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(wav.getvalue())


def _write_iemocap(clips, root):
    """Write five sessions of five dialogues between two speakers."""
    for session in range(1, 6):
        turns = [clip for clip in clips if clip["session"] == session]
        # In the index the classes are in blocks; dialogues mix them.
        random.Random(session).shuffle(turns)
        for place, dialogue in enumerate(IEMOCAP_DIALOGUES):
            _write_dialogue(
                turns[place :: len(IEMOCAP_DIALOGUES)],
                f"Ses0{session}{dialogue}",
                root / f"Session{session}",
            )


def _write_dialogue(turns, dialogue, session_folder):
    """Labels and text of one dialogue, and a file of audio for each turn."""
    blocks = ["% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\n"]
    lines = []
    spoken = Counter()
    now = 1.0
    for clip in turns:
        samples = _read_audio(clip)
        name = f"{dialogue}_{clip['sex']}{spoken[clip['sex']]:03d}"
        spoken[clip["sex"]] += 1
        end = now + len(samples) / RATE
        blocks.append(_label_block(clip, name, now, end))
        lines.append(f"{name} [{now:08.4f}-{end:08.4f}]: {clip['text']}\n")
        wav = session_folder / "sentences" / "wav" / dialogue / f"{name}.wav"
        _write_wav(wav, samples, RATE)
        now = end + 0.5
    told = {
        "EmoEvaluation": "\n".join(blocks),
        "transcriptions": "".join(lines),
    }
    for kind, text in told.items():
        path = session_folder / "dialog" / kind / f"{dialogue}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")


def _label_block(clip, name, start, end):
    """An utterance's label line, and rater lines as the release has them."""
    label = IEMOCAP_LABELS[clip["emotion"]]
    # Every second happy clip is "excited", which the recipes must merge.
    if label == "hap" and int(clip["id"].rsplit("_", 1)[1]) % 2:
        label = "exc"
    attributes = IEMOCAP_ATTRIBUTES[label]
    mean = ", ".join(f"{value:.4f}" for value in attributes)
    val, act, dom = attributes
    return (
        f"[{start:.4f} - {end:.4f}]\t{name}\t{label}\t[{mean}]\n"
        f"C-E2:\t{IEMOCAP_RATERS[label]};\t(mini corpus: nobody rated this)\n"
        f"A-E3:\tval {val}; act {act}; dom  {dom};\t()\n"
    )


def _write_savee(clips, root):
    """Write the male speakers of sessions 1 to 4, as SAVEE's four are male."""
    males = [clip for clip in clips if clip["sex"] == "M"]
    for session, speaker in enumerate(SAVEE_SPEAKERS, 1):
        spoken = Counter()
        for clip in (c for c in males if c["session"] == session):
            code = SAVEE_CODES[clip["emotion"]]
            spoken[code] += 1
            name = f"{code}{spoken[code]:02d}.wav"
            wav = root / "AudioData" / speaker / name
            _write_wav(wav, _resample(_read_audio(clip)), SAVEE_RATE)
            wav.with_suffix(".txt").write_text(clip["text"] + "\n", "utf-8")


def _resample(samples):
    """int16 at 16 kHz to int16 at 44.1 kHz, as SAVEE's files are."""
    resampled = resample_poly(samples.astype(np.float64), 441, 160)
    return np.clip(np.round(resampled), -32768, 32767).astype(np.int16)


LAYOUTS = {"iemocap": _write_iemocap, "savee": _write_savee}
