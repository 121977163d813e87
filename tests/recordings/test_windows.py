"""Windows, steps and cutting, as laws."""

import numpy as np
import pytest
from hypothesis import (
    given,
    settings,
    strategies as st,
)

from ser_brain.errors import InputError
from ser_brain.recordings.turns import Turn
from ser_brain.recordings.windows import Layout, Piece, cut, pieces_of

RATE = 16000
pieces = st.builds(
    lambda first, before, size, after: Piece(
        first + before,
        first + before + size,
        first,
        first + before + size + after,
    ),
    st.integers(0, 10**9),
    st.integers(0, RATE // 4),
    st.integers(RATE // 4, 60 * RATE),
    st.integers(0, RATE // 4),
)
layouts = st.floats(0.3, 6).flatmap(
    lambda window: st.builds(Layout, st.just(window), st.floats(0.1, window))
)


@given(layouts, pieces)
def test_windows_cover_the_piece_and_nothing_else(layout, piece):
    """With the quiet around it; no gap, no window beyond it."""
    begins, ends = layout.windows(piece).T
    assert begins[0] == piece.first and ends[-1] == piece.last
    assert (np.diff(begins) <= layout.hop * RATE + 1).all()
    assert (begins[1:] <= ends[:-1]).all()
    assert (ends - begins <= layout.window * RATE).all()


@given(layouts, pieces)
def test_steps_tile_the_piece(layout, piece):
    """Each begins where the last one ends; each has a window."""
    begins, ends = layout.steps(piece).T
    assert begins[0] == piece.begin and ends[-1] == piece.end
    assert (begins[1:] == ends[:-1]).all()
    count = len(layout.windows(piece))
    posteriors = np.full((count, 3), [0.2, 0.3, 0.5])
    found = layout.by_step(piece, posteriors)
    np.testing.assert_allclose(found, posteriors[:1].repeat(len(begins), 0))


def test_a_step_is_the_mean_of_its_windows():
    """Windows 0-4, 2-6 and 4-8 s, steps of 2 s."""
    layout, piece = Layout(4.0, 2.0), Piece(0, 8 * RATE, 0, 8 * RATE)
    posteriors = np.array([[1.0, 0.0], [0.6, 0.4], [0.0, 1.0]])
    found = layout.by_step(piece, posteriors)
    np.testing.assert_allclose(found[:, 0], [1.0, 0.8, 0.3, 0.0])


@settings(max_examples=50, deadline=None)
@given(
    sizes=st.lists(st.integers(0, 50), min_size=1, max_size=20),
    data=st.data(),
)
def test_cut_parts_are_slices(sizes, data):
    """Of overlapping stretches too, wherever the blocks end."""
    stream = np.arange(sum(sizes), dtype=np.float32)
    edges = np.cumsum([0, *sizes])
    blocks = [stream[a:b] for a, b in zip(edges, edges[1:])]
    places = st.integers(0, len(stream))
    spans = data.draw(st.lists(st.tuples(places, places).map(sorted)))
    spans = sorted(tuple(span) for span in spans)
    parts = list(cut(iter(blocks), spans))
    assert len(parts) == len(spans)
    for (begin, end), part in zip(spans, parts):
        np.testing.assert_array_equal(part, stream[begin:end])


def test_speech_by_turns():
    """Nobody's speech is left out; turns that overlap have both."""
    speech = [(0, 2 * RATE), (3 * RATE, 6 * RATE)]
    turns = [
        Turn(1.0, 4.0, "anna"),
        Turn(3.5, 5.0, "ben"),
        Turn(5.9, 9.0, "carl"),
    ]
    found = [
        (*(place / RATE for place in one[:4]), one.speaker)
        for one in pieces_of(speech, 8 * RATE, RATE // 10, turns)
    ]
    # carl's 0.1 s is too short.
    assert found == [
        (1, 2, 1, 2.1, "anna"),
        (3, 4, 2.9, 4, "anna"),
        (3.5, 5, 3.5, 5, "ben"),
    ]
    assert pieces_of(speech, 6 * RATE + 9, RATE // 10) == [
        Piece(0, 2 * RATE, 0, 33600),
        Piece(3 * RATE, 6 * RATE, 46400, 6 * RATE + 9),
    ]
    # Of the pause of a second, each has its half.
    near = pieces_of(speech, 6 * RATE + 9, RATE)
    assert [one[2:4] for one in near] == [(0, 40000), (40000, 96009)]


@pytest.mark.parametrize(
    "window, hop, sentence",
    [
        (0.1, 0.1, "window is 0.1: give seconds"),
        (float("nan"), 1, "window is nan"),
        (float("inf"), 1, "window is inf"),
        (4, 5, "hop is 5: give seconds, at least 0.1 and at most"),
        (4, 0, "hop is 0"),
    ],
)
def test_windows_out_of_range(window, hop, sentence):
    """The option is named."""
    with pytest.raises(InputError, match=sentence):
        Layout(window, hop)
