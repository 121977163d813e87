"""One Brain per objective."""

from ser_brain.brains.bimodal import BimodalBrain
from ser_brain.brains.clusters import ClusterBrain
from ser_brain.brains.contrastive import ContrastiveBrain
from ser_brain.brains.emotion_states import EmotionStateBrain
from ser_brain.brains.frozen import FrozenBrain
from ser_brain.brains.ratings import RatingBrain
from ser_brain.brains.segments import SegmentBrain
from ser_brain.brains.utterance import UtteranceBrain
