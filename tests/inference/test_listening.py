"""Timelines of recordings made of the mini corpus's clips."""

import json
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from ser_brain.assets import folder
from ser_brain.cli import main
from ser_brain.errors import InputError
from ser_brain.inference import EmotionRecognizer, save_classifier
from ser_brain.lobes.wav2vec2 import Wav2Vec2
from ser_brain.nnet.heads import UtteranceHead
from ser_brain.recordings import Layout, Recording
from ser_brain.recordings.windows import Piece, cut

CLASSES = ["angry", "happy", "sad"]
RATE = 16000


@pytest.fixture(scope="module")
def recognizer(tiny_wav2vec2):
    """A small random model."""
    torch.manual_seed(0)
    encoder = Wav2Vec2(tiny_wav2vec2)
    return EmotionRecognizer(encoder, UtteranceHead(32, 3), CLASSES)


@pytest.fixture(scope="module")
def clips():
    """Speech of two speakers, without what is quiet around it."""
    paths = sorted(Path(folder("mini_corpus"), "audio").glob("0[13]_*.flac"))[
        :6
    ]
    signals = [soundfile.read(path, dtype="float32")[0] for path in paths]
    return [signal[loud(signal)] for signal in signals]


def loud(signal):
    """From the first to the last 10 ms above -30 dB of the loudest."""
    parts = signal[: len(signal) // 160 * 160].reshape(-1, 160)
    level = np.sqrt((parts**2).mean(1))
    places = np.flatnonzero(level > level.max() / 30)
    return slice(160 * places[0], 160 * (places[-1] + 1))


@pytest.fixture(scope="module")
def call(clips, tmp_path_factory):
    """A file of the clips, 1.2 s apart, and where each lies, in seconds."""
    path = tmp_path_factory.mktemp("call") / "call.wav"
    pause = np.random.default_rng(0).normal(0, 1e-4, int(1.2 * RATE))
    parts, places, begin = [], [], 0
    for clip in clips:
        begin += len(pause)
        places.append((begin / RATE, (begin + len(clip)) / RATE))
        begin += len(clip)
        parts += [pause, clip]
    soundfile.write(path, np.concatenate([*parts, pause]), RATE)
    return path, np.array(places)


def test_speech_is_found_where_it_is(recognizer, call):
    """To a fifth of a second, and nothing in the pauses."""
    path, places = call
    timeline = recognizer.timeline(path)
    assert len(timeline.speech) == len(places)
    np.testing.assert_allclose(timeline.speech, places, atol=0.2)
    inside = timeline.times[:, None, :]
    assert ((places[:, 0] - 0.2 <= inside[..., 0])
            & (inside[..., 1] <= places[:, 1] + 0.2)).any(1).all()  # fmt: skip


def test_posteriors_are_those_of_the_windows(recognizer, call):
    """Short speech is classified as it is, with the quiet around it.

    That is half a second, but no more than half of a pause.
    """
    path, _ = call
    signal = soundfile.read(path, dtype="float32")[0]
    timeline = recognizer.timeline(path, window=30, hop=30)
    assert len(timeline.times) == len(timeline.speech)
    places = (timeline.times * RATE).round().astype(int)
    middles = (places[1:, 0] + places[:-1, 1]) // 2
    firsts = np.maximum(places[:, 0] - 8000, [0, *middles])
    lasts = np.minimum(places[:, 1] + 8000, [*middles, len(signal)])
    for first, last, row in zip(firsts, lasts, timeline.posteriors):
        wav = torch.from_numpy(signal[first:last])
        expected = recognizer.classify_batch(wav)[0][0]
        np.testing.assert_allclose(row, expected, atol=1e-4)


def test_turns_bound_windows_and_segments(recognizer, call, tmp_path):
    """Segments lie within their speaker's turn, and carry the name."""
    path, places = call
    middle = float(places[2].mean())
    turns = tmp_path / "call.rttm"
    turns.write_text(
        f"SPEAKER call 1 0 {middle} <NA> <NA> anna <NA> <NA>\n"
        f"SPEAKER call 1 {middle} 100 <NA> <NA> ben <NA> <NA>\n"
    )
    found = recognizer.timeline(path, 1.0, 0.5, turns=turns).segments
    assert {one.speaker for one in found} == {"anna", "ben"}
    for one in found:
        if one.speaker == "anna":
            assert one.end <= middle + 1e-4
        else:
            assert one.begin >= middle - 1e-4


def test_memory_does_not_grow_with_the_file(tmp_path):
    """Ten minutes, 38 MB of samples, are cut into windows in a tenth."""
    path = tmp_path / "long.flac"
    soundfile.write(path, np.zeros(600 * RATE, np.int16), RATE)
    spans = Layout(4.0, 2.0).windows(Piece(RATE, 599 * RATE, RATE, 599 * RATE))
    tracemalloc.start()
    parts = cut(Recording(path).blocks(), spans)
    lengths = [len(part) for part in parts]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert lengths == [4 * RATE] * 298
    assert peak < 600 * RATE * 4 / 10


def test_the_command(recognizer, call, tmp_path, capsys):
    """Each form on stdout, the picture where it was asked for."""
    run = tmp_path / "run"
    save_classifier(
        run / "save" / "classifier",
        recognizer.encoder,
        recognizer.head,
        CLASSES,
    )
    command = ["timeline", str(run), str(call[0])]
    picture = tmp_path / "call.png"
    assert main([*command, "--json", "--picture", str(picture)]) == 0
    printed = capsys.readouterr()
    content = json.loads(printed.out)
    assert content["segments"] and "real-time factor" in printed.err
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert main(command) == 0
    table = capsys.readouterr().out.splitlines()
    assert table[0].split() == ["begin", "end", "label", "score"]
    assert len(table) == 1 + len(content["segments"])
    assert main([*command, "--turns", str(tmp_path / "none.rttm")]) == 2
    assert "none.rttm cannot be read as RTTM" in capsys.readouterr().err


def test_a_truncated_call(recognizer, call, tmp_path, caplog):
    """It is said so, in the log and in the answer."""
    data = call[0].read_bytes()
    path = tmp_path / "cut.wav"
    path.write_bytes(data[: len(data) // 2])
    timeline = recognizer.timeline(path)
    assert timeline.truncated and timeline.segments
    assert "cut.wav is truncated" in caplog.text
    with pytest.raises(InputError, match="hop is 9"):
        recognizer.timeline(path, hop=9)
