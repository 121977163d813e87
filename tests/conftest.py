"""Fixtures that every room's tests share."""

import sys
from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared" / "corpora"

TINY_WAV2VEC2 = {
    "conv_dim": (16,) * 7,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 4,
    "num_codevectors_per_group": 32,
    "codevector_dim": 16,
    "proj_codevector_dim": 16,
    "feat_extract_norm": "group",
    "do_stable_layer_norm": False,
}
TINY_DATA2VEC = {
    "conv_dim": (16,) * 7,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "conv_pos_kernel_size": 5,
    "num_conv_pos_embeddings": 3,
    "num_conv_pos_embedding_groups": 4,
}
TINY_WHISPER = {
    "d_model": 32,
    "encoder_layers": 2,
    "encoder_attention_heads": 2,
    "encoder_ffn_dim": 64,
    "num_mel_bins": 24,
    "max_source_positions": 60,
    "activation_dropout": 0.1,
    "attention_dropout": 0.1,
    "dropout": 0.1,
}
TINY_WAV2VEC = {
    "conv_feature_layers": "[(12, 10, 5), (12, 8, 4)] + [(12, 4, 2)] * 3",
    "conv_aggregator_layers": "[(16, 2, 1), (16, 3, 1)]",
    "skip_connections_agg": True,
    "log_compression": True,
    "agg_zero_pad": True,
}


def _give_lazy_modules_a_file():
    """Lets hypothesis look at SpeechBrain's lazy modules.

    It asks every imported module for its file; a lazy module then imports
    what is not installed (k2) and raises.
    """
    imports = sys.modules.get("speechbrain.utils.importutils")
    if imports is not None:
        imports.LazyModule.__file__ = None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems():
    """Before hypothesis looks at what the test files imported."""
    _give_lazy_modules_a_file()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup():
    """Before it looks at what the last test imported."""
    _give_lazy_modules_a_file()


@pytest.fixture(scope="session")
def shared_corpora():
    """The folder of real corpora beside the checkout, if there is one."""
    if not SHARED.is_dir():
        pytest.skip("the real corpora are not beside this checkout")
    return SHARED


def _randomize(model):
    """Random weights, norms and biases too, lest a forgotten one goes unseen.

    Gains lie around 1, all else has a scale that keeps activations in range.
    """
    import torch

    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, weight in sorted(model.named_parameters()):
            noise = torch.randn(weight.shape, generator=generator)
            is_gain = "norm" in name and name.endswith("weight")
            fan_in = max(weight[0].numel(), 4)
            if "codevectors" in name:
                fan_in = 1
            weight.copy_(noise / fan_in**0.5 + is_gain)
        for name, statistic in sorted(model.named_buffers()):
            if name.endswith(("running_mean", "running_var")):
                statistic.uniform_(0.5, 2, generator=generator)


@pytest.fixture(scope="session")
def make_wav2vec2(tmp_path_factory):
    """Writes a tiny random wav2vec 2.0, quantizer included, to a folder.

    Takes what differs from a base-like configuration.
    """
    from transformers import Wav2Vec2Config, Wav2Vec2ForPreTraining

    def make(**options):
        config = Wav2Vec2Config(**{**TINY_WAV2VEC2, **options})
        model = Wav2Vec2ForPreTraining(config)
        _randomize(model)
        folder = tmp_path_factory.mktemp("wav2vec2")
        model.save_pretrained(folder)
        return folder

    return make


@pytest.fixture(scope="session")
def make_encoder(tmp_path_factory, make_wav2vec2, make_whisper):
    """Writes a tiny random checkpoint of any kind to a folder.

    Takes its ``model_type`` and what differs from a base-like configuration.
    """
    from transformers import AutoConfig, AutoModel

    def make(kind, layerdrop=0.1, **options):
        if kind == "whisper":
            return make_whisper(encoder_layerdrop=layerdrop, **options)
        options["layerdrop"] = layerdrop
        if kind == "wav2vec2":
            return make_wav2vec2(**options)
        tiny = TINY_DATA2VEC if kind == "data2vec-audio" else TINY_WAV2VEC2
        if kind == "wavlm":
            # Distances of several frames share a bucket, as at full size.
            tiny = {**tiny, "num_buckets": 16, "max_bucket_distance": 20}
        config = AutoConfig.for_model(kind, **{**tiny, **options})
        model = AutoModel.from_config(config)
        _randomize(model)
        folder = tmp_path_factory.mktemp(kind)
        model.save_pretrained(folder)
        return folder

    return make


@pytest.fixture(scope="session")
def make_whisper(tmp_path_factory):
    """Writes a tiny random encoder of Whisper to a folder.

    Takes what differs from ``TINY_WHISPER``, whose windows last 1.2 s.
    """
    from transformers import WhisperConfig
    from transformers.models.whisper.modeling_whisper import WhisperEncoder

    def make(**options):
        model = WhisperEncoder(WhisperConfig(**{**TINY_WHISPER, **options}))
        _randomize(model)
        folder = tmp_path_factory.mktemp("whisper")
        model.save_pretrained(folder)
        return folder

    return make


@pytest.fixture(scope="session")
def tiny_whisper(make_whisper):
    """Folder of a tiny random encoder of Whisper."""
    return make_whisper()


@pytest.fixture(scope="session")
def tiny_wav2vec2(make_wav2vec2):
    """Folder of a tiny random wav2vec 2.0 with base's kind of norms."""
    return make_wav2vec2()


@pytest.fixture(scope="session")
def tiny_wav2vec(tmp_path_factory):
    """Folder of a tiny random wav2vec 1.0."""
    import torch

    from ser_brain.lobes.wav2vec import Wav2Vec

    folder = tmp_path_factory.mktemp("wav2vec")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        Wav2Vec.from_options(TINY_WAV2VEC).save_pretrained(folder)
    return folder
