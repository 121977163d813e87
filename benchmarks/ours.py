"""Our own updates, as the recipes build them, outside of a whole run."""

import numpy as np
import speechbrain as sb
from plain import CLUSTERS

from ser_brain.brains import ClusterBrain, ContrastiveBrain, UtteranceBrain
from ser_brain.clustering import PseudoLabels
from ser_brain.experiment.chain import chain
from ser_brain.experiment.experiment import Experiment
from ser_brain.experiment.training import assemble, class_weights

# Task: the yaml, its section, the stage and the Brain.
TASKS = {
    "V-FT": ("vft", "fine_tuning", "classifier", UtteranceBrain),
    "P3": ("ptapt", "adaptation", "adapted", ClusterBrain),
    "TAPT": ("tapt", "adaptation", "adapted", ContrastiveBrain),
}


def random_labels(utterances):
    """Pseudo-labels drawn at random: the loss costs the same."""
    draw = np.random.default_rng(0).integers
    labels = {
        one.id: draw(CLUSTERS, size=(len(one.signal) // 320, 3))
        for one in utterances
    }
    return PseudoLabels(CLUSTERS, 50.0, "random", labels)


class OurStep:
    """Updates of one Brain.

    Arguments
    ---------
    task : str
        ``V-FT``, ``P3`` or ``TAPT``.
    utterances : list of SimpleNamespace
        The batch; each holds ``id``, ``signal`` and ``label``.
    words : list of str
        Command line of the recipe after the yaml.
    """

    def __init__(self, task, utterances, words):
        procedure, section, stage, brain_class = TASKS[task]
        yaml = f"hparams/{procedure}.yaml"
        experiment = Experiment([yaml, *words], "SAVEE", None)
        stages = {one.name: one for one in chain(experiment)}
        more = {}
        if task == "V-FT":
            device = experiment.run_opts.device
            train = experiment.fold.train
            more["class_weights"] = class_weights(experiment, train, device)
        elif task == "P3":
            more["pseudo_labels"] = random_labels(utterances)
        self.brain, _, _ = assemble(
            brain_class,
            experiment,
            experiment.section(section),
            stages[stage],
            experiment.fold.train,
            validates=False,
            **more,
        )
        self.utterances = utterances
        self.brain.on_fit_start()
        self.brain.on_stage_start(sb.Stage.TRAIN, epoch=1)
        self.brain.modules.train()
        self.brain.step = 1

    def fill_cache(self):
        """What only the first epoch does: the frozen front-end."""
        self.brain.drawn_update(self.utterances)

    def update(self, utterances):
        """One update of the weights."""
        self.brain.fit_batch(utterances)
        self.brain.step += 1
