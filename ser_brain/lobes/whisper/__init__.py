"""Whisper's encoder."""

from ser_brain.lobes.whisper.encoder import Whisper
