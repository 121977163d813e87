"""A trained classifier, saved, loaded and asked."""

import copy
import json

import numpy as np
import pytest
import soundfile
import torch
from safetensors.torch import load_file, save_file

from ser_brain.errors import InputError
from ser_brain.files import digest
from ser_brain.inference import (
    EmotionRecognizer,
    load_classifier,
    save_classifier,
)
from ser_brain.lobes.wav2vec2 import Wav2Vec2
from ser_brain.nnet.heads import UtteranceHead
from ser_brain.nnet.pooling import LSTMPooling

CLASSES = ["angry", "happy", "sad"]


@pytest.fixture(scope="module")
def parts(tiny_wav2vec2):
    """A small random encoder and a head with weights of its own."""
    torch.manual_seed(0)
    head = UtteranceHead(32, len(CLASSES), LSTMPooling(32, 4), hidden=8)
    return Wav2Vec2(tiny_wav2vec2), head


@pytest.fixture
def run(tmp_path, parts):
    """A run folder as a finished recipe leaves it."""
    folder = tmp_path / "seed_1"
    (folder / "save").mkdir(parents=True)
    (folder / "hyperparams.yaml").write_text("seed: 1\n")
    save_classifier(
        folder / "save" / "classifier", *parts, CLASSES, corpus="SAVEE"
    )
    return folder


def speech(seconds, rate=16000, seed=0):
    """Noise with a moving level."""
    count = int(seconds * rate)
    draws = np.random.default_rng(seed)
    level = np.sin(np.linspace(0, 9, count)) ** 2
    return (0.3 * level * draws.standard_normal(count)).astype(np.float32)


def test_loaded_run_answers_as_the_trained_parts(run, parts):
    """The same posteriors to the last bit, and what the run was."""
    wav = torch.from_numpy(speech(0.8))
    expected = EmotionRecognizer(*parts, CLASSES).classify_batch(wav)
    answer = EmotionRecognizer.from_run(run).classify_batch(wav)
    assert torch.equal(answer[0], expected[0])
    assert answer[3] == expected[3]
    description = load_classifier(run / "save" / "classifier")[2]
    assert description["corpus"] == "SAVEE"


def test_answers_fit_each_other(run):
    """Probabilities, the best one, its index and its name."""
    wavs = torch.from_numpy(np.stack([speech(1, seed=s) for s in range(4)]))
    recognizer = EmotionRecognizer.from_run(run)
    posteriors, score, index, label = recognizer(wavs)
    torch.testing.assert_close(posteriors.sum(1), torch.ones(4))
    assert torch.equal(score, posteriors.gather(1, index[:, None])[:, 0])
    assert label == [CLASSES[i] for i in index]
    assert not recognizer.training


def test_answer_does_not_depend_on_the_batch(run):
    """Alone, and beside a clip three times as long."""
    recognizer = EmotionRecognizer.from_run(run)
    short, long = (torch.from_numpy(speech(s)) for s in (0.5, 1.5))
    wavs = torch.nn.utils.rnn.pad_sequence([short, long], True)
    together = recognizer(wavs, torch.tensor([1 / 3, 1.0]))[0]
    for alone, row in zip((short, long), together):
        torch.testing.assert_close(
            recognizer(alone)[0][0], row, atol=1e-4, rtol=0
        )


@pytest.mark.parametrize("suffix", ["wav", "flac"])
@pytest.mark.parametrize("rate, channels", [(8000, 1), (16000, 3), (44100, 2)])
def test_any_rate_and_channel_count(run, tmp_path, suffix, rate, channels):
    """A file's posteriors are those of its mono waveform at 16 kHz."""
    file = tmp_path / f"clip.{suffix}"
    signal = speech(0.6, rate)
    soundfile.write(file, np.stack([signal] * channels, axis=1), rate)
    recognizer = EmotionRecognizer.from_run(run)
    posteriors, _, _, label = recognizer.classify_file(file)
    assert posteriors.shape == (1, 3) and label[0] in CLASSES
    if rate == 16000:
        # What a 16-bit file rounds away.
        expected = recognizer(torch.from_numpy(signal))[0]
        torch.testing.assert_close(posteriors, expected, atol=1e-3, rtol=0)


