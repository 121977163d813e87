"""Which runs there are, which of them count, and what is left to do."""
