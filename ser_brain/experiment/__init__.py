"""Where everything is connected: settings, data, Brain, run folder."""

from ser_brain.experiment.command import run_recipe
from ser_brain.experiment.experiment import Experiment
