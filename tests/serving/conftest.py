"""A small model, and recordings to ask it about."""

from io import BytesIO

import numpy as np
import pytest
import soundfile
import torch

from ser_brain.inference import EmotionRecognizer, save_classifier
from ser_brain.lobes.wav2vec2 import Wav2Vec2
from ser_brain.nnet.heads import UtteranceHead

CLASSES = ["angry", "happy", "sad"]


@pytest.fixture(scope="package")
def recognizer(tiny_wav2vec2):
    """Random weights whose answers differ from clip to clip."""
    torch.manual_seed(0)
    head = UtteranceHead(32, len(CLASSES))
    with torch.no_grad():
        for weights in head.parameters():
            weights.mul_(5)
    return EmotionRecognizer(Wav2Vec2(tiny_wav2vec2), head, CLASSES)


@pytest.fixture(scope="package")
def model(recognizer, tmp_path_factory):
    """The same on disk."""
    folder = tmp_path_factory.mktemp("model")
    save_classifier(
        folder / "save" / "classifier",
        recognizer.encoder,
        recognizer.head,
        CLASSES,
    )
    return folder


@pytest.fixture(scope="session")
def audio():
    """Makes the bytes of a recording: noise with a moving level."""

    def make(seconds=1.0, rate=16000, channels=1, ending="wav", seed=0):
        count = round(seconds * rate)
        level = np.sin(np.linspace(0, 3 + seed, count)) ** 2
        draws = np.random.default_rng(seed).standard_normal((count, channels))
        file = BytesIO()
        soundfile.write(file, 0.2 * level[:, None] * draws, rate, format=ending)
        return file.getvalue()

    return make


@pytest.fixture
def alone(recognizer, tmp_path):
    """What ``classify_file`` says of the bytes of a file."""

    def classify(content):
        path = tmp_path / "alone"
        path.write_bytes(content)
        posteriors, score, _, [label] = recognizer.classify_file(path)
        shares = dict(zip(CLASSES, posteriors[0].tolist()))
        return {"label": label, "score": float(score), "posteriors": shares}

    return classify


@pytest.fixture
def browser_requests(browser):
    """A page, and the address of each request that it makes."""
    requests = []
    context = browser.new_context()
    context.on("request", lambda request: requests.append(request.url))
    yield context.new_page(), requests
    context.close()
