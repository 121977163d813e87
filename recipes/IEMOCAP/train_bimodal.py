"""Recipe for audio and text, or audio and transcripts, on IEMOCAP.

To run it, with the corpus' texts or with those of a speech recogniser:
    python recipes/IEMOCAP/train_bimodal.py hparams/audio_text.yaml --fold 3
    python recipes/IEMOCAP/train_bimodal.py hparams/audio_asr.yaml --fold 3

README.md beside this file has the options and the figures.
"""

import sys

from iemocap_prepare import prepare_iemocap

from ser_brain.brains import BimodalBrain
from ser_brain.experiment import run_recipe
from ser_brain.experiment.bimodal import train_bimodal_head


def train(experiment):
    """Keeps both encoders' states, then trains and tests the head."""
    train_bimodal_head(experiment, BimodalBrain, "frozen")


if __name__ == "__main__":
    sys.exit(run_recipe(train, "IEMOCAP", prepare_iemocap))
