"""Pretrained encoders, usable in any SpeechBrain recipe."""

from ser_brain.lobes.registry import (
    encoder_dim,
    encoder_layers,
    load_encoder,
    load_frame_encoder,
)
from ser_brain.lobes.states import (
    load_state_encoder,
    new_state_encoder,
    states_dim,
)
