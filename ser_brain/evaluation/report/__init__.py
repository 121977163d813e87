"""Run folders to one page: figures, intervals, comparisons, pictures."""
