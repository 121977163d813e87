"""Where everything is connected: settings, data, Brain, run folder."""

import logging

# When it is imported, SpeechBrain warns that it cannot save figures without
# torchvision. It is not asked to.
logging.getLogger("speechbrain.utils.train_logger").addFilter(
    lambda record: "torchvision" not in record.getMessage()
)

from ser_brain.experiment.command import run_recipe  # noqa: E402
from ser_brain.experiment.experiment import Experiment  # noqa: E402
