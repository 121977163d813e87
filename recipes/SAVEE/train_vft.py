"""Recipe for vanilla fine-tuning (V-FT) of wav2vec 2.0 on SAVEE.

To run it:
    python recipes/SAVEE/train_vft.py hparams/vft.yaml --fold JE
    python recipes/SAVEE/train_vft.py hparams/vft.yaml --scale nano

README.md beside this file has the options and the figures.
"""

import sys

from savee_prepare import prepare_savee

from ser_brain.brains import UtteranceBrain
from ser_brain.experiment import run_recipe
from ser_brain.experiment.stages import fine_tune


def train(experiment):
    """Fine-tune the pretrained encoder and test it on the fold."""
    fine_tune(experiment, UtteranceBrain, "fine_tuning")


if __name__ == "__main__":
    sys.exit(run_recipe(train, "SAVEE", prepare_savee))
