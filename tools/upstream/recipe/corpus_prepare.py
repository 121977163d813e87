"""Annotations of CORPUS, by tested fold.

Authors
 * The ser_brain developers, 2026
"""

import json
import os
from collections import Counter
from pathlib import Path

from corpus_reader import CORPUS_READER
from speechbrain.dataio import audio_io
from speechbrain.utils.logger import get_logger

logger = get_logger(__name__)


def prepare_corpus(
    data_folder,
    test_fold,
    save_json_train,
    save_json_test,
    allow_incomplete=False,
):
    """Writes the training and the test annotation of one fold.

    Arguments
    ---------
    data_folder : str
        Where the corpus is.
    test_fold : str
        The session or speaker that is tested; all others are trained on.
    save_json_train : str
        Annotation of the training part.
    save_json_test : str
        Annotation of the test part.
    allow_incomplete : bool
        Warn of clips that are missing, instead of an error.

    Example
    -------
    >>> prepare_corpus("/path/to/CORPUS", "1", "train.json", "test.json")
    """
    if os.path.exists(save_json_train) and os.path.exists(save_json_test):
        logger.info("Preparation completed in previous run, skipping.")
        return
    clips = chosen_clips(Path(data_folder), allow_incomplete)
    folds = sorted({clip.session for clip, _ in clips})
    if str(test_fold) not in folds:
        raise ValueError(
            f"test_fold is {test_fold}, which is not a fold: give one of "
            f"{', '.join(folds)}."
        )
    for path, tested in ((save_json_train, False), (save_json_test, True)):
        entries = {
            clip.id: entry(clip, emotion, data_folder)
            for clip, emotion in clips
            if (clip.session == str(test_fold)) == tested
        }
        with open(path, "w", encoding="utf-8") as stream:
            json.dump(entries, stream, indent=2)
        logger.info(f"{path}: {len(entries)} clips")


def chosen_clips(data_folder, allow_incomplete):
    """Clips of the published classes, as pairs of clip and class."""
    if CORPUS_READER.find(data_folder) is None:
        raise ValueError(
            f"{data_folder} has no {CORPUS_READER.layout}: give the folder "
            f"of {CORPUS_READER.name} as data_folder."
        )
    class_of = {
        label: name
        for name, labels in CORPUS_READER.classes.items()
        for label in labels
    }
    clips = [
        (clip, class_of[clip.emotion])
        for clip in CORPUS_READER.read(data_folder, allow_incomplete).clips
        if clip.emotion in class_of
    ]
    found = Counter((clip.session, emotion) for clip, emotion in clips)
    published = {
        (session, emotion): count
        for session, counts in CORPUS_READER.published.items()
        for emotion, count in counts.items()
    }
    if found != published:
        told = (
            f"{data_folder} has {len(clips)} clips, not the published "
            f"{sum(published.values())} by fold and emotion"
        )
        if not allow_incomplete:
            raise ValueError(f"{told}: copy the corpus again.")
        logger.warning(told)
    return clips


def entry(clip, emotion, data_folder):
    """What the annotation says about a clip."""
    info = audio_io.info(os.path.join(data_folder, clip.wav))
    return {
        "wav": "{data_root}/" + clip.wav,
        "duration": info.frames / info.sample_rate,
        "emo": emotion,
        "spk_id": clip.speaker,
    }
