"""Scores, intervals, tests and the log-mel baseline."""
