"""Our parts in SpeechBrain's recipes, and SpeechBrain's in ours.

SPEECHBRAIN names a checkout of SpeechBrain, whose own IEMOCAP recipe and
speaker_id template are run with our parts; the other tests need none.
"""

import json
import os
import shutil
import sys
from io import StringIO
from operator import itemgetter
from pathlib import Path
from types import SimpleNamespace

import pytest
import speechbrain as sb
import torch
from hyperpyyaml import load_hyperpyyaml
from recipe_runs import run_folder, run_script
from speechbrain.dataio.batch import PaddedBatch
from speechbrain.utils.checkpoints import Checkpointer
from speechbrain.utils.parameter_transfer import Pretrainer
from torch.utils.data import DataLoader

from ser_brain.brains import UtteranceBrain
from ser_brain.lobes.wav2vec2 import Wav2Vec2
from ser_brain.nnet.heads import UtteranceHead

RECIPE = """
encoder: !new:ser_brain.lobes.wav2vec2.Wav2Vec2
    source: {source}
    span_mask: !new:ser_brain.nnet.masking.SpanMask
        time_prob: 0.2
        feature_span: 3
pooling: !new:ser_brain.nnet.speechbrain_pooling.AsSpeechBrain
    pooling: !new:ser_brain.nnet.pooling.AttentivePooling
        dim: 32
classifier: !new:speechbrain.nnet.linear.Linear
    input_size: 32
    n_neurons: 4
log_softmax: !new:speechbrain.nnet.activations.Softmax
    apply_log: True
kmeans: !new:ser_brain.clustering.KMeansEnsemble
    n_clusters: [2, 3]
modules:
    encoder: !ref <encoder>
    pooling: !ref <pooling>
    classifier: !ref <classifier>
opt_class: !name:torch.optim.Adam
    lr: 0.001
"""


class EmotionBrain(sb.Brain):
    """As SpeechBrain's recipes are written."""

    def compute_forward(self, batch, stage):
        """Logarithms of posteriors, shape (batch, 1, classes)."""
        wavs, wav_lens = batch.sig
        self.states = self.modules.encoder(wavs, wav_lens)
        pooled = self.modules.pooling(self.states, wav_lens)
        return self.hparams.log_softmax(self.modules.classifier(pooled))

    def compute_objectives(self, predictions, batch, stage):
        """Negative log-likelihood."""
        return sb.nnet.losses.nll_loss(predictions, batch.label[:, None])


@pytest.fixture
def batch():
    """Two utterances as SpeechBrain batches them."""
    torch.manual_seed(0)
    lengths = (16000, 9000)
    return PaddedBatch(
        [{"sig": torch.randn(n), "label": i} for i, n in enumerate(lengths)]
    )


def test_our_parts_in_a_recipe_of_speechbrain(models, batch):
    text = RECIPE.format(source=models.w2)
    hparams = load_hyperpyyaml(StringIO(text))
    encoder, pooling = hparams["encoder"], hparams["pooling"]
    weights = [
        encoder.model.encoder.layer_norm.weight,
        pooling.pooling.score[0].weight,
    ]
    before = [weight.detach().clone() for weight in weights]
    brain = EmotionBrain(
        hparams["modules"],
        hparams["opt_class"],
        hparams,
        run_opts={"device": "cpu", "noprogressbar": True},
    )
    loader = DataLoader([batch], collate_fn=itemgetter(0))
    brain.fit(range(1), loader)
    assert all((old != new).any() for old, new in zip(before, weights))
    frames = brain.states.detach().flatten(0, 1).numpy()
    labels = hparams["kmeans"].fit(frames).predict(frames)
    assert labels.max(axis=0).tolist() == [1, 2]


def test_padding_is_told_by_relative_lengths(models, batch):
    pooling = load_hyperpyyaml(StringIO(RECIPE.format(source=models.w2)))
    pooling = pooling["pooling"]
    x = torch.randn(2, 10, 32)
    together = pooling(x, torch.tensor([1.0, 0.6]))
    torch.testing.assert_close(together[1:], pooling(x[1:, :6]))


