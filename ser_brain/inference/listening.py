"""From a recording of any length to the timeline of its emotions."""

from itertools import islice
from pathlib import Path

import numpy as np
import torch
from torch.nn.utils.rnn import pad_sequence

from ser_brain.bars import passing_bar
from ser_brain.dataio.audio import SAMPLE_RATE
from ser_brain.dataio.budget import CPU_SECONDS
from ser_brain.inference.reading import batches_by_length
from ser_brain.recordings import Layout, Recording, Timeline, read_turns
from ser_brain.recordings.timeline import Envelope, segments_of
from ser_brain.recordings.voice import VoiceActivity, speech_spans
from ser_brain.recordings.windows import cut, pieces_of

# Seconds. A shorter pause is part of the utterance around it, and so is this
# much of the pause before and after it, as in the clips of the training.
PAUSE = 0.5
# Windows held at once, to be batched by similar length.
HELD = 32


def listen(recognizer, path, window, hop, turns=None, progress=True):
    """Return the timeline of a recording, see :meth:`Recognizer.timeline`.

    Arguments
    ---------
    recognizer : Recognizer
        Classifies the windows.
    path, window, hop, turns, progress
        As for that method.

    Returns
    -------
    Timeline
    """
    layout, recording = Layout(window, hop), Recording(path)
    if isinstance(turns, (str, Path)):
        turns = read_turns(turns, path)
    samples, speech, envelope = find_speech(recording)
    recording.warn(samples / SAMPLE_RATE)
    pieces = pieces_of(speech, samples, int(PAUSE * SAMPLE_RATE), turns)
    windows = [layout.windows(piece) for piece in pieces]
    posteriors = _classify(recognizer, recording, windows, progress)
    steps = [layout.steps(piece) for piece in pieces]
    counts = [len(one) for one in steps]
    times = np.concatenate([np.empty((0, 2)), *steps]) / SAMPLE_RATE
    by_step = [
        layout.by_step(piece, part) for piece, part in zip(pieces, posteriors)
    ]
    by_step = np.concatenate([np.empty((0, len(recognizer.classes))), *by_step])
    speakers = [p.speaker for p, n in zip(pieces, counts) for _ in range(n)]
    classes = tuple(recognizer.classes)
    return Timeline(
        path=str(path),
        duration=samples / SAMPLE_RATE,
        truncated=recording.truncated,
        classes=classes,
        window=window,
        hop=hop,
        speech=[(a / SAMPLE_RATE, b / SAMPLE_RATE) for a, b in speech],
        times=times,
        posteriors=by_step,
        speakers=speakers,
        segments=segments_of(times, by_step, speakers, classes),
        envelope=envelope,
    )


def find_speech(recording):
    """Read a recording once to find its speech.

    Arguments
    ---------
    recording : Recording
        The file.

    Returns
    -------
    samples : int
        At 16 kHz.
    speech : list of (int, int)
        First and last sample of each span of speech.
    envelope : numpy.ndarray
        Envelope of the waveform (see :class:`Timeline`).
    """
    voice, envelope = VoiceActivity(), Envelope()
    samples, probabilities = 0, []
    for block in recording.blocks():
        samples += len(block)
        probabilities.append(voice.add(block))
        envelope.add(block)
    probabilities = np.concatenate([*probabilities, voice.end()])
    speech = speech_spans(probabilities, samples, PAUSE)
    return samples, speech, envelope.values()


def _classify(recognizer, recording, windows, progress):
    """Posteriors of the windows of each piece, shapes (windows, classes)."""
    spans = np.concatenate([np.empty((0, 2), int), *windows])
    # A stream is cut in order; overlapping turns are not in order.
    order = np.argsort(spans[:, 0], kind="stable")
    found = np.empty((len(spans), len(recognizer.classes)))
    waiting = cut(recording.blocks(), spans[order])
    bar = passing_bar(
        total=len(spans),
        desc="timeline",
        unit="window",
        disable=None if progress else True,
        delay=1,
    )
    with bar:
        for first in range(0, len(spans), HELD):
            places = order[first : first + HELD]
            held = list(islice(waiting, HELD))
            found[places] = _posteriors(recognizer, held)
            bar.update(len(places))
    return np.split(found, np.cumsum([len(one) for one in windows])[:-1])


def _posteriors(recognizer, wavs):
    """Posteriors of waveforms, in batches of similar length."""
    found = np.empty((len(wavs), len(recognizer.classes)))
    for batch in batches_by_length([len(wav) for wav in wavs], CPU_SECONDS):
        chosen = [torch.from_numpy(wavs[place]) for place in batch]
        lengths = torch.tensor([len(wav) for wav in chosen])
        padded = pad_sequence(chosen, batch_first=True)
        answer = recognizer.classify_batch(padded, lengths / lengths.max())
        found[batch] = answer[0].cpu().numpy()
    return found
