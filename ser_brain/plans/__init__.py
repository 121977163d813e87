"""Plans of runs: which runs exist, which of them count, what is missing."""
