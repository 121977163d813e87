"""wav2vec 2.0: the encoder and its own pretraining objective."""

from ser_brain.lobes.wav2vec2.encoder import Wav2Vec2
from ser_brain.lobes.wav2vec2.pretraining import Wav2Vec2Pretraining
