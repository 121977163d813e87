"""Run folders' results: written, read, checked, and as pandas tables."""

from ser_brain.results.frames import load, load_runs
