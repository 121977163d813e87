"""Tiny Brains of the objectives over made-up utterances."""

import functools
import inspect
from types import SimpleNamespace

import pytest
import torch
from speechbrain.dataio.dataloader import SaveableDataLoader
from speechbrain.utils.checkpoints import Checkpointer
from speechbrain.utils.epoch_loop import EpochCounter
from speechbrain.utils.train_logger import FileTrainLogger

from ser_brain.brains import (
    ClusterBrain,
    ContrastiveBrain,
    EmotionStateBrain,
    SegmentBrain,
    UtteranceBrain,
)
from ser_brain.clustering import PseudoLabels
from ser_brain.dataio.batches import UpdateSampler, seeded
from ser_brain.experiment.progress import Progress
from ser_brain.lobes import new_state_encoder
from ser_brain.lobes.wav2vec.frames import Wav2VecFrames
from ser_brain.lobes.wav2vec2 import Wav2Vec2, Wav2Vec2Pretraining
from ser_brain.nnet.heads import ClusterHeads, FrameHead, UtteranceHead
from ser_brain.nnet.masking import SpanMask
from ser_brain.nnet.pooling import LSTMPooling
from ser_brain.nnet.schedules import ConstantRate
from ser_brain.nnet.segment_head import SegmentHead

CLASSES = 3
CLUSTERS = (4, 7)
BRAINS = {
    "emotion_states": EmotionStateBrain,
    "transformer_states": EmotionStateBrain,
    "contrastive": ContrastiveBrain,
    "clusters": ClusterBrain,
    "utterance": UtteranceBrain,
    "segments": SegmentBrain,
}
# P1 with wav2vec 1.0, and with another encoder.
STATES = ("emotion_states", "transformer_states")
SURE = {
    "attention_dropout": 0.0,
    "hidden_dropout": 0.0,
    "activation_dropout": 0.0,
    "feat_proj_dropout": 0.0,
    "layerdrop": 0.5,
}


def _utterance(number):
    """A hum whose pitch and rhythm follow the label, with its own length."""
    generator = seeded(5, number)
    label = number % CLASSES
    samples = 3000 + 1111 * ((7 * number) % 9)
    time = torch.arange(samples) / 16000
    hum = torch.sin(2 * torch.pi * 500 * (1 + 3 * label) * time)
    rhythm = 0.5 + 0.5 * torch.sin(2 * torch.pi * 4 * (1 + label) * time)
    noise = 0.01 * torch.randn(samples, generator=generator)
    return {
        "id": f"clip{number}",
        "signal": 0.3 * hum * rhythm + noise,
        "label": label,
        "speaker": str(number % 2),
        "duration": samples / 16000,
    }


@pytest.fixture(scope="session")
def utterances():
    """Twelve utterances of 0.2 to 0.7 s in three classes."""
    return [_utterance(number) for number in range(12)]


@pytest.fixture
def update(utterances):
    """One update's worth of them, as a loader gives it."""
    return [SimpleNamespace(**one) for one in utterances[:7]]


