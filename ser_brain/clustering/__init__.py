"""K-means over emotion states, and the files of its pseudo-labels."""

from ser_brain.clustering.ensemble import KMeansEnsemble
from ser_brain.clustering.pseudo_labels import PseudoLabels

__all__ = ["KMeansEnsemble", "PseudoLabels"]
