"""A short trial of what ``make torture ARGS=faults`` does for long."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))
from torture_faults import may_mount  # noqa: E402


@pytest.fixture(scope="module")
def told():
    words = ["faults", "--recipe", "train_vft", "--sizes", "2"]
    got = subprocess.run(
        [sys.executable, "tools/torture.py", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert "== faults" in got.stdout, got.stderr
    return got.stdout


def test_a_full_disk_loses_nothing(told):
    reason = may_mount()
    if reason is not None:
        pytest.skip(reason)
    assert "train_vft, full_disks: as promised" in told


@pytest.mark.parametrize("fault", ["read_only", "vanished", "odd_names"])
def test_other_faults(told, fault):
    assert f"train_vft, {fault}: as promised" in told
