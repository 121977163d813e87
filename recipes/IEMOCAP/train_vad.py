"""Recipe for ratings of valence, arousal and dominance on IEMOCAP.

To run it:
    python recipes/IEMOCAP/train_vad.py hparams/vad.yaml --fold 3
    python recipes/IEMOCAP/train_vad.py hparams/vad.yaml --scale nano

The corpus is taken from --data_folder or IEMOCAP_ROOT; without either, the
embedded mini corpus is used at nano scale, whose ratings are made up.
See docs/beyond.md.
"""

import sys

from iemocap_prepare import prepare_iemocap

from ser_brain.brains import RatingBrain
from ser_brain.experiment import run_recipe
from ser_brain.experiment.ratings import rate


def train(experiment):
    """Fine-tune the pretrained encoder on the raters' mean ratings."""
    rate(experiment, RatingBrain, "fine_tuning")


if __name__ == "__main__":
    sys.exit(run_recipe(train, "IEMOCAP", prepare_iemocap))
