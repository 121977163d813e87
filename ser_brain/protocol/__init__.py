"""Many runs: which there are, where they run, what is left to do."""
