"""Which parts of a run are copied to the home, and when."""

import logging

from ser_brain.engines.store import Home, Part

logger = logging.getLogger(__name__)

# corpus / procedure / scale / fold / seed
LEVELS = 5
# Stages that runs of other seeds may share, and the procedure of their folder.
ADAPTATION = {
    "tapt": [("tapt", "adapted")],
    "ptapt": [
        ("pseudo", "emotion_states"),
        ("pseudo", "clusters"),
        ("ptapt", "adapted"),
    ],
}


class Carrier:
    """Copy a run from the home, and back to it while the run makes progress.

    Arguments
    ---------
    run : Run
        With an absolute run folder.
    url : str
        The home.
    """

    def __init__(self, run, url):
        self.home = Home(url)
        self.stages = [*adaptation_parts(run), classifier_part(run)]
        self.folder = Part(run.folder, _place(run.folder), is_stage=False)
        for part in (*self.stages, self.folder):
            self.home.pull(part)

    def send_checkpoints(self):
        """Copy what has changed; an error of the store is only logged."""
        try:
            for part in self.stages:
                self.home.push(part)
        except OSError as error:
            logger.warning(f"{self.home.url} was not reached: {error}")

    def send_all(self):
        """Copy everything to the home.

        Raises
        ------
        OSError
            If the store fails.
        """
        for part in (*self.stages, self.folder):
            self.home.push(part)


def fetch_results(run, url):
    """Copy a finished run from the home: its files and its classifier.

    Arguments
    ---------
    run, url
        As for :class:`Carrier`.

    Returns
    -------
    bool
        Whether the home has all of them.
    """
    home = Home(url)
    parts = [classifier_part(run), Part(run.folder, _place(run.folder), False)]
    return all([home.pull(part) for part in parts])


def adaptation_parts(run):
    """The stages before the classifier; shared ones in their own folder.

    Arguments
    ---------
    run : Run
        With a run folder at least as deep as ``results`` has them.

    Returns
    -------
    list of Part
        In the order of the procedure.

    Example
    -------
    >>> from pathlib import Path
    >>> from ser_brain.engines.runs import Run
    >>> folder = Path("/results/SAVEE/tapt/nano/fold_DC/seed_2")
    >>> words = ("--adaptation_seed", "1")
    >>> run = Run("SAVEE", "tapt", Path("tapt.yaml"), "DC", 2, words, folder)
    >>> [part.place for part in adaptation_parts(run)]
    ['SAVEE/tapt/nano/fold_DC/seed_1/save/adapted']
    """
    seed = run.folder.with_name(f"seed_{adaptation_seed(run)}")
    *_, scale, fold, name = seed.parts
    corpus = seed.parents[3]
    return [
        _stage(corpus / procedure / scale / fold / name, stage)
        for procedure, stage in ADAPTATION.get(run.procedure, ())
    ]


def classifier_part(run):
    """The classifier, the stage that no other run shares."""
    return _stage(run.folder, "classifier")


def adaptation_seed(run):
    """The seed whose adaptation a run uses; by default its own."""
    words = list(run.overrides)
    if "--adaptation_seed" in words:
        return words[words.index("--adaptation_seed") + 1]
    return run.seed


def _stage(folder, name):
    place = f"{_place(folder)}/save/{name}"
    return Part(folder / "save" / name, place, is_stage=True)


def _place(folder):
    """A run folder's path below ``results``, the same on all machines."""
    return "/".join(folder.parts[-LEVELS:])
