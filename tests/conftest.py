"""Fixtures that every room's tests share."""

import sys
from pathlib import Path

import pytest
from tiny_models import (
    TINY_DATA2VEC,
    TINY_WAV2VEC2,
    TINY_WHISPER,
    randomize,
    write_wav2vec,
    write_wav2vec2,
)

SHARED = Path(__file__).resolve().parents[2] / "shared" / "corpora"
# What playwright needs to start the machine's own browser in a container.
CHROMIUM = "/usr/bin/chromium"
CHROMIUM_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


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


@pytest.fixture(scope="session")
def make_wav2vec2(tmp_path_factory):
    """Writes a tiny random wav2vec 2.0, quantizer included, to a folder.

    Takes what differs from a base-like configuration.
    """

    def make(**options):
        return write_wav2vec2(tmp_path_factory.mktemp("wav2vec2"), **options)

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
        is_data2vec = kind in ("data2vec-audio", "emotion2vec")
        tiny = TINY_DATA2VEC if is_data2vec else TINY_WAV2VEC2
        if kind == "wavlm":
            # Distances of several frames share a bucket, as at full size.
            tiny = {**tiny, "num_buckets": 16, "max_bucket_distance": 20}
        config = AutoConfig.for_model(kind, **{**tiny, **options})
        model = AutoModel.from_config(config)
        randomize(model)
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
        randomize(model)
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
    return write_wav2vec(tmp_path_factory.mktemp("wav2vec"))


@pytest.fixture(scope="session")
def browser():
    """Headless Chromium, one per process: playwright allows no second."""
    api = pytest.importorskip("playwright.sync_api")
    try:
        open(CHROMIUM).close()
    except OSError:
        pytest.skip(f"there is no {CHROMIUM}")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=CHROMIUM_ARGUMENTS
        )
        yield browser
        browser.close()
