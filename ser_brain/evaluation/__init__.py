"""Scores, prediction files, figures and the plain baseline."""
