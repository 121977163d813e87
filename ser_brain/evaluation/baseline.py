"""The plain baseline: log-mel statistics and logistic regression.

A recipe should score higher than this to be worth its computing time. From the
command line, on the folds of the recipes: ``ser-brain baseline --corpus SAVEE
--data_folder DIR``
"""

from functools import cache

import pandas
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torchaudio.transforms import MelSpectrogram
from tqdm import tqdm

from ser_brain.evaluation.metrics import unweighted_accuracy

SAMPLE_RATE = 16000
BANDS = 40
WINDOW = 400  # samples: 25 ms
HOP = 160  # samples: 10 ms
FLOOR = 1e-8  # power of silence, about -80 dB


def log_mel_statistics(wav):
    """Mean and standard deviation over time of a clip's log-mel bands.

    Arguments
    ---------
    wav : torch.Tensor
        Mono waveform at 16 kHz, shape (samples,), at least 25 ms.

    Returns
    -------
    torch.Tensor
        Shape (80,): the means of 40 bands, then their standard deviations.

    Example
    -------
    >>> log_mel_statistics(torch.randn(16000)).shape
    torch.Size([80])
    """
    bands = (_mel_spectrogram()(wav) + FLOOR).log()
    return torch.cat([bands.mean(1), bands.std(1, correction=0)])


@cache
def _mel_spectrogram():
    """The filters, created once for all clips."""
    return MelSpectrogram(
        SAMPLE_RATE, n_fft=512, win_length=WINDOW, hop_length=HOP, n_mels=BANDS
    )


def log_mel_baseline(manifest, folds, read):
    """Test every clip once with logistic regression on log-mel statistics.

    Features are standardised with the mean and standard deviation of the
    training part; classes have equal weight, whatever their size.

    Arguments
    ---------
    manifest : dict
        id -> wav, emotion (already the class) and speaker.
    folds : dict
        Name -> fold with ids in ``train`` and ``test``, as
        :func:`ser_brain.corpora.folds` returns them.
    read : callable
        Maps the manifest's wav to a waveform (samples,) at 16 kHz.

    Returns
    -------
    list of dict
        One row per tested clip, as
        :func:`ser_brain.results.outputs.write_predictions` takes them.

    Example
    -------
    >>> from types import SimpleNamespace
    >>> noise = torch.randn(8000)
    >>> manifest = {
    ...     "a1": {"wav": 0.1, "emotion": "sad", "speaker": "a"},
    ...     "a2": {"wav": 0.9, "emotion": "angry", "speaker": "a"},
    ...     "b1": {"wav": 0.1, "emotion": "sad", "speaker": "b"},
    ... }
    >>> fold = SimpleNamespace(train=["a1", "a2"], test=["b1"])
    >>> rows = log_mel_baseline(
    ...     manifest, {"b": fold}, lambda level: level * noise
    ... )
    >>> [row["prediction"] for row in rows]
    ['sad']
    """
    used = sorted({id for f in folds.values() for id in (*f.train, *f.test)})
    features = {
        id: log_mel_statistics(read(manifest[id]["wav"])).numpy()
        for id in tqdm(used, desc="log-mel", leave=False, dynamic_ncols=True)
    }
    rows = []
    for name, fold in folds.items():
        model = make_pipeline(
            StandardScaler(),
            LogisticRegression(class_weight="balanced", max_iter=5000),
        )
        model.fit(
            [features[id] for id in fold.train],
            [manifest[id]["emotion"] for id in fold.train],
        )
        posteriors = model.predict_proba([features[id] for id in fold.test])
        for id, shares in zip(fold.test, posteriors):
            shares = dict(zip(model.classes_.tolist(), shares.tolist()))
            row = {
                "id": id,
                "speaker": manifest[id]["speaker"],
                "fold": name,
                "label": manifest[id]["emotion"],
                "prediction": max(shares, key=shares.get),
                "posteriors": shares,
            }
            rows.append(row)
    return rows


def accuracy_by_fold(rows):
    """Unweighted accuracy of each fold, in the order of the rows.

    Arguments
    ---------
    rows : list of dict
        Predictions of one run of every fold, each with fold, label and
        prediction.

    Returns
    -------
    dict
        Fold -> unweighted accuracy in [0, 1].

    Example
    -------
    >>> accuracy_by_fold([{"fold": "DC", "label": "x", "prediction": "x"}])
    {'DC': 1.0}
    """
    by_fold = pandas.DataFrame(rows).groupby("fold", sort=False)
    return {
        fold: unweighted_accuracy(clips["label"], clips["prediction"])
        for fold, clips in by_fold
    }
