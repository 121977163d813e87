"""Real-time factor of a trained run: files one at a time, and in batches.

    python benchmarks/inference.py --data_folder /path/to/clips --run RUN

Without --run it is wav2vec2-base with random weights (time needs no more).
All ways classify the same files alternately, --repeats times; decoding and
resampling are included, loading the run is not. The real-time factor is
processing time over audio time: lower is faster. Writes
benchmarks/results/inference.json.
"""

import argparse
import random
import statistics
import tempfile
import time
from pathlib import Path

import torch
from common import write_report
from transformers import Wav2Vec2Config, Wav2Vec2Model

from ser_brain.commands.predict import audio_files
from ser_brain.inference import EmotionRecognizer, save_classifier
from ser_brain.lobes.wav2vec2 import Wav2Vec2
from ser_brain.nnet.heads import UtteranceHead

CLASSES = ["angry", "happy", "neutral", "sad"]


def random_run(folder):
    """A run folder with a classifier of base size and random weights."""
    torch.manual_seed(0)
    encoder = Wav2Vec2(Wav2Vec2Model(Wav2Vec2Config()))
    head = UtteranceHead(encoder.dim, len(CLASSES))
    save_classifier(Path(folder, "save", "classifier"), encoder, head, CLASSES)
    return folder


def load(arguments):
    """Load the requested classifier."""
    if arguments.run:
        return EmotionRecognizer.from_run(arguments.run, arguments.device)
    with tempfile.TemporaryDirectory() as scratch:
        return EmotionRecognizer.from_run(random_run(scratch), arguments.device)


def contenders(recognizer, arguments):
    """Ways to classify files, each giving one list of posteriors a file."""

    def one_at_a_time(paths):
        answers = [recognizer.classify_file(path)[0] for path in paths]
        return torch.cat(answers).tolist()

    def batched(num_workers):
        def classify(paths):
            records = recognizer.classify_files(
                paths, arguments.batch_seconds, num_workers
            )
            return [[*record["posteriors"].values()] for record in records]

        return classify

    found = {"one at a time": one_at_a_time}
    for number in arguments.num_workers:
        found[f"batched, {number} workers"] = batched(number)
    return found


def measure(ways, paths, repeats):
    """Seconds of each way at each repeat, and what it answered last."""
    seconds = {name: [] for name in ways}
    answers = {}
    for way in ways.values():
        way(paths[:2])
    for _ in range(repeats):
        for name, way in ways.items():
            begun = time.perf_counter()
            answers[name] = way(paths)
            seconds[name].append(time.perf_counter() - begun)
            print(f"{name:20} {seconds[name][-1]:8.2f} s", flush=True)
    return seconds, answers


def largest_difference(answers):
    """Between posteriors of one at a time and of any other way."""
    alone, *others = [torch.tensor(found) for found in answers.values()]
    return max(float((alone - other).abs().max()) for other in others)


def summary(seconds, audio):
    """Median real-time factor, its spread, and times one at a time."""
    base = statistics.median(seconds["one at a time"])
    return {
        name: {
            "real_time_factor": round(statistics.median(runs) / audio, 5),
            "spread": [round(f(runs) / audio, 5) for f in (min, max)],
            "times_one_at_a_time": round(base / statistics.median(runs), 2),
            "seconds": [round(run, 3) for run in runs],
        }
        for name, runs in seconds.items()
    }


def main():
    """Reads the command line, measures, writes the figures."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--data_folder", required=True)
    parser.add_argument("--run", help="a run folder, .../seed_1")
    parser.add_argument("--files", type=int, default=24)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--batch_seconds", type=float)
    parser.add_argument("--num_workers", type=int, nargs="+", default=[0, 2])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    paths = audio_files([arguments.data_folder])
    # Of all speakers and lengths, in no order.
    random.Random(0).shuffle(paths)
    paths = paths[: arguments.files]
    recognizer = load(arguments)
    ways = contenders(recognizer, arguments)
    seconds, answers = measure(ways, paths, arguments.repeats)
    records = recognizer.classify_files(paths)
    audio = sum(record["duration"] for record in records)
    settings = ("batch_seconds", "threads", "device", "repeats")
    path = write_report(
        "inference",
        {
            **{name: getattr(arguments, name) for name in settings},
            "model": "a trained run" if arguments.run else "base, random",
            "files": len(paths),
            "audio_seconds": round(audio, 1),
            "largest_difference": largest_difference(answers),
            "results": summary(seconds, audio),
        },
    )
    print(path.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
