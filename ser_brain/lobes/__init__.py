"""Pretrained encoders, usable in any SpeechBrain recipe."""
