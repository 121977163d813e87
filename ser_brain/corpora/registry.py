"""Corpora that can be read by name, and the location of their folders."""

import os
from pathlib import Path

from ser_brain.corpora.corpus import Corpus
from ser_brain.corpora.iemocap import IEMOCAP
from ser_brain.corpora.savee import SAVEE
from ser_brain.errors import InputError

CORPORA = {corpus.name: corpus for corpus in (IEMOCAP, SAVEE)}


def get_corpus(corpus):
    """Return the corpus of that name.

    Arguments
    ---------
    corpus : str or Corpus
        "IEMOCAP" or "SAVEE"; a `Corpus` is returned unchanged.

    Returns
    -------
    Corpus
        The description of the corpus.

    Raises
    ------
    InputError
        If the name is unknown.

    Example
    -------
    >>> get_corpus("SAVEE").environment
    'SAVEE_ROOT'
    """
    if isinstance(corpus, Corpus):
        return corpus
    if corpus not in CORPORA:
        raise InputError(
            f"There is no reader for the corpus {corpus!r}: there are "
            f"{', '.join(CORPORA)}, and a table of your own clips."
        )
    return CORPORA[corpus]


def find_data_folder(corpus, data_folder=None):
    """Find the folder that the user has named for a corpus.

    Arguments
    ---------
    corpus : str or Corpus
        The corpus.
    data_folder : str or pathlib.Path, optional
        The user's own argument, which takes precedence over the environment.

    Returns
    -------
    pathlib.Path or None
        The folder, or None if neither names one.

    Raises
    ------
    InputError
        If a folder is named that does not exist.

    Example
    -------
    >>> find_data_folder("SAVEE", "/nowhere")
    Traceback (most recent call last):
    ...
    ser_brain.errors.InputError: /nowhere, named by data_folder, is not ...
    """
    corpus = get_corpus(corpus)
    named_by = "data_folder" if data_folder else corpus.environment
    folder = data_folder or os.environ.get(corpus.environment)
    if not folder:
        return None
    folder = Path(folder).expanduser()
    if not folder.is_dir():
        raise InputError(
            f"{folder}, named by {named_by}, is not a folder: give the folder "
            f"of {corpus.name}."
        )
    return folder


def read_corpus(corpus, data_folder, allow_incomplete=False):
    """Read the labels of a corpus, without opening its audio.

    Arguments
    ---------
    corpus : str or Corpus
        The corpus.
    data_folder : str, pathlib.Path or None
        Its folder; None takes the one given by the environment variable.
    allow_incomplete : bool
        Skip labelled utterances that have no audio, with a warning.

    Returns
    -------
    Reading
        The clips and the label files.

    Raises
    ------
    InputError
        If the folder does not exist, is empty or holds another corpus, or the
        corpus itself is damaged.

    Example
    -------
    >>> read_corpus("IEMOCAP", "/nowhere")
    Traceback (most recent call last):
    ...
    ser_brain.errors.InputError: /nowhere, named by data_folder, is not ...
    """
    corpus = get_corpus(corpus)
    folder = find_data_folder(corpus, data_folder)
    if folder is None:
        raise InputError(
            f"No folder is given for {corpus.name}: name it by data_folder "
            f"or by the environment variable {corpus.environment}."
        )
    if corpus.find(folder) is None:
        raise InputError(_not_here(corpus, folder))
    return corpus.read(folder, allow_incomplete)


def _not_here(corpus, folder):
    """Explain why the folder is not that of the corpus."""
    have = f"to have {corpus.name}, ask {corpus.source}"
    if not any(folder.iterdir()):
        return f"{folder} is empty: copy {corpus.name} there; {have}."
    for other in CORPORA.values():
        if other.find(folder) is not None:
            return (
                f"{folder} looks like {other.name}, not {corpus.name}: give "
                f"the folder with {corpus.layout}, or use the recipes of "
                f"{other.name}."
            )
    return (
        f"{folder} does not hold {corpus.name}: give the folder with "
        f"{corpus.layout}; {have}."
    )
