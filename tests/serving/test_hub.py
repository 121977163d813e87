"""A pushed model: as good as the run, without a program, and it says so."""

import json
import shutil
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import huggingface_hub.constants
import numpy as np
import pytest
import run_trees
import torch
import yaml
from speechbrain.inference.classifiers import EncoderClassifier
from transformers import pipeline

from ser_brain import cli
from ser_brain.errors import InputError
from ser_brain.files import digests
from ser_brain.inference import EmotionRecognizer, save_classifier
from ser_brain.lobes import load_encoder
from ser_brain.lobes.wav2vec2 import Wav2Vec2
from ser_brain.nnet.heads import UtteranceHead
from ser_brain.serving.hub import is_hub_name, write_folder
from ser_brain.serving.sequence_classifier import obstacle

CLASSES = list(run_trees.CLASSES)


@pytest.fixture(scope="module")
def wavs():
    generator = torch.Generator().manual_seed(0)
    return 0.1 * torch.randn(2, 9000, generator=generator)


@pytest.fixture(scope="module")
def run(tmp_path_factory, tiny_wav2vec2):
    """A run folder with results, a model, and what a recipe leaves."""
    root = tmp_path_factory.mktemp("results")
    folder = run_trees.write_run(root, "vft", "KL", 2)
    torch.manual_seed(0)
    save_classifier(
        folder / "save" / "classifier",
        Wav2Vec2(tiny_wav2vec2),
        UtteranceHead(32, len(CLASSES)),
        CLASSES,
        corpus="SAVEE",
        procedure="vft",
        scale="nano",
        fold="KL",
        seed=2,
    )
    return folder


