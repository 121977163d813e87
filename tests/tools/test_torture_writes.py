"""A short trial of what ``make torture ARGS=writes`` does for long."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))
from torture_writes import may_refuse  # noqa: E402


def test_a_full_disk_at_some_places_that_write(tmp_path):
    reason = may_refuse()
    if reason is not None:
        pytest.skip(reason)
    words = ["--case", "frozen", "--every", "12", "--mode", "stays", "--list"]
    got = subprocess.run(
        [sys.executable, "tools/torture.py", "writes", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert got.returncode == 0, got.stdout + got.stderr
    lines = got.stdout.splitlines()
    assert lines[-2].startswith("frozen: exit codes: stays: 2")
    assert lines[-2].endswith("; 0 broken")
    # Weights are written by torch and safetensors, not by Python.
    for suffix in (".ckpt)", ".safetensors)", ".png)", ".csv)", ".json)"):
        assert any(
            line.startswith("  write ") and line.endswith(suffix)
            for line in lines
        ), suffix
