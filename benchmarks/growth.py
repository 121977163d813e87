"""Time and memory against hours of audio, clips per batch, k and frames.

    python benchmarks/growth.py --data_folder /path/to/SAVEE

There are four curves; each point is a separate process:

- hours: the recipe of V-FT at nano scale on a table of this many hours (the
  corpus's clips repeated), front-end cache on disk: seconds to fill the cache
  and of one epoch;
- batch: the same recipe with this many clips per batch: seconds per update in
  the second epoch;
- clusters, frames: k-means over made-up emotion states in a memory-mapped
  file: seconds of one of Lloyd's iterations.

There are two figures of memory: `peak_mb`, all memory of the process,
including pages of mapped files, which the system can reclaim; and `own_mb`,
what it cannot reclaim (for k-means: less the memory before the first frame).
The exponent of a curve is the slope of its straight line on logarithmic
scales: 1 grows in proportion, 0 does not grow. The clips are copied at 16 kHz
first, as IEMOCAP has them. Needs Linux (/proc).

Writes benchmarks/results/growth.json; pictures.py draws it.
"""

import argparse
import csv
import multiprocessing
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate, cycle, islice
from pathlib import Path

import numpy as np
import soundfile
import torch
from common import CACHE, ROOT, memory, write_report
from tqdm import tqdm

from ser_brain.clustering.kmeans import check_numbers, lloyd
from ser_brain.clustering.starts import distinct_frames
from ser_brain.corpora import read_corpus
from ser_brain.corpora.mini import is_mini
from ser_brain.dataio.audio import SAMPLE_RATE, read_audio

HOURS = (0.1, 0.3, 1, 3, 10)
BATCHES = (1, 4, 16, 64, 256)
HOURS_BATCH = 16  # as scale/nano.yaml has it
CLUSTERS = (64, 256, 1024, 4096)
CLUSTERED_FRAMES = 50_000
FRAMES = (10_000, 30_000, 100_000, 300_000)
TOGETHER = (64, 512)  # the k that share a pass, as in P2
DIM = 512
RANK = 32
PAUSE = 0.02  # seconds between two looks at a process's memory


# ------------------------------------------------------------------ memory
def peaks(pid, alive):
    """Waits for a process to end; the peaks of its memory in MB."""
    highest = Counter()
    while alive():
        # Counter's union: the larger of each.
        highest |= Counter(memory(pid))
        time.sleep(PAUSE)
    return {name: round(highest[name], 1) for name in ("peak_mb", "own_mb")}


# ------------------------------------------------------------------- clips
@dataclass(frozen=True)
class Copy:
    """A clip at 16 kHz."""

    path: Path
    emotion: str
    speaker: str
    seconds: float


def copy_clips(data_folder, folder):
    """Copies of all clips of SAVEE, in any of its layouts."""
    copies = []
    reading = read_corpus("SAVEE", data_folder)
    for clip in tqdm(reading.clips, desc="copies", dynamic_ncols=True):
        wav = read_audio(Path(data_folder, clip.wav))
        path = Path(folder, f"{clip.id}.wav")
        soundfile.write(path, wav.numpy(), SAMPLE_RATE)
        seconds = len(wav) / SAMPLE_RATE
        copies.append(Copy(path, clip.emotion, clip.speaker, seconds))
    return copies


def divided(clips):
    """The clips to train on, emotions in turn; one of the last speaker."""
    tested = max(clip.speaker for clip in clips)
    others = [clip for clip in clips if clip.speaker != tested]
    random.Random(0).shuffle(others)
    seen = Counter()
    turns = []
    for clip in others:
        turns.append((seen[clip.emotion], clip))
        seen[clip.emotion] += 1
    turns.sort(key=lambda turn: turn[0])
    test = next(clip for clip in clips if clip.speaker == tested)
    return [clip for _, clip in turns], test


def count_of(hours, train):
    """How many of the clips, taken again and again, last so long."""
    ends = accumulate(clip.seconds for clip in cycle(train))
    return 1 + next(n for n, end in enumerate(ends) if end >= 3600 * hours)


def write_table(folder, train, test, count):
    """A table of `count` clips to train on, and one to test.

    A table names no file twice, so each line has a hard link of its own.
    """
    folder.mkdir()
    path = folder / "clips.csv"
    trained = islice(cycle(train), count)
    rows = [("test", test), *(("train", clip) for clip in trained)]
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(("path", "emotion", "speaker", "fold"))
        for number, (fold, clip) in enumerate(rows):
            name = f"{number:06d}.wav"
            os.link(clip.path, folder / name)
            writer.writerow((name, clip.emotion, clip.speaker, fold))
    return path


