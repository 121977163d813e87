"""k-means with 64, 512 and 4096 clusters: ours, scikit-learn's, faiss's.

    python benchmarks/kmeans.py --data_folder /path/to/clips --frames 200000

Frames are emotion states of the full-size encoder (512 features) over real
speech: every FLAC or WAV file below the folder, in a seeded order, and where
they do not suffice, the same ones 10 % slower and 10 % faster. The encoder's
weights are random (the published ones are not needed to measure time), which
makes frames that are harder to tell apart than a trained encoder's. They are
kept in --cache for the next time.

Each contender runs in a process of its own, one after the other, --repeats
times, with --threads threads: Lloyd's iterations from the same random frames
for ours and scikit-learn's KMeans. Writes benchmarks/results/kmeans.json.
"""

import argparse
import itertools
import json
import multiprocessing
import os
import statistics
import sys
import time
import warnings
from pathlib import Path

import numpy as np
from common import CACHE, memory, write_report

DIM = 512


def speech(folder, seed=0):
    """Clips at 16 kHz, (1, samples), in a seeded order, at three speeds."""
    from ser_brain.dataio.audio import played, read_audio

    kinds = {".flac", ".wav"}
    paths = sorted(p for p in Path(folder).rglob("*") if p.suffix in kinds)
    np.random.default_rng(seed).shuffle(paths)
    for speed, path in itertools.product((1.0, 0.9, 1.1), paths):
        yield played(read_audio(path), speed)[None]


def make_frames(folder, count):
    """Emotion states of a full-size encoder with random weights."""
    import torch
    from full_size import WAV2VEC_LARGE
    from tqdm import tqdm

    from ser_brain.lobes.wav2vec import EmotionStateEncoder, Wav2Vec

    torch.manual_seed(0)
    encoder = EmotionStateEncoder(Wav2Vec.from_options(WAV2VEC_LARGE)).eval()
    parts, found = [], 0
    with torch.no_grad(), tqdm(total=count, unit="frames") as progress:
        for wav in speech(folder):
            states = encoder(wav)[0].numpy()
            parts.append(states)
            found += len(states)
            progress.update(len(states))
            if found >= count:
                return np.concatenate(parts)[:count]
    raise SystemExit(
        f"{folder} holds {found} frames of speech: give --frames {found}"
    )


def frames_file(arguments):
    """The frames as a file, so that each contender reads the same ones."""
    path = Path(arguments.cache) / f"kmeans_{arguments.frames}.npy"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, make_frames(arguments.data_folder, arguments.frames))
    return path


def ours(path, arguments):
    """The torch backend over the memory-mapped file."""
    from ser_brain.clustering import KMeansEnsemble

    ensemble = KMeansEnsemble(
        arguments.clusters, "torch", arguments.seed, arguments.iterations
    )
    ensemble.fit(np.load(path, mmap_mode="r"))
    return [centres.numpy() for centres in ensemble.centres]


def scikit_learn(path, arguments):
    """scikit-learn's KMeans from the same random frames."""
    from ser_brain.clustering import KMeansEnsemble

    ensemble = KMeansEnsemble(
        arguments.clusters, "sklearn", arguments.seed, arguments.iterations
    )
    ensemble.fit(np.load(path))
    return [centres.numpy() for centres in ensemble.centres]


def mini_batch(path, arguments):
    """scikit-learn's MiniBatchKMeans, as many passes over the frames."""
    from sklearn.cluster import MiniBatchKMeans

    frames = np.load(path)
    return [
        MiniBatchKMeans(
            k,
            init="random",
            n_init=1,
            batch_size=max(8192, 2 * k),
            max_iter=arguments.iterations,
            max_no_improvement=None,
            reassignment_ratio=0,
            random_state=arguments.seed,
        )
        .fit(frames)
        .cluster_centers_
        for k in arguments.clusters
    ]


def faiss(path, arguments):
    """faiss' k-means on all frames, from random ones."""
    import faiss

    faiss.omp_set_num_threads(arguments.threads)
    frames = np.load(path)
    found = []
    for k in arguments.clusters:
        kmeans = faiss.Kmeans(
            frames.shape[1],
            k,
            niter=arguments.iterations,
            seed=arguments.seed,
            max_points_per_centroid=len(frames),
        )
        kmeans.train(frames)
        found.append(kmeans.centroids)
    return found


