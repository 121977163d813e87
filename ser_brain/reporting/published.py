"""The paper's figures as data, to be printed beside one's own.

L.-W. Chen and A. Rudnicky, "Exploring wav2vec 2.0 fine tuning for improved
speech emotion recognition", ICASSP 2023, arXiv 2110.06309. Unweighted
accuracies (UA) and ratios are in percent; losses are as printed.
"""

from typing import NamedTuple

SOURCE = (
    "L.-W. Chen and A. Rudnicky, Exploring wav2vec 2.0 fine tuning for "
    "improved speech emotion recognition, ICASSP 2023, arXiv 2110.06309"
)

# The paper's names of the procedures, in the order of its rows.
PROCEDURES = {"vft": "V-FT", "tapt": "TAPT", "ptapt": "P-TAPT"}

# Runs of each fold.
RUNS = {"IEMOCAP": 5, "SAVEE": 20}


_FOLDS = {"IEMOCAP": "12345", "SAVEE": ("DC", "JE", "JK", "KL")}
# By fold, then the mean as it is printed. "human" is what listeners reach.
_ROWS = {
    ("IEMOCAP", "vft"): (71.0, 76.2, 66.3, 68.7, 67.3, 69.9),
    ("IEMOCAP", "tapt"): (71.8, 79.6, 70.2, 73.2, 72.5, 73.5),
    ("IEMOCAP", "ptapt"): (72.8, 80.2, 71.0, 73.6, 73.7, 74.3),
    ("SAVEE", "vft"): (75.2, 78.8, 56.0, 39.0, 62.3),
    ("SAVEE", "tapt"): (81.6, 83.3, 69.9, 49.7, 71.1),
    ("SAVEE", "ptapt"): (86.7, 84.2, 66.8, 45.8, 70.9),
    ("SAVEE", "human"): (73.7, 67.7, 71.2, 53.2, 66.5),
}
# UA by fold: Tables 1 and 2.
PUBLISHED = {
    (corpus, name): dict(zip((*_FOLDS[corpus], "mean"), row, strict=True))
    for (corpus, name), row in _ROWS.items()
}

# Pretraining loss of the unadapted model: Table 3.
PRETRAINING_LOSS = {
    "LibriSpeech test-clean": 32.04,
    "SAVEE": 41.37,
    "IEMOCAP": 55.42,
}

# UA on session 5 by hours of training data: Table 4.
DATA_SIZE_FOLD = "5"
DATA_SIZE_HOURS = (0.5, 1.0, 3.0, 7.0)
DATA_SIZE = {
    "vft": (56.8, 60.9, 66.4, 67.3),
    "tapt": (58.1, 62.9, 69.3, 72.5),
    "ptapt": (58.8, 64.1, 70.0, 73.7),
}
# (TAPT - V-FT) / (P-TAPT - V-FT), as printed.
DATA_SIZE_RATIO = (65.0, 62.5, 80.6, 81.3)


class OtherSystem(NamedTuple):
    """A row of Table 5 that is cited, not measured.

    Arguments
    ---------
    name : str
        What the system is.
    modality : str
        What it hears or reads.
    ua : float
        Its UA on IEMOCAP in percent, as the paper prints it.
    source : str
        Where the system was published.

    Example
    -------
    >>> OTHER_SYSTEMS[0].ua
    63.9
    """

    name: str
    modality: str
    ua: float
    source: str


# Table 5: other systems on IEMOCAP, the figures as the paper prints them; the
# publications were matched to its rows by description and figure.
OTHER_SYSTEMS = (
    OtherSystem(
        "FCN with attention on spectrograms",
        "audio",
        63.9,
        "Y. Zhang et al., Attention based fully convolutional network for "
        "speech emotion recognition, APSIPA 2018",
    ),
    OtherSystem(
        "wav2vec, frozen",
        "audio",
        64.3,
        "J. Boigne et al., Recognizing more emotions with less data using "
        "self-supervised transfer learning, arXiv 2011.05585",
    ),
    OtherSystem(
        "wav2vec, fine-tuned",
        "audio",
        66.9,
        "Y. Xia et al., Temporal context in speech emotion recognition, "
        "Interspeech 2021",
    ),
    OtherSystem(
        "wav2vec 2.0, frozen, learned layer weights",
        "audio",
        66.3,
        "L. Pepino et al., Emotion recognition from speech using wav2vec 2.0 "
        "embeddings, Interspeech 2021",
    ),
    OtherSystem(
        "MFCC and ALBERT",
        "audio and text",
        72.1,
        "M. Chen and X. Zhao, A multi-scale fusion framework for bimodal "
        "speech emotion recognition, Interspeech 2020",
    ),
    OtherSystem(
        "MFCC and BERT",
        "audio and ASR",
        75.9,
        "J. Santoso et al., Speech emotion recognition based on attention "
        "weight correction using word-level confidence measure, "
        "Interspeech 2021",
    ),
)
