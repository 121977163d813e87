"""Targets of the fuzzer: models, audio and files computed from them."""

import contextlib
import io
import json
import os
import pickle
from argparse import Namespace

import numpy as np
import soundfile
import torch
from fuzz_files import JSON_TOKENS, Target, documented
from transformers import Wav2Vec2Config, Wav2Vec2Model

from ser_brain.clustering import KMeansEnsemble, PseudoLabels
from ser_brain.clustering.progress import KMeansProgress
from ser_brain.corpora.audio import check_audio_files
from ser_brain.dataio.audio import read_audio
from ser_brain.errors import InputError
from ser_brain.files import digest
from ser_brain.inference import EmotionRecognizer, save_classifier
from ser_brain.inference.classifier import load_classifier
from ser_brain.inference.reading import header_samples
from ser_brain.inference.records import as_json
from ser_brain.lobes import encoder_dim, load_encoder
from ser_brain.lobes.fairseq_checkpoint import (
    parse_layers,
    read_fairseq_checkpoint,
)
from ser_brain.lobes.wav2vec import Wav2Vec
from ser_brain.lobes.wav2vec2 import Wav2Vec2
from ser_brain.nnet.heads import UtteranceHead


def pseudo_labels(folder):
    """Files of the clusters, and what a killed k-means left."""
    path = folder / "labels.safetensors"
    arrays = {"a": np.array([[1, 5], [0, 6]]), "b": np.array([[1, 1]])}
    PseudoLabels((2, 8), 50.0, "key", arrays).save(path)
    seed = path.read_bytes()

    @documented(InputError)
    def read(content):
        path.write_bytes(content)
        found = PseudoLabels.load(path)
        for name in found.labels:
            found.frames(name, 0, 3)

    progress = KMeansProgress(folder / "progress", [torch.zeros(2, 3)])
    progress.save(7, [torch.ones(2, 3)])
    left = progress.path.read_bytes()

    def resume(content):
        progress.path.write_bytes(content)
        done, centres = progress.load()
        if not (isinstance(done, int) and centres[0].shape == (2, 3)):
            raise AssertionError(f"{done} iterations, {centres}")

    ensemble = KMeansEnsemble((2,), backend="torch")
    ensemble.fit(np.arange(8, dtype="f4").reshape(4, 2))
    ensemble.save(folder)
    settings = folder / "ensemble.json"
    described = settings.read_bytes()

    @documented(InputError)
    def read_ensemble(content):
        settings.write_bytes(content)
        KMeansEnsemble.load(folder)

    return {
        "pseudo_labels": Target(read, [seed], JSON_TOKENS),
        "k-means progress": Target(resume, [left], JSON_TOKENS),
        "ensemble.json": Target(read_ensemble, [described], JSON_TOKENS),
    }


class Bomb:
    """Run a program when it is unpickled."""

    def __reduce__(self):
        return os.system, ("echo a pickle ran code",)


OPTIONS = {
    "arch": "wav2vec",
    "conv_feature_layers": "[(4, 10, 5)] + [(4, 4, 2)] * 2",
    "conv_aggregator_layers": "[(4, 2, 1)]",
    "skip_connections_agg": True,
    "log_compression": True,
}


def checkpoints(folder):
    """fairseq's checkpoints, which are pickles, and folders of ours."""
    path = folder / "w.pt"
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = Wav2Vec.from_options(OPTIONS)
    weights = {name: one.clone() for name, one in model.state_dict().items()}
    honest = {"args": Namespace(**OPTIONS), "model": weights}
    seeds = []
    for content in (honest, {**honest, "args": Bomb()}):
        for zipped in (True, False):
            stream = io.BytesIO()
            torch.save(content, stream, _use_new_zipfile_serialization=zipped)
            seeds.append(stream.getvalue())
    seeds.append(pickle.dumps(Bomb(), protocol=2))

    @documented(ValueError, OSError)
    def read(content):
        path.write_bytes(content)
        read_fairseq_checkpoint(path)

    @documented(ValueError)
    def read_layers(content):
        parse_layers(content.decode("latin-1"))

    ours = folder / "ours"
    model.save_pretrained(ours)
    config = (ours / "config.json").read_bytes()

    @documented(ValueError, OSError)
    def read_ours(content):
        (ours / "config.json").write_bytes(content)
        Wav2Vec(ours)

    layers = [OPTIONS["conv_feature_layers"].encode(), b"[(1,2,3)]*9"]
    tokens = [b"posix\nsystem\n", b"c__builtin__\neval\n", b"R.", b"\x80\x02"]
    symbols = [
        b"*",
        b"+",
        b"(",
        b")",
        b"9" * 30,
        b"**",
        b"lambda:0",
        b"-",
        b"[",
    ]
    return {
        "fairseq": Target(read, seeds, tokens),
        "conv layers": Target(read_layers, layers, symbols),
        "wav2vec config": Target(read_ours, [config], JSON_TOKENS),
    }


