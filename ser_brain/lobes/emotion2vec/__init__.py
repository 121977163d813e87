"""emotion2vec (Ma et al., 2024)."""

from ser_brain.lobes.emotion2vec.encoder import Emotion2Vec
from ser_brain.lobes.emotion2vec.model import (
    Emotion2VecConfig,
    Emotion2VecModel,
)
