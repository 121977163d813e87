"""wav2vec 1.0: encoder, emotion-state encoder and its own objective."""

from ser_brain.lobes.wav2vec.emotion_states import EmotionStateEncoder
from ser_brain.lobes.wav2vec.encoder import Wav2Vec
from ser_brain.lobes.wav2vec.pretraining import Wav2VecPretraining
