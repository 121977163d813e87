"""K-means over emotion states, and the files of its pseudo-labels."""

from ser_brain.clustering.ensemble import KMeansEnsemble
from ser_brain.clustering.frame_file import FrameFile
from ser_brain.clustering.pseudo_labels import PseudoLabels

__all__ = ["FrameFile", "KMeansEnsemble", "PseudoLabels"]
