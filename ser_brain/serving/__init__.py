"""Ways to put a trained model in people's hands; each needs its extra."""
