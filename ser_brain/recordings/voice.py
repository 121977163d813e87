"""Streaming voice activity detection with Silero's model.

The package silero-vad provides the weights. Its own models take one frame of
32 ms per call; here the frames of a block go through the convolutions
together, and the LSTM's state is kept from block to block.
"""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from ser_brain.dataio.audio import SAMPLE_RATE

FRAME = 512  # samples: 32 ms
CONTEXT = 64  # samples of the frame before
BINS = 129
LAYERS = {
    **{f"conv{n + 1}": f"encoder.{n}.reparam_conv" for n in range(4)},
    "final_conv": "decoder.decoder.2",
}
# Thresholds of silero-vad: speech begins where its probability reaches the
# first, and ends where it stays below the second.
BEGINS, ENDS = 0.5, 0.35
SHORTEST = 0.25  # seconds of speech; less is a click or a breath
PADDING = 0.03  # seconds before and after speech


class VoiceActivity(nn.Module):
    """Probability of speech for each 32 ms, over consecutive blocks.

    Example
    -------
    >>> voice = VoiceActivity()
    >>> len(voice.add(np.zeros(1000, np.float32))), len(voice.end())
    (1, 1)
    """

    def __init__(self):
        super().__init__()
        self.stft_conv = nn.Conv1d(1, 2 * BINS, 256, stride=128, bias=False)
        self.conv1 = nn.Conv1d(BINS, 128, 3, padding=1)
        self.conv2 = nn.Conv1d(128, 64, 3, stride=2, padding=1)
        self.conv3 = nn.Conv1d(64, 64, 3, stride=2, padding=1)
        self.conv4 = nn.Conv1d(64, 128, 3, padding=1)
        self.lstm = nn.LSTM(128, 128)
        self.final_conv = nn.Conv1d(128, 1, 1)
        self.load_state_dict(_weights())
        self.requires_grad_(False)
        self.restart()

    def restart(self):
        """Reset the state for a new stream."""
        self.context = torch.zeros(CONTEXT)
        self.state = None
        self.rest = np.zeros(0, np.float32)

    def add(self, block):
        """Process the next samples.

        Arguments
        ---------
        block : numpy.ndarray
            Any number of samples at 16 kHz, float32.

        Returns
        -------
        numpy.ndarray
            Probability of speech for each frame that is now complete.
        """
        samples = np.concatenate([self.rest, block])
        whole = len(samples) // FRAME * FRAME
        self.rest = samples[whole:]
        return self._frames(torch.from_numpy(samples[:whole]))

    def end(self):
        """Return the probability of the last frame, if it is incomplete."""
        if len(self.rest) == 0:
            return np.zeros(0, np.float32)
        return self.add(np.zeros(FRAME - len(self.rest), np.float32))

    @torch.no_grad()
    def _frames(self, samples):
        """Probabilities of complete frames, shape (frames,)."""
        if len(samples) == 0:
            return np.zeros(0, np.float32)
        samples = torch.cat([self.context, samples])
        self.context = samples[-CONTEXT:].clone()
        x = samples.unfold(0, CONTEXT + FRAME, FRAME)
        x = F.pad(x[:, None], (0, CONTEXT), mode="reflect")
        real, imaginary = self.stft_conv(x).split(BINS, dim=1)
        x = (real.square() + imaginary.square()).sqrt()
        for conv in (self.conv1, self.conv2, self.conv3, self.conv4):
            x = conv(x).relu()
        x, self.state = self.lstm(x.squeeze(-1), self.state)
        x = self.final_conv(x.relu()[..., None]).sigmoid()
        return x.flatten().numpy()


def _weights():
    """The weights in silero-vad's wheel, by the names above."""
    # Found, not imported: the import sets torch's threads to one.
    package = Path(find_spec("silero_vad").origin).parent
    model = torch.jit.load(package / "data" / "silero_vad.jit", "cpu")
    state = model.state_dict()
    found = {
        f"{ours}.{part}": state[f"_model.{theirs}.{part}"]
        for ours, theirs in LAYERS.items()
        for part in ("weight", "bias")
    }
    found["stft_conv.weight"] = state["_model.stft.forward_basis_buffer"]
    for gates in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
        found[f"lstm.{gates}_l0"] = state[f"_model.decoder.rnn.{gates}"]
    return found


def speech_spans(probabilities, samples, pause):
    """Find where speech begins and ends.

    As in silero-vad's ``get_speech_timestamps``, speech begins where the
    probability reaches 0.5 and ends where it falls below 0.35 for at least
    ``pause`` seconds, or to the recording's end; spans of less than 0.25 s are
    dropped. Each span is extended by 0.03 s on either side.

    Arguments
    ---------
    probabilities : numpy.ndarray
        Of each frame, shape (frames,).
    samples : int
        Samples of the recording.
    pause : float
        Seconds. A shorter pause is part of the speech around it.

    Returns
    -------
    list of (int, int)
        First sample, and the sample after the last one.

    Example
    -------
    >>> speech_spans([0.1, 0.9] + [0.6] * 20 + [0.1] * 40, 32000, pause=0.5)
    [(32, 11744)]
    """
    spans, begin, quiet = [], None, None
    for frame, probability in enumerate(probabilities):
        place = frame * FRAME
        if probability >= BEGINS:
            begin = place if begin is None else begin
            quiet = None
        elif probability < ENDS and begin is not None:
            quiet = place if quiet is None else quiet
            if place - quiet >= pause * SAMPLE_RATE:
                spans.append((begin, quiet))
                begin = quiet = None
    if begin is not None:
        spans.append((begin, samples if quiet is None else quiet))
    pad = int(PADDING * SAMPLE_RATE)
    return [
        (max(0, begin - pad), min(samples, end + pad))
        for begin, end in spans
        if end - begin > SHORTEST * SAMPLE_RATE
    ]
