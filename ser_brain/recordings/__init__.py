"""Recordings of any length: speech, speakers' turns, windows, a timeline.

Nothing in this package depends on a model: a recording is read in blocks,
voice activity detection finds its speech, windows are cut from the speech, and
a classifier's posteriors for the windows become a :class:`Timeline`.
"""

from ser_brain.recordings.stream import Recording
from ser_brain.recordings.timeline import Segment, Timeline
from ser_brain.recordings.turns import Turn, read_turns
from ser_brain.recordings.windows import Layout
