"""The front-end cache: whole, shared, bounded, and never wrong unseen."""

import json
import logging
import os
import threading

import pytest
import torch
from hypothesis import (
    given,
    settings,
    strategies as st,
)

from ser_brain.dataio.front_end import MemoryCache, cache_mode, encoded
from ser_brain.dataio.front_end_file import FrontEndFile
from ser_brain.errors import InputError

DIM = 3


def some_features(lengths):
    """Features of utterances a, b, ... of so many frames."""
    generator = torch.Generator().manual_seed(0)
    return [
        (chr(97 + i), torch.randn(frames, DIM, generator=generator).half())
        for i, frames in enumerate(lengths)
    ]


class Source:
    """Gives features and counts how often it was asked."""

    def __init__(self, lengths=(2, 5, 1)):
        self.features = some_features(lengths)
        self.asked = 0

    def __call__(self):
        self.asked += 1
        yield from self.features


def ensure(file, source, gigabytes=1.0):
    frames = sum(len(one) for _, one in source.features)
    file.ensure(source, frames, len(source.features), gigabytes)


@pytest.mark.parametrize(
    "value, mode",
    [(False, "off"), (None, "off"), ("off", "off"), ("memory", "memory")],
)
def test_modes(value, mode):
    assert cache_mode(value) == mode


@pytest.mark.parametrize("value", [True, "ram", 2])
def test_no_such_mode(value):
    with pytest.raises(InputError, match="off, memory, disk"):
        cache_mode(value)


@given(lengths=st.lists(st.integers(1, 9), min_size=1, max_size=6))
@settings(deadline=None, max_examples=20)
def test_a_file_gives_what_was_written(tmp_path_factory, lengths):
    file = FrontEndFile(tmp_path_factory.mktemp("cache"), "key", DIM)
    source = Source(lengths)
    ensure(file, source)
    ensure(file, source)
    assert source.asked == 1
    cache = file.open()
    for name, features in reversed(source.features):
        assert torch.equal(cache(name, None), features)


def test_what_is_not_in_the_file_is_computed(tmp_path):
    file = FrontEndFile(tmp_path, "key", DIM)
    ensure(file, Source())
    assert file.open()("new", lambda: "computed") == "computed"


def truncate(file):
    os.truncate(file.path, file.path.stat().st_size - 2)


def flip(file):
    content = bytearray(file.path.read_bytes())
    content[7] ^= 1
    file.path.write_bytes(content)


def lose(file):
    file.path.unlink()


def garble(file):
    file.index_path.write_text("{")


def empty(file):
    file.index_path.write_text("{}")


@pytest.mark.parametrize("damage", [truncate, flip, lose, garble, empty])
def test_a_damaged_file_is_computed_again(tmp_path, caplog, damage):
    file = FrontEndFile(tmp_path, "key", DIM)
    source = Source()
    ensure(file, source)
    damage(file)
    with caplog.at_level(logging.WARNING):
        ensure(file, source)
    assert "is damaged" in caplog.text
    assert source.asked == 2
    name, features = source.features[1]
    assert torch.equal(file.open()(name, None), features)


def test_a_killed_build_leaves_nothing_that_looks_whole(tmp_path):
    class Interrupted(Source):
        def __call__(self):
            yield self.features[0]
            raise KeyboardInterrupt

    file = FrontEndFile(tmp_path, "key", DIM)
    with pytest.raises(KeyboardInterrupt):
        ensure(file, Interrupted())
    # What kill -9 leaves besides.
    (tmp_path / ".key.123.f16").write_bytes(b"half")
    file.path.write_bytes(b"frames without an index")
    source = Source()
    ensure(file, source)
    assert source.asked == 1
    names = {path.name for path in tmp_path.iterdir()}
    assert names - {"key.lock"} == {"key.f16", "key.json"}


def test_of_many_one_computes(tmp_path):
    source = Source([40] * 20)
    # Each has a lock of its own on the same path, as processes have.
    files = [FrontEndFile(tmp_path, "key", DIM) for _ in range(6)]
    threads = [
        threading.Thread(target=ensure, args=(file, source)) for file in files
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert source.asked == 1
    assert torch.equal(files[3].open()("t", None), source.features[19][1])


def test_the_size_is_announced(tmp_path, caplog):
    with caplog.at_level(logging.INFO):
        ensure(FrontEndFile(tmp_path, "key", DIM), Source([10**5]))
    assert "0.6 MB of features of 1 utterances" in caplog.text


def test_a_file_over_the_limit_is_refused(tmp_path):
    source = Source()
    file = FrontEndFile(tmp_path, "key", DIM)
    with pytest.raises(InputError, match="over the --front_end_cache_gb"):
        ensure(file, source, gigabytes=1e-8)
    assert source.asked == 0
    assert not file.path.exists()


def test_the_cache_used_longest_ago_makes_room(tmp_path):
    size = 2 * DIM * 10
    files = [FrontEndFile(tmp_path, name, DIM) for name in "abc"]
    for age, file in enumerate(files[:2]):
        ensure(file, Source([10]))
        os.utime(file.index_path, (1000 + age, 1000 + age))
    ensure(files[0], Source([10]))
    opened = files[1].open()

    ensure(files[2], Source([10]), gigabytes=2.5 * size / 1e9)

    assert [file.path.exists() for file in files] == [True, False, True]
    assert [file.index_path.exists() for file in files] == [True, False, True]
    expected = Source([10]).features[0][1]
    assert torch.equal(opened("a", None), expected)


def test_index_is_written_last(tmp_path):
    file = FrontEndFile(tmp_path, "key", DIM)
    seen = []

    class Watching(Source):
        def __call__(self):
            for one in self.features:
                seen.append(file.path.exists() or file.index_path.exists())
                yield one

    ensure(file, Watching())
    assert not any(seen)
    assert json.loads(file.index_path.read_text())["frames"] == {
        "a": 2,
        "b": 5,
        "c": 1,
    }


def test_memory_keeps_up_to_its_limit():
    cache = MemoryCache(gigabytes=2 * DIM * 7 / 1e9)
    for name, features in some_features([5, 4, 2]):
        assert cache(name, lambda one=features: one) is features
    assert set(cache.kept) == {"a", "c"}


def test_features_that_overflow_are_refused(tiny_wav2vec2):
    from ser_brain.lobes.wav2vec2 import Wav2Vec2

    encoder = Wav2Vec2(tiny_wav2vec2)
    with torch.no_grad():
        encoder.model.feature_projection.layer_norm.weight.fill_(1e6)
    with pytest.raises(InputError, match="--front_end_cache off"):
        encoded(encoder, torch.randn(4000), "cpu")
