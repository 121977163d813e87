"""Pictures of small results, made by hand."""

import json
import struct
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# As Python has it for a script there.
sys.path.insert(0, str(ROOT / "benchmarks"))

import pictures  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402

SPEED = {"median": 4.0, "low": 3.5, "high": 4.25}
RESULTS = {
    "growth": {
        "curves": {
            "hours": {
                "against": "hours",
                "points": [
                    {
                        "hours": hours,
                        "build_seconds": 10 * hours,
                        "epoch_seconds": 1 + 20 * hours,
                        "peak_mb": 900.0,
                        "own_mb": 600.0,
                    }
                    for hours in (0.1, 1, 10)
                ],
                "exponents": {"build_seconds": 1.0, "epoch_seconds": 0.9},
            },
            "frames": {
                "against": "frames",
                "points": [
                    {
                        "frames": 1000,
                        "iteration_seconds": 0.5,
                        "peak_mb": 900.0,
                        "own_mb": 100.0,
                    }
                ],
                "exponents": {},
            },
        }
    },
    "steps": {
        "steps": [
            {
                "task": "V-FT",
                "batch": 16,
                "contender": "ours bf16",
                "audio_per_second": SPEED,
                "peak_memory_gb": 2.0,
            },
            {
                "task": "V-FT",
                "batch": 64,
                "contender": "plain fp32",
                "exit_code": -9,
            },
        ]
    },
    "kmeans": {
        "frames": 500,
        "iterations": 2,
        "clusters": [64, 512],
        "runs": {
            "ours": [{"seconds": 1.0}, {"seconds": 3.0}],
            "faiss": [{"seconds": 2.5}],
        },
    },
}


@pytest.fixture
def results(tmp_path):
    """A folder with all three files."""
    folder = tmp_path / "results"
    folder.mkdir()
    for name, report in RESULTS.items():
        (folder / f"{name}.json").write_text(json.dumps(report))
    return folder


def width(path):
    """Pixels, from the head of a PNG."""
    head = path.read_bytes()[:24]
    assert head.startswith(b"\x89PNG")
    return struct.unpack(">I", head[16:20])[0]


@pytest.mark.filterwarnings("error::UserWarning")
def test_all_pictures_are_drawn(results, tmp_path):
    """Nor does matplotlib warn that there is no room for them."""
    drawn, missing = pictures.draw_all(results, tmp_path)
    assert [path.name for path in drawn] == [
        "performance_growth.png",
        "performance_steps.png",
        "performance_kmeans.png",
    ]
    assert missing == []
    assert {width(path) for path in drawn} == {1400}


def test_what_is_not_there_is_told_and_the_rest_drawn(results, tmp_path):
    (results / "steps.json").unlink()
    drawn, missing = pictures.draw_all(results, tmp_path)
    assert len(drawn) == 2
    assert missing == [results / "steps.json"]
    assert not (tmp_path / "performance_steps.png").exists()


def test_the_pictures_in_words():
    growth = pictures.growth_picture(RESULTS["growth"])
    assert growth.alternative == (
        "front-end cache, exponent 1.0 against hours of audio; "
        "epoch, exponent 0.9 against hours of audio"
    )
    steps = pictures.steps_picture(RESULTS["steps"])
    assert steps.alternative == (
        "V-FT batch 16, ours bf16: 4; V-FT batch 64, plain fp32: "
        "ended with exit code -9"
    )
    kmeans = pictures.kmeans_picture(RESULTS["kmeans"])
    assert kmeans.alternative == (
        "500 frames 2 iterations, ours: 2; 500 frames 2 iterations, faiss: 2.5"
    )


def test_a_bar_is_the_median_and_its_whisker_the_spread():
    axes = Figure().add_subplot()
    groups = {"one": [("a", (4.0, 3.5, 4.25))], "two": [("a", "ended")]}
    pictures.draw_bars(axes, groups, {"a": "red"})
    assert [bar.get_width() for bar in axes.patches][0] == 4.0
    (whisker,) = axes.collections
    (ends,) = whisker.get_segments()
    assert ends[:, 0].tolist() == [3.5, 4.25]
    said = [text.get_text().strip() for text in axes.texts]
    assert said == ["4", "ended"]
