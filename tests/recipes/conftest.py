"""Fixtures of the tests that run whole recipes."""

from types import SimpleNamespace

import pytest
from recipe_runs import (
    command_line,
    pick_clips,
    run_script,
    script,
    write_table,
)


@pytest.fixture(scope="session")
def models(make_wav2vec2, tiny_wav2vec):
    """Tiny models with random weights; layers drop often."""
    return SimpleNamespace(w2=make_wav2vec2(layerdrop=0.3), w1=tiny_wav2vec)


@pytest.fixture(scope="session")
def clips(tmp_path_factory):
    """A table of 24 clips of the mini corpus: 3 speakers, 4 emotions."""
    path = tmp_path_factory.mktemp("table") / "few.csv"
    write_table(path, pick_clips())
    return path


@pytest.fixture
def environment(tmp_path_factory, monkeypatch):
    """No corpus is configured, and nothing is kept in the user's home."""
    cache = tmp_path_factory.getbasetemp() / "cache"
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.delenv("IEMOCAP_ROOT", raising=False)
    monkeypatch.delenv("SAVEE_ROOT", raising=False)


@pytest.fixture
def run(environment, models, clips, tmp_path):
    """``run(corpus, recipe, **settings)`` on the table, in this process.

    ``manifest=None`` takes the embedded corpus instead.
    """

    def run(corpus, recipe, more=(), **settings):
        settings = {"results": tmp_path / "results", **settings}
        settings = {"manifest": clips, "fold": "03", **settings}
        if settings["manifest"] is None:
            del settings["manifest"]
        argv = command_line(recipe, models, **settings)
        return run_script(script(corpus, recipe), [*argv, *more])

    return run
