"""Ways to share and serve a trained model; each needs its extra."""
