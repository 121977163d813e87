"""The growth benchmark at a size that takes seconds."""

import mmap
import multiprocessing
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
import soundfile

ROOT = Path(__file__).resolve().parents[2]
# As Python has it for a script there.
sys.path.insert(0, str(ROOT / "benchmarks"))

import growth  # noqa: E402

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/status").is_file(), reason="memory is read from /proc"
)

LOG = """\
2026-01-31 23:59:58,500 - speechbrain.utils.epoch_loop - INFO - Going into \
epoch 1
2026-01-31 23:59:59,000 - speechbrain.utils.train_logger - INFO - stage: \
classifier, epoch: 1, lr: 1.0000e-03 - train loss: 1.94
2026-01-31 23:59:59,250 - speechbrain.utils.epoch_loop - INFO - Going into \
epoch 2
2026-02-01 00:00:01,000 - speechbrain.utils.train_logger - INFO - stage: \
classifier, epoch: 2, lr: 1.0000e-03 - train loss: 1.75
"""


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Half a second of noise each: 2 speakers, 2 emotions, 4 clips of each."""
    root = tmp_path_factory.mktemp("corpus")
    draw = np.random.default_rng(0)
    for speaker in ("DC", "KL"):
        (root / speaker).mkdir()
        for emotion in ("a", "sa"):
            for number in range(1, 5):
                path = root / speaker / f"{emotion}{number:02d}.wav"
                soundfile.write(path, 0.1 * draw.standard_normal(8000), 16000)
    return root


@pytest.fixture
def clips(corpus, tmp_path):
    return growth.copy_clips(corpus, tmp_path)


@pytest.mark.parametrize("power", [0, 0.5, 1, 2])
def test_the_exponent_of_a_power(power):
    xs = [0.1, 0.3, 1, 3, 10]
    assert growth.exponent(xs, [7 * x**power for x in xs]) == power


def test_a_fixed_cost_lowers_the_exponent():
    """By hand: (1, 2), (10, 11), slope log10(11 / 2) in one decade."""
    assert growth.exponent([1, 10], [2, 11]) == 0.74


def test_a_figure_of_zero_has_no_exponent():
    points = [{"k": 1, "own_mb": 0.0}, {"k": 2, "own_mb": 1.0}]
    found = growth.curve("k", points, ["own_mb"])
    assert found["exponents"] == {"own_mb": None}


def test_one_point_has_no_exponent():
    assert growth.curve("k", [{"k": 1, "s": 2.0}], ["s"])["exponents"] == {}


def test_epochs_are_read_from_the_log():
    assert growth.epoch_seconds(LOG, 1) == 0.5
    assert growth.epoch_seconds(LOG, 2) == 1.75
    told = datetime.fromtimestamp(growth.moment(LOG, "epoch: 2, "))
    assert (told.month, told.second) == (2, 1)


def test_a_log_without_the_epoch_is_an_error():
    with pytest.raises(SystemExit, match="Going into epoch 3"):
        growth.epoch_seconds(LOG, 3)


def test_memory_tells_own_pages_from_those_of_a_mapped_file(tmp_path):
    file = tmp_path / "mapped"
    file.write_bytes(bytes(1 << 26))
    program = (
        "import mmap, sys, time;"
        "file = open(sys.argv[1], 'rb');"
        "pages = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ);"
        f"read = sum(pages[::{mmap.PAGESIZE}]);"
        "own = bytearray(b'x') * (1 << 25);"
        "time.sleep(0.3)"
    )
    process = subprocess.Popen([sys.executable, "-c", program, file])
    found = growth.peaks(process.pid, lambda: process.poll() is None)
    assert process.returncode == 0
    assert found["peak_mb"] >= 64 + 32
    assert 32 <= found["own_mb"] < 64


def test_clips_are_divided_by_speaker_and_emotions_take_turns(clips):
    train, test = growth.divided(clips)
    assert test.speaker == "KL" and {c.speaker for c in train} == {"DC"}
    assert len(train) == 8
    for first, second in zip(train[::2], train[1::2]):
        assert {first.emotion, second.emotion} == {"anger", "sadness"}


def test_hours_are_made_by_repetition(clips, tmp_path):
    train, test = growth.divided(clips)
    count = growth.count_of(10 / 3600, train)
    assert count == 20
    table = growth.write_table(tmp_path / "new", train, test, count)
    lines = table.read_text().splitlines()[1:]
    names = [line.split(",")[0] for line in lines]
    assert len(names) == len(set(names)) == 21
    assert lines[0].endswith("KL,test")
    assert (table.parent / names[1]).samefile(table.parent / names[9])


def test_one_point_of_the_hours(clips, tmp_path):
    found = growth.hours_point(0.002, clips, tmp_path, threads=1, batch=4)
    assert found["hours"] == 0.002 and found["clips"] == 15
    assert found["build_seconds"] > 0 and found["epoch_seconds"] > 0
    assert found["process_seconds"] > found["epoch_seconds"]
    assert found["peak_mb"] > found["own_mb"] > 0
    # 16 clips of 24 frames, 128 features of two bytes.
    assert found["cache_mb"] == round(16 * 24 * 128 * 2 / 2**20, 1)


def test_made_up_frames_lie_close_to_few_directions(tmp_path):
    path = tmp_path / "frames.npy"
    growth.write_frames(path, 2000)
    frames = np.load(path)
    assert frames.shape == (2000, growth.DIM) and frames.dtype == np.float32
    spread = np.linalg.svd(frames - frames.mean(0), compute_uv=False) ** 2
    share = spread[: growth.RANK].sum() / spread.sum()
    assert 0.985 < share < 0.995


def test_k_means_is_timed_by_iteration(tmp_path):
    path = tmp_path / "frames.npy"
    growth.write_frames(path, 600)
    ours, theirs = multiprocessing.Pipe(duplex=False)
    growth.cluster(theirs, path, 500, (2, 8), iterations=3, threads=1)
    seconds, before = ours.recv()
    assert len(seconds) == 3 and min(seconds) > 0
    assert before > 0


def test_one_point_of_k_means(tmp_path):
    path = tmp_path / "frames.npy"
    growth.write_frames(path, 600)
    found = growth.kmeans_point(path, 500, (2, 8), iterations=2, threads=1)
    assert len(found["iterations"]) == 2
    mean = sum(found["iterations"]) / 2
    assert found["iteration_seconds"] == pytest.approx(mean, abs=1e-4)
    # Beyond what it was at the start: not torch itself.
    assert found["own_mb"] < found["peak_mb"] / 2