# --------------------------------------- a checkout of SpeechBrain itself
@pytest.fixture
def checkout(monkeypatch):
    """The checkout that SPEECHBRAIN names; the test runs in it."""
    folder = os.environ.get("SPEECHBRAIN")
    if not folder:
        pytest.skip("SPEECHBRAIN names no checkout of SpeechBrain")
    monkeypatch.chdir(folder)
    path, modules = list(sys.path), set(sys.modules)
    yield Path(folder)
    # SpeechBrain's scripts import their neighbours, whose names ours have too.
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        file = getattr(sys.modules[name], "__file__", None) or ""
        if file.startswith(folder):
            del sys.modules[name]


SAMPLES = [
    "--data_folder=tests/samples/ASR/",
    "--train_annotation=tests/samples/annotation/ASR_train.json",
    "--valid_annotation=tests/samples/annotation/ASR_dev.json",
    "--test_annotation=tests/samples/annotation/ASR_dev.json",
    "--skip_prep=True",
    "--device=cpu",
    "--debug",
    "--num_workers=0",
]


def encoder_setting(source):
    """Our encoder with our masks, in place of another object.

    With positional arguments: mappings would be merged into the recipe's own.
    """
    masks = "!new:ser_brain.nnet.masking.SpanMask [0.2, 5, 1, 0.2, 3, 1]"
    return f"!new:ser_brain.lobes.wav2vec2.Wav2Vec2 [{source}, True, {masks}]"


def test_in_speechbrain_s_own_iemocap_recipe(checkout, models, tmp_path):
    folder = checkout / "recipes" / "IEMOCAP" / "emotion_recognition"
    pooling = (
        "!new:ser_brain.nnet.speechbrain_pooling.AsSpeechBrain "
        "[!new:ser_brain.nnet.pooling.AveragePooling []]"
    )
    argv = [str(folder / "hparams" / "train_with_wav2vec2.yaml"), *SAMPLES[:-1]]
    argv += ["--wav2vec2", encoder_setting(models.w2), "--encoder_dim=32"]
    argv += ["--avg_pool", pooling, f"--output_folder={tmp_path}"]
    argv += ["--dataloader_options", "{num_workers: 0}"]
    got = run_script(folder / "train_with_wav2vec2.py", argv)
    assert got.code == 0, got.err
    assert "test loss" in (tmp_path / "train_log.txt").read_text("utf-8")


def test_in_the_speaker_id_template(checkout, models, tmp_path):
    folder = checkout / "templates" / "speaker_id"
    # The template insists on 28 speakers.
    clips = {
        f"clip{place}": {
            "wav": f"tests/samples/ASR/spk1_snt{1 + place % 6}.wav",
            "length": 2.0,
            "spk_id": f"speaker{place}",
        }
        for place in range(28)
    }
    annotation = tmp_path / "clips.json"
    annotation.write_text(json.dumps(clips), "utf-8")
    settings = {
        "train_annotation": str(annotation),
        "valid_annotation": str(annotation),
        "test_annotation": str(annotation),
        "compute_features": encoder_setting(models.w2),
        "embedding_model": "!new:ser_brain.nnet.speechbrain_pooling."
        "AsSpeechBrain [!new:ser_brain.nnet.pooling.AttentivePooling [32]]",
        "emb_dim": "32",
        "wav_augment": "!new:speechbrain.augment.augmenter.Augmenter []",
        "prepare_noise_data": "!name:builtins.dict []",
        "output_folder": str(tmp_path),
    }
    text = (folder / "train.yaml").read_text("utf-8")
    # A cache of features on a GPU.
    lines = [one for one in text.splitlines() if "feats_cache_dir" not in one]
    yaml = tmp_path / "train.yaml"
    yaml.write_text("\n".join(lines), "utf-8")
    argv = [str(yaml), *(w for w in SAMPLES if "annotation" not in w)]
    for key, value in settings.items():
        argv += [f"--{key}", value]
    got = run_script(folder / "train.py", argv)
    assert got.code == 0, got.err
    assert "test loss" in (tmp_path / "train_log.txt").read_text("utf-8")


