"""The results of readers, and the description of corpora."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

AUDIO_SUFFIXES = (".wav", ".flac")


@dataclass(frozen=True)
class Clip:
    """One labelled utterance, as a reader finds it on disk.

    Arguments
    ---------
    id : str
        Name of the utterance, unique in its corpus.
    wav : str
        Its audio file, relative to the data folder, with forward slashes.
    emotion : str
        The corpus's own label, before any classes are chosen.
    speaker : str
        The speaker; folds are speaker-independent by this name.
    session : str
        The recording session, or the speaker if there are no sessions.
    fold : str, optional
        The fold that tests this clip, if the corpus gives one.
    text : str, optional
        What is said in it, where the corpus tells.

    Example
    -------
    >>> Clip("DC_a01", "DC/a01.wav", "anger", "DC", "DC").fold is None
    True
    """

    id: str
    wav: str
    emotion: str
    speaker: str
    session: str
    fold: str | None = None
    text: str | None = None


@dataclass(frozen=True)
class Reading:
    """Everything that a reader found in a data folder.

    Arguments
    ---------
    clips : tuple of Clip
        The labelled utterances.
    label_files : tuple of pathlib.Path
        The files that labels and texts were read from, besides the audio.

    Example
    -------
    >>> Reading(clips=(), label_files=()).clips
    ()
    """

    clips: tuple[Clip, ...]
    label_files: tuple[Path, ...]


@dataclass(frozen=True)
class Corpus:
    """Description of a corpus that this toolkit can read.

    Arguments
    ---------
    name : str
        Its usual name.
    environment : str
        The environment variable that may name its folder.
    find : callable
        `find(data_folder) -> Path or None`: where the corpus starts at or just
        below the folder, None if it is not there.
    read : callable
        `read(data_folder, allow_incomplete) -> Reading`.
    version : int
        Incremented when the reader returns different clips for the same files,
        so that manifests of the older reader are created again.
    labels : tuple of str
        Every label the manifest may hold.
    classes : dict
        The classes of the published counts: `{class: labels it joins}`.
    published : dict
        Number of clips, `{session: {class: count}}`.
    by : str
        The fold rule of the published protocol: "session" or "speaker".
    layout : str
        A path that is typical of this corpus, for error messages.
    source : str
        Where to get it.
    numbers : callable, optional
        `numbers(data_folder) -> {id: {name: number}}`: ratings, and each
        label's share of the raters, if the corpus has them.
    """

    name: str
    environment: str
    find: Callable[[Path], Path | None]
    read: Callable[[Path, bool], Reading]
    version: int
    labels: tuple[str, ...]
    classes: dict[str, tuple[str, ...]]
    published: dict[str, dict[str, int]]
    by: str
    layout: str
    source: str
    numbers: Callable[[Path], dict] | None = None


def count_differences(corpus, clips):
    """Find differences from the published number of clips.

    Arguments
    ---------
    corpus : Corpus
        Gives the classes and their published counts.
    clips : iterable of Clip
        The clips that were found.

    Returns
    -------
    list of str
        One phrase per session that differs; empty for a complete copy.

    Example
    -------
    >>> from ser_brain.corpora import get_corpus
    >>> count_differences(get_corpus("SAVEE"), [])[0]
    'session DC: 0 anger of 15, 0 disgust of 15, ... 0 surprise of 15'
    """
    class_of = {
        label: name for name, ls in corpus.classes.items() for label in ls
    }
    found = Counter((c.session, class_of.get(c.emotion)) for c in clips)
    phrases = []
    for session, counts in corpus.published.items():
        wrong = [
            f"{found[session, name]} {name} of {count}"
            for name, count in counts.items()
            if found[session, name] != count
        ]
        if wrong:
            phrases.append(f"session {session}: {', '.join(wrong)}")
    return phrases
