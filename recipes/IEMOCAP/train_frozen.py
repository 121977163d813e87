"""Recipe for a head over the layers of a frozen encoder, on IEMOCAP.

To run it:
    python recipes/IEMOCAP/train_frozen.py hparams/frozen.yaml --fold 3
    python recipes/IEMOCAP/train_frozen.py hparams/frozen.yaml --scale nano

README.md beside this file has the options and the figures.
"""

import sys

from iemocap_prepare import prepare_iemocap

from ser_brain.brains import FrozenBrain
from ser_brain.experiment import run_recipe
from ser_brain.experiment.stages import train_head


def train(experiment):
    """Cache every layer's features, then train and test the head."""
    train_head(experiment, FrozenBrain, "frozen")


if __name__ == "__main__":
    sys.exit(run_recipe(train, "IEMOCAP", prepare_iemocap))