def write_samples(path, samples):
    """A file of floats, so that NaN can be stored."""
    soundfile.write(path, samples, 16000, subtype="FLOAT")
    return path


def test_files_without_an_answer(run, tmp_path):
    """Missing, no audio, too short or NaN: a sentence with the file."""
    recognizer = EmotionRecognizer.from_run(run)
    text = tmp_path / "text.wav"
    text.write_text("no audio")
    short = write_samples(tmp_path / "short.wav", speech(0.02))
    broken = speech(0.5)
    broken[100] = np.nan
    broken = write_samples(tmp_path / "nan.wav", broken)
    for path, reason in [
        (tmp_path / "none.wav", "none.wav cannot be read"),
        (text, "text.wav cannot be read"),
        (short, "short.wav lasts 20 ms"),
        (broken, "nan.wav holds NaN"),
    ]:
        with pytest.raises(InputError, match=reason):
            recognizer.classify_file(path)


def test_folders_that_are_no_finished_run(tmp_path, run):
    """No folder, an unfinished run, another folder: three sentences."""
    with pytest.raises(InputError, match="is not a folder"):
        EmotionRecognizer.from_run(tmp_path / "none")
    with pytest.raises(InputError, match="is not a run folder"):
        EmotionRecognizer.from_run(tmp_path)
    (run / "save" / "classifier" / "classifier.json").unlink()
    with pytest.raises(InputError, match="start its recipe again"):
        EmotionRecognizer.from_run(run)


def test_posteriors_that_are_not_finite_are_no_answer(parts, tmp_path):
    """Neither of a batch nor of a file, which is named."""
    encoder, head = parts
    broken = copy.deepcopy(head)
    with torch.no_grad():
        next(broken.parameters()).fill_(torch.nan)
    recognizer = EmotionRecognizer(encoder, broken, CLASSES)
    with pytest.raises(InputError, match="utterance 0 gets posteriors that"):
        recognizer.classify_batch(torch.from_numpy(speech(0.5)))
    path = write_samples(tmp_path / "a.wav", speech(0.5))
    with pytest.raises(InputError, match="a.wav gets posteriors that"):
        recognizer.classify_file(path)
    with pytest.raises(InputError, match="a.wav gets posteriors that"):
        recognizer.classify_files([path])


def test_unknown_device(run):
    """A device that is not there is told, not a traceback."""
    with pytest.raises(InputError, match="device warp"):
        EmotionRecognizer.from_run(run, "warp")


def edit(folder, **changes):
    """Change keys of classifier.json; None takes the key out."""
    path = folder / "classifier.json"
    content = json.loads(path.read_text()) | changes
    kept = {key: value for key, value in content.items() if value is not None}
    path.write_text(json.dumps(kept))


def cut_head(folder):
    """Half of the head's file, as a broken copy leaves it."""
    path = folder / "head.safetensors"
    path.write_bytes(path.read_bytes()[:100])


def other_head(folder):
    """Weights that are not this head's."""
    state = load_file(folder / "head.safetensors")
    state.pop(sorted(state)[0])
    save_file(state, folder / "head.safetensors")


def other_head_signed(folder):
    """The same, with the checksum that fits it."""
    other_head(folder)
    files = json.loads((folder / "classifier.json").read_text())["files"]
    files["head.safetensors"] = digest(folder / "head.safetensors")
    edit(folder, files=files)


def noise_in_encoder(folder):
    """400 bytes in the midst of the weights, which still load."""
    path = folder / "encoder" / "model.safetensors"
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 400] = b"\xff" * 400
    path.write_bytes(data)


