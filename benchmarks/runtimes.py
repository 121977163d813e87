"""Real-time factors and accuracy of torch, ONNX and 8-bit ONNX.

    python benchmarks/runtimes.py --data_folder /path/to/SAVEE
    python benchmarks/runtimes.py --data_folder /path/to/SAVEE --run RUN

Without --run it is wav2vec2-base with random weights (time needs no more).
With one, the files are the run's own test clips, of a layout in which an id
is FOLDER_FILE, as SAVEE's, and each runtime's unweighted accuracy is measured,
too. All classify the same files, one at a time, alternately. Writes
benchmarks/results/runtimes.json, or runtimes_run.json.
"""

import argparse
import random
import statistics
import tempfile
from pathlib import Path

import torch
from common import write_report
from inference import load, measure

from ser_brain.commands.predict import audio_files
from ser_brain.dataio.audio import SAMPLE_RATE, read_audio
from ser_brain.evaluation.metrics import unweighted_accuracy
from ser_brain.serving.export import export_onnx
from ser_brain.serving.runtime import OnnxRecognizer


def runtimes(recognizer, folder, threads):
    """torch, ONNX and int8 by name, and sizes of the two files in MB."""
    found, sizes = {"torch": recognizer}, {}
    for name in ("onnx", "int8"):
        path = Path(folder, f"{name}.onnx")
        difference = export_onnx(recognizer, path, int8=name == "int8")
        sizes[name] = round(path.stat().st_size / 1e6, 1)
        print(f"{name}: {sizes[name]} MB, noise differs by {difference:.1g}")
        found[name] = OnnxRecognizer(path, threads)
    return found, sizes


def tested_clips(run, paths):
    """The run's test clips and their labels."""
    import pandas

    table = pandas.read_csv(Path(run, "predictions.csv"))
    labels = dict(zip(table["id"], table["label"]))
    named = {
        f"{Path(path).parent.name}_{Path(path).stem}": path for path in paths
    }
    chosen = [name for name in named if name in labels]
    return [named[name] for name in chosen], [labels[name] for name in chosen]


def answers_of(recognizer):
    """A function from files to their posteriors, one file at a time."""
    return lambda paths: torch.cat(
        [recognizer.classify_file(path)[0] for path in paths]
    )


def accuracy(posteriors, labels, classes):
    """Unweighted accuracy in percent."""
    said = [classes[place] for place in posteriors.argmax(1).tolist()]
    return round(100 * unweighted_accuracy(labels, said), 2)


def main():
    """Reads the command line, measures, writes the figures."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--data_folder", required=True)
    parser.add_argument("--run", help="a run folder, .../seed_1")
    parser.add_argument("--files", type=int, default=24)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu", choices=["cpu"])
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    paths, labels = audio_files([arguments.data_folder]), None
    if arguments.run:
        paths, labels = tested_clips(arguments.run, paths)
    else:
        random.Random(0).shuffle(paths)
        paths = paths[: arguments.files]
    audio = sum(len(read_audio(path)) for path in paths) / SAMPLE_RATE
    with tempfile.TemporaryDirectory() as folder:
        found, sizes = runtimes(load(arguments), folder, arguments.threads)
        ways = {name: answers_of(one) for name, one in found.items()}
        seconds, answers = measure(ways, paths, arguments.repeats)
    base = statistics.median(seconds["torch"])
    results = {}
    for name, runs in seconds.items():
        difference = (answers[name] - answers["torch"]).abs().max()
        results[name] = {
            "real_time_factor": round(statistics.median(runs) / audio, 5),
            "spread": [round(f(runs) / audio, 5) for f in (min, max)],
            "times_torch": round(base / statistics.median(runs), 2),
            "largest_difference": float(difference),
        }
        if labels:
            classes = found[name].classes
            results[name]["UA"] = accuracy(answers[name], labels, classes)
    report = {
        "model": arguments.run and Path(arguments.run).name or "base, random",
        "threads": arguments.threads,
        "repeats": arguments.repeats,
        "files": len(paths),
        "audio_seconds": round(audio, 1),
        "megabytes": sizes,
        "results": results,
    }
    name = "runtimes_run" if arguments.run else "runtimes"
    print(write_report(name, report).read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
