"""Results in run folders: writing, reading, checks and pandas tables."""

from ser_brain.results.frames import load, load_runs