@pytest.mark.parametrize(
    "damage, reason",
    [
        (cut_head, "head.safetensors was changed"),
        (other_head, "head.safetensors was changed"),
        (other_head_signed, "Missing key"),
        (noise_in_encoder, "encoder/model.safetensors was changed"),
        (lambda f: (f / "head.safetensors").unlink(), "is missing"),
        (lambda f: (f / "encoder").rename(f / "moved"), "json is missing"),
        (lambda f: (f / "encoder" / "a.bin").touch(), "is not part of it"),
        (lambda f: (f / "classifier.json").write_text("{"), "no complete"),
        (lambda f: (f / "classifier.json").write_text("[]"), "format None"),
        (
            lambda f: (f / "classifier.json").write_text("[" * 10**5),
            "no complete",
        ),
        (lambda f: edit(f, classes="abc"), "gives classes as 'abc'"),
        (lambda f: edit(f, classes=[1, 2, 3]), "gives classes"),
        (lambda f: edit(f, classes=["a", "a", "b"]), "gives classes"),
        (lambda f: edit(f, classes=["a", "b", "\x1b[2J"]), r"'\\x1b\[2J'"),
        (lambda f: edit(f, speeds=[float("nan")]), "gives speeds"),
        (lambda f: edit(f, files={}), "gives files"),
        (lambda f: edit(f, files={"/dev/zero": "0"}), "gives files"),
        (lambda f: edit(f, format="other-2"), "'other-2'"),
        (lambda f: edit(f, classes=None), "lacks"),
        (lambda f: edit(f, classes=["a"]), "do not fit"),
        (lambda f: edit(f, head={"dim": 16}), "keys"),
        (lambda f: edit(f, head=3), "no complete classifier"),
    ],
)
def test_damaged_classifier(run, damage, reason):
    """Whatever is wrong with the files: one sentence, no other exception."""
    folder = run / "save" / "classifier"
    damage(folder)
    with pytest.raises(InputError, match=reason) as caught:
        EmotionRecognizer.from_run(run)
    assert str(folder) in str(caught.value)


def test_head_of_foreign_code_is_not_built(run):
    """A pooling is looked up among ours, never imported by its name."""
    folder = run / "save" / "classifier"
    head = json.loads((folder / "classifier.json").read_text())["head"]
    head["pooling"] = {"name": "os.system", "arguments": {"command": "true"}}
    edit(folder, head=head)
    with pytest.raises(InputError, match="os.system"):
        EmotionRecognizer.from_run(run)


def test_saving_again_replaces_and_keeps_the_rest(run, parts):
    """A second export leaves one classifier and the folder's other files."""
    folder = run / "save" / "classifier"
    (folder / "posteriors.json").write_text("{}")
    before = sorted(path.name for path in folder.iterdir())
    save_classifier(folder, *parts, ["a", "b", "c"])
    assert sorted(path.name for path in folder.iterdir()) == before
    assert load_classifier(folder)[2]["classes"] == ["a", "b", "c"]


def test_interrupted_export_is_no_classifier(run, parts):
    """While weights change nothing can be read, not a mixture."""
    folder = run / "save" / "classifier"

    class Interrupted(Wav2Vec2):
        def save_pretrained(self, folder):
            super().save_pretrained(folder)
            raise KeyboardInterrupt

    encoder = Interrupted(parts[0].model)
    with pytest.raises(KeyboardInterrupt):
        save_classifier(folder, encoder, parts[1], CLASSES)
    assert not list(folder.glob(".encoder*"))
    with pytest.raises(InputError, match="start its recipe again"):
        EmotionRecognizer.from_run(run)


def test_logits_and_classes_must_agree(parts):
    """Three logits cannot be called by two names."""
    with pytest.raises(ValueError, match="2 classes"):
        EmotionRecognizer(*parts, ["a", "b"])
