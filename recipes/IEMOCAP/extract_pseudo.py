"""Recipe for the pseudo-labels of P-TAPT on IEMOCAP.

To run it:
    python recipes/IEMOCAP/extract_pseudo.py hparams/pseudo.yaml --fold 3
    python recipes/IEMOCAP/extract_pseudo.py hparams/pseudo.yaml --scale nano

README.md beside this file has the options and the figures.
"""

import sys

from iemocap_prepare import prepare_iemocap

from ser_brain.brains import EmotionStateBrain
from ser_brain.experiment import run_recipe
from ser_brain.experiment.stages import emotion_states, pseudo_labels


def train(experiment):
    """Learn emotion states (P1) and cluster them (P2)."""
    states = emotion_states(experiment, EmotionStateBrain, "emotion_states")
    pseudo_labels(experiment, "clusters", states)


if __name__ == "__main__":
    sys.exit(run_recipe(train, "IEMOCAP", prepare_iemocap))
