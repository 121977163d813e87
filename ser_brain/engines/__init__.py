"""Execution of runs: local processes, Ray, a store of run folders."""
