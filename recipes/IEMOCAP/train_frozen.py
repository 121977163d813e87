"""Recipe for a head over the layers of a frozen encoder, on IEMOCAP.

To run it:

    python recipes/IEMOCAP/train_frozen.py hparams/frozen.yaml --fold 3

The corpus is taken from --data_folder or IEMOCAP_ROOT; without either, the
embedded mini corpus is used at nano scale. README.md beside this file has the
figures.
"""

import sys

from iemocap_prepare import prepare_iemocap

from ser_brain.brains import FrozenBrain
from ser_brain.experiment import run_recipe
from ser_brain.experiment.stages import train_head


def train(experiment):
    """Cache every layer's features, then train and test the head.

    Each line names the ``sb.Brain`` of its step, whose ``compute_forward``
    and ``compute_objectives`` are the method, and its section of the yaml.
    """
    train_head(experiment, FrozenBrain, "frozen")


if __name__ == "__main__":
    sys.exit(run_recipe(train, "IEMOCAP", prepare_iemocap))