# -------------------------------------------------------------- the recipe
def train_vft(table, threads, **settings):
    """Runs the recipe over a table; its log, its peaks, its seconds."""
    settings = {
        "scale": "nano",
        "manifest": table,
        "fold": "test",
        "results": table.parent,
        "front_end_cache": "disk",
        # Kept audio would grow until the two hours of nano scale are full.
        "audio_cache_hours": 0,
        "threads": threads,
        **settings,
    }
    recipe = ROOT / "recipes" / "SAVEE" / "train_vft.py"
    command = [sys.executable, str(recipe), "hparams/vft.yaml"]
    for key, value in settings.items():
        command += [f"--{key}", str(value)]
    said = table.with_name("process.log")
    begun = time.perf_counter()
    with said.open("w") as stream:
        process = subprocess.Popen(
            command, cwd=ROOT, stdout=stream, stderr=subprocess.STDOUT
        )
        highest = peaks(process.pid, lambda: process.poll() is None)
    if process.returncode:
        end = said.read_text(errors="replace").splitlines()[-1:]
        raise SystemExit(f"{recipe.name} ended with an error: {end}")
    highest["process_seconds"] = round(time.perf_counter() - begun, 2)
    (log,) = table.parent.rglob("log.txt")
    return log.read_text(encoding="utf-8"), highest


def moment(log, said):
    """When a run's log.txt first says something: seconds since 1970."""
    for line in log.splitlines():
        if said in line:
            told = datetime.strptime(line[:23], "%Y-%m-%d %H:%M:%S,%f")
            return told.timestamp()
    raise SystemExit(f"the recipe's log.txt does not say {said!r}")


def epoch_seconds(log, epoch):
    """From the begin of an epoch to its last update."""
    begun = moment(log, f"Going into epoch {epoch}")
    return round(moment(log, f"epoch: {epoch}, ") - begun, 3)


def hours_point(hours, clips, scratch, threads, batch=HOURS_BATCH):
    """The cache's build and one epoch over so many hours."""
    train, test = divided(clips)
    count = count_of(hours, train)
    table = write_table(Path(scratch, f"hours_{hours}"), train, test, count)
    log, found = train_vft(table, threads, epochs=1, batch_size=batch)
    # Written last, when all features are in the file beside it.
    (index,) = (table.parent / "clips" / "front_end").glob("*.json")
    built = index.stat().st_mtime - moment(log, "utterances are computed once")
    (features,) = index.parent.glob("*.f16")
    return {
        "hours": hours,
        "clips": count,
        "build_seconds": round(built, 3),
        "epoch_seconds": epoch_seconds(log, 1),
        **found,
        "cache_mb": round(features.stat().st_size / 2**20, 1),
    }