@pytest.fixture(scope="module")
def pushed(run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("hub") / "ser"
    write_folder(run, folder)
    return folder


@pytest.fixture
def copy(pushed, tmp_path):
    return shutil.copytree(pushed, tmp_path / "copy")


def header_and_text(folder):
    """The card's YAML header, and all of it."""
    text = (folder / "README.md").read_text(encoding="utf-8")
    return yaml.safe_load(text.split("---\n")[1]), text


def test_the_model_is_that_of_the_run(run, pushed, wavs, capsys):
    """To the last bit; and the folder is one to every command."""
    expected = EmotionRecognizer.from_run(run)(wavs)
    found = EmotionRecognizer.from_hub(pushed)(wavs)
    assert torch.equal(found[0], expected[0]) and found[3] == expected[3]
    capsys.readouterr()
    assert cli.main(["verify", str(pushed)]) == 0
    assert "is whole" in capsys.readouterr().out


def test_only_weights_json_a_card_and_speechbrains_yaml(pushed):
    names = {
        path.relative_to(pushed).as_posix()
        for path in pushed.rglob("*")
        if path.is_file()
    }
    others = {n for n in names if not n.endswith((".json", ".safetensors"))}
    assert others == {"README.md", "hyperparams.yaml"}
    assert "save/classifier/encoder/model.safetensors" in names


def test_the_card_of_a_run(run, pushed):
    """Corpus, procedure, scores with intervals, recalls, licence, limits."""
    header, text = header_and_text(pushed)
    metrics = json.loads((run / "metrics.json").read_text())
    assert header["pipeline_tag"] == "audio-classification"
    [result] = header["model-index"][0]["results"]
    assert result["dataset"]["name"] == "SAVEE"
    values = {each["type"]: each["value"] for each in result["metrics"]}
    assert values["ua"] == pytest.approx(metrics["UA"], abs=1e-4)
    lines = text.splitlines()
    [line] = [line for line in lines if line.startswith("| UA |")]
    _, _, share, over_clips, over_speakers, _ = line.split("|")
    assert float(share) == pytest.approx(100 * metrics["UA"], abs=0.05)
    low, high = map(float, over_clips.split(" to "))
    assert low < float(share) < high and high - low > 5
    # One speaker was tested: nothing is known of others.
    assert over_speakers.strip() == "–"
    for name, recall in metrics["recall"].items():
        assert f"| recall of {name} | {100 * recall:.1f} |" in text
    assert "Fold KL (120 clips, 1 speaker)" in text
    assert "University of Surrey" in text and "## Limits" in text
    assert "cannot load it: its head has a ReLU after the pooling." in text


SCORED = {
    "folds_by": "groups",
    "folds": {"1": {}, "2": {}},
    "clips": 40,
    "speakers": 12,
    "UA": 0.5,
    "WA": 0.6,
    "macro_f1": 0.55,
    "recall": {"angry": 0.25, "happy": 0.5, "sad": 0.75},
    "intervals": {
        "clips": {"UA": [0.4, 0.6], "recall": {"angry": [0.1, 0.4]}},
        "speakers": {"UA": [0.3, 0.7], "recall": {}},
    },
    "chance": 1 / 3,
    "baseline_UA": 0.41,
    "warnings": ["the class sad has 9 clips only."],
}


def test_the_card_of_a_trained_table(model, tmp_path):
    """Cross-validated scores, the baseline, and what is doubtful."""
    source = shutil.copytree(model, tmp_path / "source")
    (source / "cross_validation.json").write_text(json.dumps(SCORED))
    write_folder(source, tmp_path / "ser", data_license="Ours, CC BY 4.0.")
    _, text = header_and_text(tmp_path / "ser")
    assert "| UA | 50.0 | 40.0 to 60.0 | 30.0 to 70.0 |" in text
    assert "| UA of a log-mel baseline | 41.0 | – | – |" in text
    assert "| recall of angry | 25.0 | 10.0 to 40.0 | – |" in text
    assert "Each group of speakers was tested" in text
    assert "Doubtful: the class sad has 9 clips only." in text
    assert "Ours, CC BY 4.0." in text


def test_the_card_of_a_model_without_results(model, tmp_path):
    """It claims nothing."""
    write_folder(model, tmp_path / "ser", license="mit")
    header, text = header_and_text(tmp_path / "ser")
    assert header["license"] == "mit" and "model-index" not in header
    assert "No test of this model is recorded." in text
    assert "did not state the licence" in text


def test_a_folder_is_written_once(run, pushed):
    before = digests(pushed)
    with pytest.raises(InputError, match="is there already"):
        write_folder(run, pushed)
    assert digests(pushed) == before


def test_a_card_that_was_edited_is_kept(copy, tmp_path):
    """Pushed to a folder, looked through, pushed on."""
    with open(copy / "README.md", "a") as card:
        card.write("Ask Ann.")
    write_folder(copy, tmp_path / "on")
    assert digests(tmp_path / "on") == digests(copy)
    with pytest.raises(InputError, match="has a card already"):
        write_folder(copy, tmp_path / "more", license="mit")


def test_nothing_is_left_of_a_push_that_fails(run, tmp_path):
    source = shutil.copytree(run, tmp_path / "source")
    weights = source / "save" / "classifier" / "head.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(InputError, match="head.safetensors was changed"):
        write_folder(source, tmp_path / "out" / "ser")
    assert not (tmp_path / "out").exists()


def test_a_changed_byte_is_found(copy):
    path = copy / "save" / "classifier" / "encoder" / "config.json"
    path.write_text(path.read_text() + " ")
    with pytest.raises(InputError, match="config.json was changed"):
        EmotionRecognizer.from_hub(copy)


def test_a_pickle_is_not_read(copy):
    """Even if the model's own list names it with the right checksum."""
    folder = copy / "save" / "classifier"
    weights = folder / "encoder" / "model.safetensors"
    torch.save({}, folder / "encoder" / "pytorch_model.bin")
    weights.unlink()
    description = json.loads((folder / "classifier.json").read_text())
    found = digests(folder / "encoder")
    description["files"] = {
        "head.safetensors": description["files"]["head.safetensors"],
        **{f"encoder/{name}": value for name, value in found.items()},
    }
    (folder / "classifier.json").write_text(json.dumps(description))
    with pytest.raises(InputError, match="neither safetensors nor JSON"):
        EmotionRecognizer.from_hub(copy)


def test_what_is_no_model(tmp_path):
    with pytest.raises(InputError, match="holds no model of ser_brain"):
        EmotionRecognizer.from_hub(tmp_path)
    with pytest.raises(InputError, match="has no revision v1"):
        EmotionRecognizer.from_hub(tmp_path, "v1")
    with pytest.raises(InputError, match="nor a hub name"):
        EmotionRecognizer.from_hub("a/b/c/d")


def test_names_and_folders(tmp_path, monkeypatch):
    """``out/model`` is a folder where there is a folder ``out``."""
    monkeypatch.chdir(tmp_path)
    assert is_hub_name("out/model") and not is_hub_name("./out/model")
    (tmp_path / "out").mkdir()
    assert not is_hub_name("out/model")


def test_speechbrain_loads_the_folder(pushed, wavs):
    """EncoderClassifier answers the logarithms of the same posteriors."""
    classifier = EncoderClassifier.from_hparams(source=str(pushed))
    lengths = torch.tensor([1.0, 0.6])
    expected = EmotionRecognizer.from_hub(pushed)(wavs, lengths)
    found = classifier.classify_batch(wavs, lengths)
    torch.testing.assert_close(found[0].exp(), expected[0])
    assert found[2].tolist() == expected[2].tolist()
    assert found[3] == expected[3]


def test_transformers_has_no_emotion2vec(make_encoder):
    """It is told why, and the rest of the folder serves."""
    encoder = load_encoder(make_encoder("emotion2vec"))
    head = UtteranceHead(32, 3, relu_pooled=False)
    recognizer = EmotionRecognizer(encoder, head, ["angry", "happy", "sad"])
    assert "no classifier with emotion2vec" in obstacle(recognizer)


@pytest.mark.parametrize("kind", ["wav2vec2", "data2vec-audio", "wavlm"])
@pytest.mark.parametrize("standardize", [False, True])
def test_transformers_loads_a_linear_head(
    make_encoder, tmp_path, wavs, kind, standardize
):
    """The pipeline gives the posteriors of from_hub."""
    if kind != "wav2vec2" and not standardize:
        pytest.skip("what differs by encoder does not differ by head")
    encoder = load_encoder(make_encoder(kind))
    head = UtteranceHead(32, 3, relu_pooled=False, standardize=standardize)
    with torch.no_grad():
        head.classifier.weight.mul_(5)
        if standardize:
            head.mean.normal_()
            head.scale.uniform_(0.5, 2)
    model = tmp_path / "model"
    classes = ["angry", "happy", "sad"]
    save_classifier(model / "save" / "classifier", encoder, head, classes)
    assert write_folder(model, tmp_path / "ser") is None
    assert (
        "from transformers import pipeline"
        in header_and_text(tmp_path / "ser")[1]
    )
    classify = pipeline("audio-classification", model=str(tmp_path / "ser"))
    expected = EmotionRecognizer.from_hub(tmp_path / "ser")(wavs)[0]
    for wav, row in zip(wavs, expected):
        answers = classify(np.asarray(wav), top_k=3)
        found = {each["label"]: each["score"] for each in answers}
        assert found == pytest.approx(
            dict(zip(classes, row.tolist())), abs=1e-5
        )


class Hub(ThreadingHTTPServer):
    """Answers what snapshot_download asks of the hub, and notes it."""

    def __init__(self, folder, name, commit="0" * 39 + "1"):
        super().__init__(("127.0.0.1", 0), Answer)
        self.folder, self.name, self.commit = folder, name, commit
        self.asked = []

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"


class Answer(BaseHTTPRequestHandler):
    """One repository with one commit: main, or its name."""

    def do_HEAD(self):
        self.do_GET(with_body=False)

    def do_GET(self, with_body=True):
        hub, path = self.server, self.path.split("?")[0]
        hub.asked.append(path)
        start = f"/{hub.name}/resolve/{hub.commit}/"
        status, content, headers = 200, b"", {}
        if path == f"/api/models/{hub.name}/revision/main":
            content = json.dumps({"id": hub.name, "sha": hub.commit}).encode()
        elif path == f"/api/models/{hub.name}/tree/{hub.commit}":
            content = json.dumps(list(self.tree())).encode()
        elif path.startswith(start):
            content = (hub.folder / path[len(start) :]).read_bytes()
            headers = {"ETag": f'"{hash(path):x}"', "X-Repo-Commit": hub.commit}
        else:
            status, headers = 404, {"X-Error-Code": "RevisionNotFound"}
        self.send_response(status)
        for key, value in {**headers, "Content-Length": len(content)}.items():
            self.send_header(key, str(value))
        self.end_headers()
        if with_body:
            self.wfile.write(content)

    def tree(self):
        for name, value in digests(self.server.folder).items():
            size = (self.server.folder / name).stat().st_size
            yield {"type": "file", "path": name, "size": size, "oid": value}

    def log_message(self, *words):
        pass


@pytest.fixture
def hub(copy, tmp_path, monkeypatch):
    """A hub whose repository holds more than a push would put there."""
    (copy / "custom_interface.py").write_text("raise SystemExit('executed')")
    torch.save({}, copy / "save" / "classifier" / "encoder" / "model.bin")
    server = Hub(copy, "ann/ser")
    Thread(target=server.serve_forever, daemon=True).start()
    constants = huggingface_hub.constants
    monkeypatch.setattr(constants, "ENDPOINT", server.url)
    place = server.url + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", place)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    yield server
    server.shutdown()


def test_a_download_takes_weights_and_json_only(hub, pushed, wavs):
    found = EmotionRecognizer.from_hub("ann/ser")(wavs)[0]
    assert torch.equal(found, EmotionRecognizer.from_hub(pushed)(wavs)[0])
    start = f"/ann/ser/resolve/{hub.commit}/"
    asked = [path for path in hub.asked if not path.startswith("/api/")]
    files = {path.removeprefix(start) for path in asked}
    assert files == {
        "save/classifier/classifier.json",
        "save/classifier/head.safetensors",
        "save/classifier/encoder/config.json",
        "save/classifier/encoder/model.safetensors",
    }


def test_what_the_hub_does_not_have(hub):
    with pytest.raises(InputError, match="no revision v9 on the hub"):
        EmotionRecognizer.from_hub("ann/ser", "v9")
    hub.shutdown()
    hub.server_close()
    with pytest.raises(InputError, match="hub cannot be reached"):
        EmotionRecognizer.from_hub("ann/other")


def test_the_command(run, tmp_path, capsys):
    assert cli.main(["push", str(run), str(tmp_path / "ser")]) == 0
    out = capsys.readouterr().out
    assert "from_hub(" in out and "pipeline cannot load it" in out
    assert cli.main(["push", str(run), str(tmp_path / "ser")]) == 2
    assert "is there already" in capsys.readouterr().err
