"""Timelines: where speech is found, what windows score, and the memory.

    python benchmarks/recordings.py --data_folder /path/to/SAVEE --run RUN

The run's own test clips, of a layout in which an id is FOLDER_FILE, as
SAVEE's, are put one after the other with pauses of 0.8 to 3 s. Measured are
the unweighted accuracy over time (every step of 0.1 s counts that lies in a
clip's speech), the distance of found boundaries of speech from those where the
clip's level passes 35 dB below its loudest, and, of files of --minutes, peak
memory and real-time factor, each in a process of its own. Writes
benchmarks/results/recordings.json and, with --picture, a drawing.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile
import torch
from common import memory, write_report
from runtimes import tested_clips

from ser_brain.commands.predict import audio_files
from ser_brain.dataio.audio import SAMPLE_RATE, read_audio
from ser_brain.evaluation.metrics import unweighted_accuracy
from ser_brain.inference import EmotionRecognizer

LEVEL = 35.0  # dB below the loudest 10 ms
TICK = 0.1  # seconds


def loud(signal):
    """First and last sample of what is loud in a clip."""
    size = SAMPLE_RATE // 100
    parts = signal[: len(signal) // size * size].reshape(-1, size)
    # Not the mean square: clips of SAVEE have an offset.
    level = parts.std(1)
    places = np.flatnonzero(level > level.max() * 10 ** (-LEVEL / 20))
    return size * places[0], size * (places[-1] + 1)


def concatenate(paths, labels, path, seconds=np.inf):
    """Writes clips with pauses; where and what each is, as (begin, end, label)."""
    draws, begin, spoken = np.random.default_rng(0), 0, []
    with soundfile.SoundFile(path, "w", SAMPLE_RATE, 1) as file:
        place = 0
        while place < len(paths) or seconds < np.inf:
            pause = int(draws.uniform(0.8, 3.0) * SAMPLE_RATE)
            file.write(draws.normal(0, 1e-4, pause))
            signal = read_audio(paths[place % len(paths)]).numpy()
            first, last = loud(signal)
            file.write(signal)
            begin += pause
            times = (begin + first) / SAMPLE_RATE, (begin + last) / SAMPLE_RATE
            spoken.append((*times, labels[place % len(paths)]))
            begin += len(signal)
            place += 1
            if begin >= seconds * SAMPLE_RATE:
                break
    return spoken


def boundary_errors(timeline, spoken):
    """Seconds between each clip's boundaries and the nearest found ones."""
    found = np.array(timeline.speech)
    edges = np.array([(begin, end) for begin, end, _ in spoken])
    begins = np.abs(found[:, 0] - edges[:, :1]).min(1)
    ends = np.abs(found[:, 1] - edges[:, 1:]).min(1)
    return np.concatenate([begins, ends])


def accuracy_over_time(timeline, spoken):
    """UA in percent over ticks of speech; share of them without an emotion."""
    said, true, missed = [], [], 0
    begins = timeline.times[:, 0]
    for begin, end, label in spoken:
        for tick in np.arange(begin + TICK / 2, end, TICK):
            step = np.searchsorted(begins, tick, side="right") - 1
            if step < 0 or tick > timeline.times[step, 1]:
                missed += 1
                continue
            said.append(timeline.classes[timeline.posteriors[step].argmax()])
            true.append(label)
    return (
        100 * unweighted_accuracy(true, said),
        100 * missed / (missed + len(said)),
    )


def in_a_process(run, path, threads):
    """Peak memory in MB and real-time factor of a file."""
    words = [run, "--alone", str(path), "--threads", str(threads)]
    done = subprocess.run(
        [sys.executable, __file__, "--run", *words],
        check=True,
        capture_output=True,
        text=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def alone(arguments):
    """What ``in_a_process`` starts: one timeline, measured from within."""
    recognizer = EmotionRecognizer.from_run(arguments.run)
    before = memory("self")["peak_mb"]
    begun = time.perf_counter()
    timeline = recognizer.timeline(arguments.alone, progress=False)
    seconds = time.perf_counter() - begun
    found = {
        "minutes": round(timeline.duration / 60, 2),
        "speech_share": round(
            sum(end - begin for begin, end in timeline.speech)
            / timeline.duration,
            3,
        ),
        "peak_mb_before": round(before),
        "peak_mb": round(memory("self")["peak_mb"]),
        "real_time_factor": round(seconds / timeline.duration, 4),
        "processor_factor": round(time.process_time() / timeline.duration, 4),
    }
    print(json.dumps(found))


def main():
    """Reads the command line, measures, writes the figures."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--data_folder")
    parser.add_argument("--run", required=True, help="a run folder")
    parser.add_argument("--minutes", type=float, nargs="*", default=[1, 60])
    parser.add_argument("--clips", type=int, help="of the test clips, at most")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--picture", help="a .png of the first clips")
    parser.add_argument("--alone", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if arguments.alone:
        alone(arguments)
        return
    files = audio_files([arguments.data_folder])
    paths, labels = tested_clips(arguments.run, files)
    order = np.random.default_rng(1).permutation(len(paths))
    order = order[: arguments.clips]
    paths = [paths[n] for n in order]
    labels = [labels[n] for n in order]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "clips.wav")
        spoken = concatenate(paths, labels, path)
        recognizer = EmotionRecognizer.from_run(arguments.run)
        timeline = recognizer.timeline(path)
        if arguments.picture:
            timeline.draw(arguments.picture)
        errors = boundary_errors(timeline, spoken)
        accuracy, missed = accuracy_over_time(timeline, spoken)
        report = {
            "clips": len(paths),
            "stretches_of_speech": len(timeline.speech),
            "UA_over_time": round(accuracy, 2),
            "speech_without_emotion_percent": round(missed, 2),
            "boundary_error_median": round(float(np.median(errors)), 3),
            "boundaries_within_percent": {
                str(limit): round(100 * float((errors <= limit).mean()), 1)
                for limit in (0.1, 0.2)
            },
            "files": [],
        }
        print(json.dumps(report, indent=2), flush=True)
        for minutes in arguments.minutes:
            path = Path(folder, f"{minutes}.wav")
            concatenate(paths, labels, path, 60 * minutes)
            found = in_a_process(arguments.run, path, arguments.threads)
            report["files"].append(found)
            print(json.dumps(found), flush=True)
    print(write_report("recordings", report))


if __name__ == "__main__":
    main()
