"""Recipe for audio and text, or audio and transcripts, on SAVEE.

To run it, with the corpus' texts or with those of a speech recogniser:

    python recipes/SAVEE/train_bimodal.py hparams/audio_text.yaml --fold JE
    python recipes/SAVEE/train_bimodal.py hparams/audio_asr.yaml --fold JE

The corpus is taken from --data_folder or SAVEE_ROOT; without either, the
embedded mini corpus is used at nano scale. README.md beside this file has the
figures.
"""

import sys

from savee_prepare import prepare_savee

from ser_brain.brains import BimodalBrain
from ser_brain.experiment import run_recipe
from ser_brain.experiment.bimodal import train_bimodal_head


def train(experiment):
    """Keeps both encoders' states, then trains and tests the head.

    The line names the ``sb.Brain``, whose ``compute_forward`` and
    ``compute_objectives`` are the method, and its section of the yaml.
    """
    train_bimodal_head(experiment, BimodalBrain, "frozen")


if __name__ == "__main__":
    sys.exit(run_recipe(train, "SAVEE", prepare_savee))