# ------------------------------------------- SpeechBrain's parts in ours
ECAPA = """!new:ser_brain.nnet.speechbrain_pooling.FromSpeechBrain {
lobe: !new:speechbrain.lobes.models.ECAPA_TDNN.ECAPA_TDNN {input_size: 32,
lin_neurons: 8, channels: [16, 16, 16, 16, 48], attention_channels: 8,
se_channels: 8}, size: 8}""".replace("\n", " ")


def test_ecapa_pools_in_our_recipe(run, tmp_path):
    got = run("SAVEE", "train_vft", pooling=ECAPA, head_start="random")
    assert got.code == 0, got.err
    folder = run_folder(tmp_path / "results", "vft")
    assert "ECAPA_TDNN" in (folder / "hyperparams.yaml").read_text("utf-8")


@pytest.fixture
def wrapper(models, tmp_path):
    """SpeechBrain's own wrapper of a wav2vec 2.0."""
    from speechbrain.integrations.huggingface.wav2vec2 import (
        Wav2Vec2 as Wrapper,
    )

    source = shutil.copytree(models.w2, tmp_path / "source")
    features = {
        "feature_extractor_type": "Wav2Vec2FeatureExtractor",
        "sampling_rate": 16000,
        "do_normalize": False,
    }
    path = source / "preprocessor_config.json"
    path.write_text(json.dumps(features), "utf-8")
    return Wrapper(str(source), str(tmp_path / "cache"), freeze=False)


def test_speechbrain_s_wrapper_gives_its_model(wrapper):
    encoder = Wav2Vec2(wrapper.model)
    head = UtteranceHead(encoder.dim, 2)
    hparams = {
        "micro_batch_seconds": None,
        "max_skipped_updates": 0,
        "class_weights": torch.tensor([0.5, 0.5]),
    }
    brain = UtteranceBrain(
        {"encoder": encoder, "head": head},
        hparams=hparams,
        run_opts={"device": "cpu"},
    )
    wavs = torch.randn(2, 8000)
    whole = SimpleNamespace(
        wavs=wavs,
        wav_lens=torch.ones(2),
        samples=torch.tensor([8000, 8000]),
        label=torch.tensor([0, 1]),
        totals=torch.ones(1),
    )
    outputs = brain.compute_forward(whole, sb.Stage.VALID)
    brain.compute_objectives(outputs, whole, sb.Stage.VALID).backward()
    # Layer drop may leave out any layer, but never this norm.
    assert wrapper.model.encoder.layer_norm.weight.grad.any()
    with torch.no_grad():
        wrapper.eval()
        torch.testing.assert_close(
            encoder.eval()(wavs), wrapper(wavs), atol=1e-4, rtol=1e-4
        )


def test_pretrainer_fills_our_lobes(models, tmp_path):
    def parts():
        encoder = Wav2Vec2(models.w2)
        return {"encoder": encoder, "head": UtteranceHead(encoder.dim, 3)}

    trained = parts()
    torch.nn.init.normal_(trained["encoder"].model.encoder.layer_norm.weight)
    saved = Checkpointer(tmp_path / "save", trained).save_checkpoint()
    fresh = parts()
    pretrainer = Pretrainer(
        collect_in=tmp_path / "collected",
        loadables=fresh,
        paths={name: str(saved.paramfiles[name]) for name in fresh},
    )
    pretrainer.collect_files()
    pretrainer.load_collected()
    for name, part in trained.items():
        for key, value in part.state_dict().items():
            torch.testing.assert_close(fresh[name].state_dict()[key], value)
