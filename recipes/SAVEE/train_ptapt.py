"""Recipe for pseudo-label task adaptive pretraining (P-TAPT) on SAVEE.

To run it:
    python recipes/SAVEE/train_ptapt.py hparams/ptapt.yaml --fold JE
    python recipes/SAVEE/train_ptapt.py hparams/ptapt.yaml --scale nano

README.md beside this file has the options and the figures.
"""

import sys

from savee_prepare import prepare_savee

from ser_brain.brains import ClusterBrain, EmotionStateBrain, UtteranceBrain
from ser_brain.experiment import run_recipe
from ser_brain.experiment.stages import (
    adapt_to_clusters,
    emotion_states,
    fine_tune,
    pseudo_labels,
)


def train(experiment):
    """Run all four steps; P1 and P2 are shared with extract_pseudo.py.

    Each line names the ``sb.Brain`` of its step, whose ``compute_forward``
    and ``compute_objectives`` are the method, and its section of the yaml.
    """
    shared = experiment.folder_of("pseudo")
    states = emotion_states(
        experiment, EmotionStateBrain, "emotion_states", shared
    )
    clusters = pseudo_labels(experiment, "clusters", states, shared)
    adapted = adapt_to_clusters(
        experiment, ClusterBrain, "adaptation", states, clusters
    )
    fine_tune(experiment, UtteranceBrain, "fine_tuning", adapted)


if __name__ == "__main__":
    sys.exit(run_recipe(train, "SAVEE", prepare_savee))
