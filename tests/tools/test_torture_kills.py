"""A short trial of what ``make torture ARGS=kills`` does for long."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_killed_recipes_leave_the_bytes_of_those_left_alone(tmp_path):
    words = ["tools/torture.py", "kills", "--kills", "8", "--cold", "0"]
    got = subprocess.run(
        [sys.executable, *words, "--folder", tmp_path / "kills"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert got.returncode == 0, got.stdout + got.stderr
    *_, told, last = got.stdout.splitlines()
    assert last == "no promise was broken"
    found = json.loads(told)
    assert found["kills"] >= 8
    assert found["runs"] >= 1
    assert found["runs that differ"] == 0
