"""Recipe for wav2vec 1.0 that is fine-tuned on frames and segments, on IEMOCAP.

To run it:
    python recipes/IEMOCAP/train_segments.py hparams/segments.yaml --fold 3
    python recipes/IEMOCAP/train_segments.py hparams/segments.yaml --scale nano

README.md beside this file has the options and the figures.
"""

import sys

from iemocap_prepare import prepare_iemocap

from ser_brain.brains import SegmentBrain
from ser_brain.experiment import run_recipe
from ser_brain.experiment.stages import fine_tune


def train(experiment):
    """Fine-tunes wav2vec 1.0 and tests it on the fold."""
    fine_tune(experiment, SegmentBrain, "fine_tuning")


if __name__ == "__main__":
    sys.exit(run_recipe(train, "IEMOCAP", prepare_iemocap))
