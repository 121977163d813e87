"""Picture of a recording's emotion states, coloured by class."""

from pathlib import Path

import numpy as np
from matplotlib import rc_context
from matplotlib.patches import Patch

from ser_brain.reporting import pictures

WIDTH, HEIGHT = 7.0, 3.6  # inches
# The first colours are the report's; a corpus may have more classes.
COLOURS = [colour for colour, _ in pictures.SERIES] + [
    "#8c6d1f",
    "#7a5195",
    "#ef5675",
]
SMOOTHING = 0.5  # seconds
COLUMNS = 2000  # of the waveform's envelope


def strip_picture(strip):
    """Draw the states of a recording.

    Arguments
    ---------
    strip : ser_brain.inference.states.StateStrip
        What to draw.

    Returns
    -------
    Picture
        The waveform; the strip of states, each in the colour of the class that
        it leans to and with that class's share as its height; and the classes'
        shares, averaged over half a second.

    Example
    -------
    >>> from ser_brain.inference.states import StateStrip
    >>> strip = StateStrip(
    ...     file="a.wav",
    ...     signal=np.sin(np.arange(1600.0)),
    ...     frame_rate=50.0,
    ...     classes=["angry", "sad"],
    ...     states=np.array([0, 0, 1, 1, 1]),
    ...     shares=np.array([[0.9, 0.1], [0.4, 0.6]]),
    ... )
    >>> strip_picture(strip).file
    'states_a.png'
    """
    with rc_context(pictures.STYLE):
        figure = pictures.new_figure(WIDTH, HEIGHT)
        wave, states, shares = figure.subplots(
            3, sharex=True, height_ratios=[2, 1.2, 3]
        )
        seconds = len(strip.states) / strip.frame_rate
        _draw_wave(wave, strip)
        _draw_states(states, strip)
        _draw_shares(shares, strip)
        shares.set_xlim(0, seconds)
        shares.set_xlabel("seconds")
        figure.legend(
            handles=[
                Patch(color=colour, label=name)
                for name, colour in zip(strip.classes, _colours(strip))
            ],
            loc="outside upper center",
            ncols=len(strip.classes),
        )
    k = len(strip.shares)
    means = strip.shares[strip.states].mean(axis=0)
    order = np.argsort(-means)
    told = ", ".join(f"{strip.classes[i]} {means[i]:.0%}" for i in order)
    return pictures.Picture(
        name=pictures.file_name("states", Path(strip.file).stem),
        caption=f"Emotion states of {strip.file}, k = {k}. Colour: the class "
        "that a state leans to in the training part, each class weighing "
        "alike; height: that class's share in the state.",
        alternative=f"Mean shares over the recording: {told}.",
        figure=figure,
    )


def _colours(strip):
    """A colour for each class; grey if there are too many."""
    missing = len(strip.classes) - len(COLOURS)
    return (COLOURS + [pictures.GREY] * max(missing, 0))[: len(strip.classes)]


def _draw_wave(axes, strip):
    """Draw the envelope of the waveform."""
    parts = np.array_split(strip.signal, min(COLUMNS, len(strip.signal)))
    seconds = np.linspace(0, len(strip.signal) / 16000, len(parts))
    low, high = ([f(part) for part in parts] for f in (np.min, np.max))
    axes.fill_between(seconds, low, high, color=pictures.INK, linewidth=0)
    axes.set_yticks([])
    axes.grid(False)
    axes.set_ylabel("waveform")


def _draw_states(axes, strip):
    """Draw one bar per span of a state, with its class's share as height."""
    colour_of = dict(zip(strip.classes, _colours(strip)))
    segments = strip.segments()
    axes.bar(
        [one["start"] for one in segments],
        [one["share"] for one in segments],
        [one["end"] - one["start"] for one in segments],
        align="edge",
        color=[colour_of[one["leans_to"]] for one in segments],
        linewidth=0,
    )
    axes.set_ylim(0, 1)
    axes.set_yticks([0, 1])
    axes.set_ylabel("states")


def _draw_shares(axes, strip):
    """Draw the smoothed shares of the classes over time; chance as a line."""
    width = max(round(SMOOTHING * strip.frame_rate), 1)
    shares = strip.shares[strip.states]
    window = np.ones(min(width, len(shares)))
    counts = np.convolve(np.ones(len(shares)), window, "same")
    middle = (np.arange(len(shares)) + 0.5) / strip.frame_rate
    for each, colour in zip(shares.T, _colours(strip)):
        mean = np.convolve(each, window, "same") / counts
        axes.plot(middle, mean, color=colour, linewidth=1.2)
    chance = 1 / len(strip.classes)
    axes.axhline(chance, color=pictures.GREY, linewidth=0.8, linestyle="--")
    axes.set_ylim(bottom=0)
    axes.set_ylabel("share of the class")
