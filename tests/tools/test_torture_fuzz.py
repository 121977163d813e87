"""Spoilt files: nothing but documented errors, and no code is run.

The long version is ``make torture ARGS=fuzz``.
"""

import contextlib
import os
import pickle
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import (
    HealthCheck,
    given,
    settings,
    strategies as st,
)

TOOLS = Path(__file__).parents[2] / "tools"
sys.path.insert(0, str(TOOLS))
from fuzz_cases import Cases  # noqa: E402
from fuzz_guard import Escape, Guard  # noqa: E402
from fuzz_models import Bomb  # noqa: E402
from fuzz_targets import all_targets  # noqa: E402
from torture_fuzz import SHARES  # noqa: E402

# Targets that take tens of milliseconds, as they load a model or pandas.
SLOW = {"command line", "weights", "model folder", "classifier.json"}
SLOW |= {"head.safetensors", "metrics.json", "predictions.csv"}
SLOW |= {"hyperparams.yaml"}
# Files that were tracebacks, or worse, when they were found.
FOUND = [
    ("manifest.json", b"[" * 5000),
    ("plan.json", b"[" * 5000),
    ("plan.json", b'{"runs": Infinity}'),
    ("done.json", b"[" * 5000),
    ("config.json", b'"model_type"'),
    ("config.json", b"true"),
    ("config.json", b'{"model_type": []}'),
    ("wav2vec config", b'{"format": "ser_brain-wav2vec-1"}'),
    ("train_log.txt", b"stage: a, epoch: 1, - train loss: 3..0"),
    ("train_log.txt", b"\xe6"),
    ("hyperparams.yaml", b"lr: \xcd"),
    ("conv layers", b"[(4, 10, 5)] * -" + b"9" * 30),
    ("predictions.csv", b"x" * 140_000),
    ("home list", b'{"/etc/passwd": "0"}'),
    ("home list", b'{"../x": "0"}'),
    ("home list", b'{"a": 1}'),
    ("home list", b'{"\\ud800": "0"}'),
    ("home list", b'"abc"'),
    ("home list", b"\xe3"),
    ("home list", b'{"\\u0000": "0"}'),
]


@pytest.fixture(scope="module")
def targets(tmp_path_factory):
    """Every target, and where they may write."""
    folder = tmp_path_factory.mktemp("targets")
    return all_targets(folder), Guard(folder)


def test_every_target_has_a_share(targets):
    assert targets[0].keys() == SHARES.keys()
    assert sum(SHARES.values()) == 1000


@pytest.mark.parametrize("name", SHARES)
def test_seeds_are_read(targets, name):
    found, guard = targets
    for seed in found[name].seeds:
        with guard.watching():
            found[name].read(seed)


@pytest.mark.parametrize("name", SHARES)
def test_spoilt_files(targets, name):
    found, guard = targets

    @settings(
        max_examples=3 if name in SLOW else 30,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.randoms(use_true_random=False))
    def read(random):
        case = Cases(found[name], random).draw()
        with guard.watching():
            found[name].read(case)

    read()


def test_a_nested_header_of_pseudo_labels(targets):
    found, guard = targets
    seed = found["pseudo_labels"].seeds[0]
    deep = b"[" * 5000
    content = seed.replace(b'"[\\"a\\", \\"b\\"]"', b'"' + deep + b'"')
    length = int.from_bytes(seed[:8], "little") + len(content) - len(seed)
    assert deep in content
    with guard.watching():
        found["pseudo_labels"].read(length.to_bytes(8, "little") + content[8:])


@pytest.mark.parametrize("name, content", FOUND)
def test_files_that_a_fuzzer_found(targets, name, content):
    found, guard = targets
    with guard.watching():
        found[name].read(content)


def test_the_bombs_are_real(targets, tmp_path):
    """An unguarded reader runs them, and the guard sees it."""
    found, guard = targets
    ran = 0
    for seed in found["fairseq"].seeds:
        path = tmp_path / "w.pt"
        path.write_bytes(seed)
        with contextlib.suppress(Escape), guard.watching():
            torch.load(path, weights_only=False)
            continue
        ran += 1
    assert ran == 3


def test_the_guard_sees_what_code_would_do(targets, tmp_path):
    guard = targets[1]
    for act in (
        lambda: pickle.loads(pickle.dumps(Bomb())),
        lambda: (tmp_path / "a").write_text("x"),
        lambda: os.remove(tmp_path / "a"),
        lambda: os.mkdir(tmp_path / "b"),
        lambda: os.rename(tmp_path / "a", tmp_path / "b"),
    ):
        with pytest.raises(Escape), guard.watching():
            act()
    with guard.watching():
        (Path(guard.folder) / "a").write_text("x")