CONTENDERS = {
    "ours": ours,
    "scikit-learn KMeans": scikit_learn,
    "scikit-learn MiniBatchKMeans": mini_batch,
    "faiss": faiss,
}


def inertia(frames, centres):
    """Mean squared distance to the nearest centre, in float64."""
    total = 0.0
    squares = np.square(centres.astype("f8")).sum(axis=1)
    for begin in range(0, len(frames), 2048):
        some = frames[begin : begin + 2048].astype("f8")
        nearest = (squares - 2 * some @ centres.T.astype("f8")).min(axis=1)
        total += (np.square(some).sum(axis=1) + nearest).sum()
    return total / len(frames)


def work(name, path, arguments, pipe):
    """One run of a contender, in a process of its own."""
    warnings.filterwarnings("ignore")
    import torch

    torch.set_num_threads(arguments.threads)
    wall, cpu = time.perf_counter(), time.process_time()
    try:
        centres = CONTENDERS[name](path, arguments)
    except ModuleNotFoundError as error:
        pipe.send((None, f"{error.name} is not installed"))
        return
    seconds = time.perf_counter() - wall
    record = {
        "seconds": round(seconds, 2),
        "cpu_seconds": round(time.process_time() - cpu, 2),
        "peak_mb": int(memory(os.getpid())["peak_mb"]),
    }
    pipe.send((record, centres))


def run(name, path, arguments):
    """A contender's record and centres, or why there are none."""
    context = multiprocessing.get_context("spawn")
    ours_end, theirs = context.Pipe(duplex=False)
    process = context.Process(target=work, args=(name, path, arguments, theirs))
    process.start()
    theirs.close()
    answer = ours_end.recv()
    process.join()
    return answer


def measure(path, arguments):
    """All contenders in turns, `repeats` times."""
    frames = np.load(path, mmap_mode="r")
    runs, missing = {}, {}
    for turn in range(arguments.repeats):
        for name in arguments.contenders:
            record, answer = run(name, path, arguments)
            if record is None:
                missing[name] = answer
                continue
            if turn == 0:
                record["inertia"] = {
                    k: float(round(inertia(frames, centres), 4))
                    for k, centres in zip(arguments.clusters, answer)
                }
            record["load"] = [round(one, 2) for one in os.getloadavg()]
            print(name, record, flush=True)
            runs.setdefault(name, []).append(record)
    return runs, missing


def medians(runs):
    """Median seconds of each contender, and how often ours fits into them."""
    middle = {
        name: statistics.median(record["seconds"] for record in records)
        for name, records in runs.items()
    }
    base = middle.get("ours")
    return {
        name: {"seconds": seconds, "times_ours": round(seconds / base, 2)}
        for name, seconds in middle.items()
        if base
    }


def main():
    """Reads the command line, measures, writes the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data_folder", help="clips of speech")
    parser.add_argument("--frames", type=int, default=200_000)
    parser.add_argument(
        "--clusters", type=int, nargs="+", default=[64, 512, 4096]
    )
    parser.add_argument("--iterations", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--contenders", nargs="+", default=[*CONTENDERS])
    parser.add_argument("--cache", default=CACHE)
    parser.add_argument("--output", default="kmeans", help="of the JSON")
    parser.add_argument("--remark", default="", help="kept with the figures")
    arguments = parser.parse_args()
    # Read by the BLAS of the processes that are started later.
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = str(arguments.threads)
    path = frames_file(arguments)
    runs, missing = measure(path, arguments)
    settings = ("frames", "clusters", "iterations", "threads", "remark")
    report = {
        **{name: getattr(arguments, name) for name in settings},
        "dim": DIM,
        "medians": medians(runs),
        "runs": runs,
        "missing": missing,
    }
    write_report(arguments.output, report)
    print(json.dumps(report["medians"], indent=2))


if __name__ == "__main__":
    sys.exit(main())
