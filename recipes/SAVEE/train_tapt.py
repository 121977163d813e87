"""Recipe for task adaptive pretraining (TAPT) on SAVEE.

To run it:
    python recipes/SAVEE/train_tapt.py hparams/tapt.yaml --fold JE
    python recipes/SAVEE/train_tapt.py hparams/tapt.yaml --scale nano

README.md beside this file has the options and the figures.
"""

import sys

from savee_prepare import prepare_savee

from ser_brain.brains import ContrastiveBrain, UtteranceBrain
from ser_brain.experiment import run_recipe
from ser_brain.experiment.stages import adapt_contrastively, fine_tune


def train(experiment):
    """Continue the pretraining on the fold's audio, then fine-tune."""
    adapted = adapt_contrastively(experiment, ContrastiveBrain, "adaptation")
    fine_tune(experiment, UtteranceBrain, "fine_tuning", adapted)


if __name__ == "__main__":
    sys.exit(run_recipe(train, "SAVEE", prepare_savee))