@pytest.fixture(scope="session")
def pseudo_labels(utterances):
    """One label is the class, one moves; a frame fewer than wav2vec 2.0."""
    labels = {}
    for one in utterances:
        frames = torch.arange(len(one["signal"]) // 320 - 2)
        still = torch.full_like(frames, one["label"])
        moving = (frames // 4 + one["label"]) % CLUSTERS[1]
        labels[one["id"]] = torch.stack([still, moving], dim=1).numpy()
    return PseudoLabels(CLUSTERS, 50.0, "key", labels)


@pytest.fixture(scope="session")
def sure_wav2vec2(make_wav2vec2):
    """Folder of a model without dropout, layer drop left on."""
    return make_wav2vec2(**SURE)


def _modules(objective, wav2vec2, wav2vec):
    """The modules of an objective, the same at every call."""
    spans = SpanMask(
        time_prob=0.2, time_span=3, feature_prob=0.2, feature_span=4
    )
    torch.manual_seed(1)
    if objective in STATES:
        source = wav2vec if objective == "emotion_states" else wav2vec2
        encoder = new_state_encoder(source, span_mask=spans)
        pooling = LSTMPooling(dim=encoder.dim, hidden=6)
        return {
            "encoder": encoder,
            "frame_head": FrameHead(encoder.dim, CLASSES, hidden=8),
            "utterance_head": UtteranceHead(
                encoder.dim, CLASSES, pooling=pooling, hidden=8
            ),
        }
    if objective == "segments":
        encoder = Wav2VecFrames(wav2vec)
        head = SegmentHead(encoder.dim, CLASSES, hidden=8, segment=9)
        return {"encoder": encoder, "head": head}
    if objective == "contrastive":
        pretraining = Wav2Vec2Pretraining(wav2vec2, mask_length=3)
        return {"objective": pretraining}
    if objective == "clusters":
        encoder = Wav2Vec2(wav2vec2)
        heads = ClusterHeads(encoder.dim, CLUSTERS, hidden=16)
        return {"encoder": encoder, "heads": heads}
    encoder = Wav2Vec2(wav2vec2, span_mask=spans)
    return {"encoder": encoder, "head": UtteranceHead(encoder.dim, CLASSES)}


@pytest.fixture
def make_brain(tiny_wav2vec2, tiny_wav2vec, pseudo_labels, tmp_path):
    """Builds a Brain of an objective; what is given changes its hparams."""

    def make(
        objective,
        folder=tiny_wav2vec2,
        opt_class=None,
        run_opts=None,
        checkpointer=None,
        **changes,
    ):
        if opt_class is None:
            opt_class = functools.partial(torch.optim.Adam, lr=1e-3)
        logger = FileTrainLogger(str(tmp_path / "train_log.txt"))
        hparams = {
            "stage": objective,
            "seed": 3,
            "lr_schedule": ConstantRate(1e-3),
            "max_seconds": 0.5,
            "micro_batch_seconds": None,
            "front_end": None,
            "sampler": None,
            "updates": 100,
            "updates_per_epoch": 4,
            "validates": False,
            "train_loggers": [logger],
            "progress": Progress("classifier", 1, 4),
            "max_grad_norm": float("inf"),
            "class_weights": torch.tensor([0.5, 0.3, 0.2]),
            "augment": None,
            "speeds": [1.0],
            "pseudo_labels": pseudo_labels,
            "mask_prob": 0.3,
            "mask_length": 3,
            "min_masks": 2,
            "max_skipped_updates": 2,
            "nonfinite_folder": tmp_path / "nonfinite",
        }
        return BRAINS[objective](
            modules=_modules(objective, folder, tiny_wav2vec),
            opt_class=opt_class,
            hparams={**hparams, **changes},
            run_opts={
                "device": "cpu",
                "noprogressbar": True,
                **(run_opts or {}),
            },
            checkpointer=checkpointer,
        )

    return make


@pytest.fixture
def start():
    """Makes a Brain ready for single updates outside of ``fit``."""

    def start(brain):
        brain.on_fit_start()
        brain.modules.train()
        brain.epoch, brain.step = 1, 1
        return brain

    return start


@pytest.fixture
def fit(make_brain, utterances):
    """Trains for two epochs of four updates, a checkpoint after each two."""

    def fit(objective, folder, **changes):
        # SpeechBrain adds to this default list at every save.
        save = inspect.signature(Checkpointer.save_and_keep_only)
        save.parameters["importance_keys"].default.clear()
        durations = [one["duration"] for one in utterances]
        sampler = UpdateSampler(
            durations, batch_size=3, updates=8, updates_per_epoch=4, buckets=2
        )
        collate = _as_utterances
        loader = SaveableDataLoader(
            utterances, batch_sampler=sampler, collate_fn=collate
        )
        counter = EpochCounter(2)
        validates = objective in STATES
        brain = make_brain(
            objective,
            run_opts={"ckpt_interval_steps": 2, "ckpt_interval_minutes": 0},
            checkpointer=Checkpointer(
                folder, recoverables={"counter": counter, "loader": loader}
            ),
            **{"sampler": sampler, "validates": validates, **changes},
        )
        brain.checkpointer.add_recoverables(dict(brain.modules.items()))
        valid = None
        if validates:
            valid = SaveableDataLoader(
                utterances[:4], batch_size=2, collate_fn=collate
            )
        brain.fit(counter, loader, valid)
        return brain

    return fit


def _as_utterances(items):
    return [SimpleNamespace(**item) for item in items]
