"""Pretrained encoders, usable in any SpeechBrain recipe."""

from ser_brain.lobes.registry import encoder_dim, load_encoder
