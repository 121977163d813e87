"""Recordings of any length: speech, speakers' turns, windows, a timeline.

Nothing in here knows a model: a recording is read in blocks, voice activity
finds its speech, windows are cut from that, and what a classifier makes of
the windows becomes a :class:`Timeline`.
"""

from ser_brain.recordings.stream import Recording
from ser_brain.recordings.timeline import Segment, Timeline
from ser_brain.recordings.turns import Turn, read_turns
from ser_brain.recordings.windows import Layout
