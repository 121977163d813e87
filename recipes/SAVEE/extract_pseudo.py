"""Recipe for the pseudo-labels of P-TAPT on SAVEE.

To run it:
    python recipes/SAVEE/extract_pseudo.py hparams/pseudo.yaml --fold JE
    python recipes/SAVEE/extract_pseudo.py hparams/pseudo.yaml --scale nano

README.md beside this file has the options and the figures.
"""

import sys

from savee_prepare import prepare_savee

from ser_brain.brains import EmotionStateBrain
from ser_brain.experiment import run_recipe
from ser_brain.experiment.stages import emotion_states, pseudo_labels


def train(experiment):
    """Learn emotion states (P1) and cluster them (P2)."""
    states = emotion_states(experiment, EmotionStateBrain, "emotion_states")
    pseudo_labels(experiment, "clusters", states)


if __name__ == "__main__":
    sys.exit(run_recipe(train, "SAVEE", prepare_savee))