def batch_point(batch, clips, scratch, threads):
    """An update with so many clips: the mean over the second epoch."""
    train, test = divided(clips)
    count = max(32, batch)
    table = write_table(Path(scratch, f"batch_{batch}"), train, test, count)
    log, found = train_vft(table, threads, epochs=2, batch_size=batch)
    seconds = epoch_seconds(log, 2) / (count // batch)
    return {"batch": batch, "update_seconds": round(seconds, 4), **found}


# ----------------------------------------------------------------- k-means
def write_frames(path, count, seed=0):
    """Made-up emotion states: a mixture of 1000 normal distributions.

    As those of the encoder they have 99 % of their variance in few
    directions.
    """
    draw = np.random.default_rng(seed)
    axes = np.linalg.qr(draw.standard_normal((DIM, RANK)))[0].T.astype("f4")
    centres = draw.standard_normal((1000, RANK), "f4")
    frames = np.lib.format.open_memmap(path, "w+", "<f4", (count, DIM))
    for begin in range(0, count, 10_000):
        block = frames[begin : begin + 10_000]
        points = centres[draw.integers(1000, size=len(block))]
        points += 0.5 * draw.standard_normal(points.shape, "f4")
        block[:] = points @ axes
        block += 0.03 * draw.standard_normal(block.shape, "f4")
    frames.flush()


def cluster(pipe, path, count, clusters, iterations, threads):
    """What KMeansEnsemble.fit does, with a clock at each iteration."""
    torch.set_num_threads(threads)
    frames = np.load(path, mmap_mode="r")[:count]
    # What is loaded at the first use is not the growth that is measured.
    lloyd(frames[:500], [torch.from_numpy(frames[:1].copy())], 1)
    before = memory(os.getpid())["own_mb"]
    check_numbers(frames)
    starts = [distinct_frames(frames, k, seed=0) for k in clusters]
    ends = [time.perf_counter()]
    lloyd(
        frames,
        starts,
        iterations,
        after=lambda done, centres: ends.append(time.perf_counter()),
    )
    pipe.send((np.diff(ends).tolist(), before))


def kmeans_point(path, count, clusters, iterations, threads):
    """Seconds of an iteration and peak memory, in a process of its own."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    work = (theirs, path, count, clusters, iterations, threads)
    process = context.Process(target=cluster, args=work)
    process.start()
    theirs.close()
    highest = peaks(process.pid, process.is_alive)
    if process.exitcode:
        raise SystemExit(f"k-means at {clusters} ended with an error")
    seconds, before = ours.recv()
    highest["own_mb"] = round(highest["own_mb"] - before, 1)
    return {
        "iteration_seconds": round(sum(seconds) / len(seconds), 4),
        "iterations": [round(each, 4) for each in seconds],
        **highest,
    }


# ------------------------------------------------------------------ curves
def exponent(xs, ys):
    """Slope of the straight line through the logarithms, least squares.

    None where a figure is too small to be told from zero.

    Example
    -------
    >>> exponent([1, 2, 4], [3, 12, 48])
    2.0
    """
    if min(ys) <= 0:
        return None
    slope, _ = np.polyfit(np.log(xs), np.log(ys), 1)
    return round(float(slope), 3)


def curve(against, points, figures):
    """Points of a curve, and the exponent of each of its figures."""
    exponents = {}
    xs = [point[against] for point in points]
    if len(points) > 1:
        for name in figures:
            exponents[name] = exponent(xs, [point[name] for point in points])
    return {"against": against, "points": points, "exponents": exponents}


def measured(against, values, figures, measure):
    """A curve, point after point, each told when it is there."""
    points = []
    for value in tqdm(values, desc=against, dynamic_ncols=True):
        point = {against: value, **measure(value)}
        # Of the last minute: above `threads` where others were at work.
        point["load"] = round(os.getloadavg()[0], 2)
        points.append(point)
        tqdm.write(str(point))
    return curve(against, points, [*figures, "peak_mb", "own_mb"])


def recipe_curves(arguments, scratch):
    """Against hours and clips a batch."""
    copies = Path(scratch, "copies")
    copies.mkdir()
    clips = copy_clips(arguments.data_folder, copies)
    yield "hours", measured(
        "hours", arguments.hours, ("build_seconds", "epoch_seconds"),
        lambda hours: hours_point(hours, clips, scratch, arguments.threads),
    )  # fmt: skip
    yield "batch", measured(
        "batch", arguments.batches, ("update_seconds",),
        lambda batch: batch_point(batch, clips, scratch, arguments.threads),
    )  # fmt: skip


def kmeans_curves(arguments, scratch):
    """Against k and the number of frames."""
    path = Path(scratch, "frames.npy")
    clustered = arguments.clustered_frames
    write_frames(path, max([*arguments.frames, clustered]))

    def point(count, clusters):
        return kmeans_point(
            path, count, clusters, arguments.iterations, arguments.threads
        )

    yield "clusters", measured(
        "k", arguments.clusters, ("iteration_seconds",),
        lambda k: point(clustered, (k,)),
    )  # fmt: skip
    yield "frames", measured(
        "frames", arguments.frames, ("iteration_seconds",),
        lambda count: point(count, TOGETHER),
    )  # fmt: skip


def read_arguments(argv=None):
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--data_folder", required=True, help="of SAVEE")
    add("--hours", type=float, nargs="+", default=HOURS)
    add("--batches", type=int, nargs="+", default=BATCHES)
    add("--clusters", type=int, nargs="+", default=CLUSTERS)
    add("--clustered_frames", type=int, default=CLUSTERED_FRAMES)
    add("--frames", type=int, nargs="+", default=FRAMES)
    add("--iterations", type=int, default=3, help="of k-means")
    add("--threads", type=int, default=2)
    return parser.parse_args(argv)


def main():
    """Measures all curves and writes them."""
    arguments = read_arguments()
    CACHE.mkdir(parents=True, exist_ok=True)
    begun = time.perf_counter()
    with tempfile.TemporaryDirectory(dir=CACHE) as scratch:
        curves = dict(recipe_curves(arguments, scratch))
        curves.update(kmeans_curves(arguments, scratch))
    corpus = "mini" if is_mini(arguments.data_folder) else "SAVEE"
    report = {
        "settings": {**vars(arguments), "data_folder": corpus},
        "curves": curves,
        "seconds": round(time.perf_counter() - begun),
    }
    print(write_report("growth", report))


if __name__ == "__main__":
    main()
