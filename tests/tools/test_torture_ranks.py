"""A short trial of what ``make torture ARGS=ranks`` does for long."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_ranks_train_what_one_process_trains_and_end_together(tmp_path):
    words = ["tools/torture.py", "ranks", "--worlds", "2", "4"]
    got = subprocess.run(
        [sys.executable, *words, "--folder", tmp_path / "ranks"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert got.returncode == 0, got.stdout + got.stderr
    lines = got.stdout.splitlines()
    assert lines[-1] == "no promise was broken"
    (told,) = [line for line in lines if line.startswith("{")]
    largest = json.loads(told)["largest difference"]
    assert largest.keys() == {"V-FT", "frozen", "TAPT", "P1", "P3"}
    assert all(0 < error <= 1e-6 for error in largest.values())
    for fault in ("refuse", "be_killed", "be_asked"):
        assert f"{fault}: all ended" in lines
