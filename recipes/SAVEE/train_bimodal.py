"""Recipe for audio and text, or audio and transcripts, on SAVEE.

To run it, with the corpus' texts or with those of a speech recogniser:
    python recipes/SAVEE/train_bimodal.py hparams/audio_text.yaml --fold JE
    python recipes/SAVEE/train_bimodal.py hparams/audio_asr.yaml --fold JE

README.md beside this file has the options and the figures.
"""

import sys

from savee_prepare import prepare_savee

from ser_brain.brains import BimodalBrain
from ser_brain.experiment import run_recipe
from ser_brain.experiment.bimodal import train_bimodal_head


def train(experiment):
    """Keeps both encoders' states, then trains and tests the head."""
    train_bimodal_head(experiment, BimodalBrain, "frozen")


if __name__ == "__main__":
    sys.exit(run_recipe(train, "SAVEE", prepare_savee))
