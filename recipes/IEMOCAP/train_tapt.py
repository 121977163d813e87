"""Recipe for task adaptive pretraining (TAPT) on IEMOCAP.

To run it:
    python recipes/IEMOCAP/train_tapt.py hparams/tapt.yaml --fold 3
    python recipes/IEMOCAP/train_tapt.py hparams/tapt.yaml --scale nano

README.md beside this file has the options and the figures.
"""

import sys

from iemocap_prepare import prepare_iemocap

from ser_brain.brains import ContrastiveBrain, UtteranceBrain
from ser_brain.experiment import run_recipe
from ser_brain.experiment.stages import adapt_contrastively, fine_tune


def train(experiment):
    """Continue the pretraining on the fold's audio, then fine-tune."""
    adapted = adapt_contrastively(experiment, ContrastiveBrain, "adaptation")
    fine_tune(experiment, UtteranceBrain, "fine_tuning", adapted)


if __name__ == "__main__":
    sys.exit(run_recipe(train, "IEMOCAP", prepare_iemocap))