TINY = {
    "conv_dim": (4,) * 7,
    "hidden_size": 8,
    "num_hidden_layers": 1,
    "num_attention_heads": 1,
    "intermediate_size": 8,
    "num_conv_pos_embeddings": 2,
    "num_conv_pos_embedding_groups": 1,
}


def transformers_folders(folder):
    """Models as the hub has them."""
    Wav2Vec2Model(Wav2Vec2Config(**TINY)).save_pretrained(folder)
    config, weights = folder / "config.json", folder / "model.safetensors"
    told, stored = config.read_bytes(), weights.read_bytes()

    @documented(ValueError, OSError)
    def read_config(content):
        config.write_bytes(content)
        encoder_dim(folder)

    @documented(ValueError, OSError)
    def read_weights(content):
        config.write_bytes(told)
        weights.write_bytes(content)
        load_encoder(folder)

    @documented(ValueError, OSError)
    def read_both(content):
        config.write_bytes(content)
        weights.write_bytes(stored)
        load_encoder(folder)

    header = [b'"F32"', b'"F16"', b'"shape":[', b'"data_offsets":[0,', b"-1"]
    return {
        "config.json": Target(read_config, [told], JSON_TOKENS),
        "weights": Target(read_weights, [stored], header),
        "model folder": Target(read_both, [told], JSON_TOKENS),
    }


def classifiers(folder):
    """A trained model from elsewhere."""
    encoder = Wav2Vec2(Wav2Vec2Model(Wav2Vec2Config(**TINY)))
    save_classifier(folder, encoder, UtteranceHead(8, 2), ["calm", "sad"])
    path, head = folder / "classifier.json", folder / "head.safetensors"
    told, stored = path.read_bytes(), head.read_bytes()

    @documented(InputError)
    def read(content):
        path.write_bytes(content)
        head.write_bytes(stored)
        classify(*load_classifier(folder))

    @documented(InputError)
    def read_head(content):
        head.write_bytes(content)
        description = json.loads(told)
        description["files"]["head.safetensors"] = digest(head)
        path.write_text(json.dumps(description))
        classify(*load_classifier(folder))

    def classify(encoder, head, description):
        recognizer = EmotionRecognizer(
            encoder, head, description["classes"], description["speeds"]
        )
        shares, *_, label = recognizer.classify_batch(torch.zeros(1, 800))
        as_json({"label": label, "shares": shares.tolist()})

    return {
        "classifier.json": Target(read, [told], JSON_TOKENS),
        "head.safetensors": Target(read_head, [stored], JSON_TOKENS),
    }


def audio(folder):
    """Recordings of any kind, and files that claim to be one."""
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, (1200, 2))
    kinds = [("WAV", "PCM_16"), ("WAV", "PCM_24"), ("WAV", "FLOAT")]
    kinds += [("WAVEX", "PCM_16"), ("W64", "PCM_16"), ("RF64", "PCM_16")]
    kinds += [("AIFF", "PCM_16"), ("AU", "ULAW"), ("WAV", "IMA_ADPCM")]
    packed = [("FLAC", "PCM_16"), ("OGG", "VORBIS"), ("MP3", "MPEG_LAYER_III")]
    path = folder / "a.wav"

    @documented(InputError)
    def read(content):
        path.write_bytes(content)
        # Each has its own way through libsndfile, and its own errors.
        for look in (header_samples, read_audio, check):
            with contextlib.suppress(InputError):
                look(path)

    def check(path):
        check_audio_files([path], workers=1, progress=False)

    def target(kinds):
        seeds = []
        for form, subtype in kinds:
            stream = io.BytesIO()
            soundfile.write(stream, noise, 16000, subtype, format=form)
            seeds.append(stream.getvalue())
        tokens = [b"data", b"fmt ", b"\xff\xff\xff\xff", b"\x00\x00\x00\x80"]
        return Target(read, seeds, tokens + [b"LIST", b"\x01\x00"])

    return {"WAV": target(kinds), "FLAC, OGG, MP3": target(packed)}


MAKERS = (
    pseudo_labels,
    checkpoints,
    transformers_folders,
    classifiers,
    audio,
)
