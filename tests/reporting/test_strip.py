"""The strip of states: its stretches, and what is drawn of them."""

import json

import numpy as np
import pytest
from matplotlib.colors import to_hex

from ser_brain.inference.states import StateStrip
from ser_brain.reporting.strip import COLOURS, strip_picture

CLASSES = ["angry", "sad", "calm"]


@pytest.fixture
def strip():
    generator = np.random.default_rng(0)
    return StateStrip(
        file="folder/a b.wav",
        signal=generator.normal(size=32000),
        frame_rate=50.0,
        classes=CLASSES,
        states=np.repeat([2, 0, 1, 0], [10, 30, 40, 19]),
        shares=np.array([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.3, 0.3, 0.4]]),
    )


def test_segments_cover_every_frame_once(strip):
    segments = strip.segments()
    assert [one["state"] for one in segments] == [2, 0, 1, 0]
    assert [one["leans_to"] for one in segments] == [
        "calm",
        "angry",
        "sad",
        "angry",
    ]
    assert [one["share"] for one in segments] == [0.4, 0.7, 0.8, 0.7]
    starts = [one["start"] for one in segments]
    ends = [one["end"] for one in segments]
    assert starts == [0.0, *ends[:-1]]
    assert ends == [0.2, 0.8, 1.6, 1.98]
    whole = json.loads(json.dumps(strip.as_json()))
    assert whole["states"] == strip.states.tolist()
    assert whole["segments"] == segments


def test_bars_have_the_colour_and_the_height_of_the_leaning(strip, tmp_path):
    picture = strip_picture(strip)
    bars = picture.figure.axes[1].patches
    angry, sad, calm = COLOURS[:3]
    assert [to_hex(bar.get_facecolor()) for bar in bars] == [
        calm,
        angry,
        sad,
        angry,
    ]
    heights = [bar.get_height() for bar in bars]
    assert heights == pytest.approx([0.4, 0.7, 0.8, 0.7])
    assert "sad 45%" in picture.alternative
    picture.save(tmp_path)
    assert (tmp_path / "states_a_b.png").read_bytes().startswith(b"\x89PNG")
