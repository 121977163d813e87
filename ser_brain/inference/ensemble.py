"""Several trained models that answer together."""

from functools import cached_property
from pathlib import Path

import torch

from ser_brain.errors import InputError
from ser_brain.inference.checks import CLASSIFIER
from ser_brain.inference.classifying import Recognizer


class Ensemble(Recognizer):
    """The mean of the posteriors of several recognizers.

    Arguments
    ---------
    members : list of Recognizer
        At least one, on the same device. Their encoders may differ, their
        classes only in their order.
    names : list of str, optional
        Names of the members for error messages.

    Raises
    ------
    InputError
        If the classes differ.

    Example
    -------
    >>> from ser_brain.assets import folder
    >>> from ser_brain.inference import EmotionRecognizer
    >>> from ser_brain.lobes import load_encoder
    >>> from ser_brain.nnet.heads import UtteranceHead
    >>> encoder = load_encoder(folder("nano_wav2vec2"))
    >>> members = [
    ...     EmotionRecognizer(encoder, UtteranceHead(encoder.dim, 2), classes)
    ...     for classes in (["calm", "sad"], ["sad", "calm"])
    ... ]
    >>> wav = torch.randn(16000)
    >>> one, other = (each.classify_batch(wav)[0] for each in members)
    >>> posteriors = Ensemble(members).classify_batch(wav)[0]
    >>> torch.allclose(posteriors, (one + other.flip(1)) / 2)
    True
    """

    def __init__(self, members, names=None):
        self.members = list(members)
        self.classes = self.members[0].classes
        names = names or [f"member {n}" for n, _ in enumerate(self.members, 1)]
        for member, name in zip(self.members, names):
            if sorted(member.classes) != sorted(self.classes):
                raise InputError(
                    f"{name} has the classes {', '.join(member.classes)}, and "
                    f"{names[0]} {', '.join(self.classes)}: give models with "
                    "the same classes."
                )
        self.columns = [
            [member.classes.index(name) for name in self.classes]
            for member in self.members
        ]

    @property
    def device(self):
        """Device of the computation."""
        return self.members[0].device

    @cached_property
    def shortest(self):
        """Samples at 16 kHz of the shortest clip that all members take."""
        return max(member.shortest for member in self.members)

    def posteriors(self, wavs, wav_lens=None):
        """Compute posteriors (batch, classes), averaged over the members.

        Arguments are those of :meth:`Recognizer.classify_batch`.
        """
        found = [
            member.posteriors(wavs, wav_lens)[:, columns]
            for member, columns in zip(self.members, self.columns)
        ]
        return torch.stack(found).mean(dim=0)


def run_folders(folders):
    """Replace folders of runs by the runs in them.

    Arguments
    ---------
    folders : list of str or Path
        Run folders, or folders whose direct subfolders are runs, such as the
        seeds of a fold.

    Returns
    -------
    list of Path
        Run folders; what is neither is kept.

    Raises
    ------
    InputError
        If a run occurs twice.

    Example
    -------
    >>> fold = getfixture("tmp_path") / "fold_DC"
    >>> for seed in ("seed_1", "seed_2"):
    ...     (fold / seed).mkdir(parents=True)
    ...     (fold / seed / "hyperparams.yaml").touch()
    >>> [run.name for run in run_folders([fold])]
    ['seed_1', 'seed_2']
    >>> run_folders([fold / "seed_1", fold])
    Traceback (most recent call last):
    ...
    ser_brain.errors.InputError: ... is given twice: name each run once.
    """
    found = [run for folder in folders for run in _runs_of(Path(folder))]
    seen = set()
    for run in found:
        place = run.resolve()
        if place in seen:
            raise InputError(f"{run} is given twice: name each run once.")
        seen.add(place)
    return found


def _runs_of(folder):
    """The runs in a folder, or the folder."""
    if _is_run(folder) or not folder.is_dir():
        return [folder]
    return sorted(filter(_is_run, folder.iterdir())) or [folder]


def _is_run(folder):
    """Whether a folder holds a run, finished or not."""
    names = ("hyperparams.yaml", CLASSIFIER / "classifier.json")
    return any((folder / name).is_file() for name in names)
