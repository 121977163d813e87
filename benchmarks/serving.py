"""Requests per second and latency of `ser-brain serve` on loopback.

    python benchmarks/serving.py --data_folder /path/to/clips --model MODEL

Without --model it is the embedded encoder of Whisper tiny.en with a head of
random weights (time needs no more). Clients post clips, each the next one as
soon as it has its answer; every answer is compared with what classify_file
says. Then more clients ask than the queue takes, and at last the service is
ended by SIGTERM while they wait. Writes benchmarks/results/serving.json.
"""

import argparse
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import numpy as np
import torch
from common import write_report

from ser_brain.assets import folder
from ser_brain.commands.predict import audio_files
from ser_brain.inference import EmotionRecognizer, save_classifier
from ser_brain.lobes import load_encoder
from ser_brain.nnet.heads import UtteranceHead

CLASSES = ["angry", "happy", "neutral", "sad"]
SMALL = "whisper_tiny_en"
OVERLOAD_QUEUE = 8
# An impatient client: less than any Retry-After.
PAUSE = 0.05


def random_model(scratch):
    """A model of small scale with a random head."""
    torch.manual_seed(0)
    encoder = load_encoder(folder(SMALL))
    head = UtteranceHead(encoder.dim, len(CLASSES))
    save_classifier(Path(scratch, "save", "classifier"), encoder, head, CLASSES)
    return scratch


def start(model, threads, *words):
    """The service in a process of its own, and its port."""
    command = [sys.executable, "-m", "ser_brain.cli", "serve", str(model)]
    process = subprocess.Popen(
        [*command, "--port", "0", *words],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": str(threads)},
    )
    found = re.search(r"127\.0\.0\.1:(\d+)", process.stdout.readline())
    if found is None:
        raise SystemExit("the service did not start")
    return process, int(found[1])


def stop(process):
    """Asks the service to end, answering what it has accepted."""
    process.send_signal(signal.SIGTERM)


def ended(process):
    """Its exit code, and how many requests it says that it answered."""
    said = process.stdout.read()
    answered = re.search(r"stopped after (\d+)", said)
    return {
        "exit_code": process.wait(),
        "answered_by_service": answered and int(answered[1]),
    }


class Client:
    """One connection that asks again and again, and keeps what it got.

    Arguments
    ---------
    port : int
        Of the service.
    clips : list of tuple
        The bytes of each clip and its posteriors by class.
    seed : int
        Chooses the clips.
    """

    def __init__(self, port, clips, seed):
        self.port, self.clips = port, clips
        self.draws = random.Random(seed)
        self.waited, self.statuses = [], Counter()
        self.difference = 0.0

    def ask(self, until, connection):
        """One after the other until a moment, or the service is gone."""
        while time.perf_counter() < until:
            content, expected = self.draws.choice(self.clips)
            begun = time.perf_counter()
            try:
                connection.request("POST", "/classify", content)
            except OSError:
                self.statuses["not accepted"] += 1
                return
            try:
                response = connection.getresponse()
                answer = json.loads(response.read())
            except (OSError, HTTPException):
                self.statuses["no answer"] += 1
                return
            self.statuses[response.status] += 1
            if response.status != 200:
                time.sleep(PAUSE)
                continue
            self.waited.append(time.perf_counter() - begun)
            found = answer["posteriors"]
            self.difference = max(
                self.difference, *(abs(found[n] - expected[n]) for n in found)
            )

    def run(self, seconds):
        """Asks for so long."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=120)
        self.ask(time.perf_counter() + seconds, connection)
        connection.close()


def load(port, clips, clients, seconds, meanwhile=None):
    """Clients at once; what they got together."""
    asking = [Client(port, clips, seed) for seed in range(clients)]
    begun = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        futures = [pool.submit(client.run, seconds) for client in asking]
        if meanwhile is not None:
            time.sleep(seconds / 2)
            meanwhile()
        for future in futures:
            future.result()
    took = time.perf_counter() - begun
    waited = [each for client in asking for each in client.waited]
    middle, late = (
        np.percentile(waited, [50, 99]).round(4).tolist()
        if waited
        else (None, None)
    )
    statuses = sum((client.statuses for client in asking), Counter())
    return {
        "clients": clients,
        "requests_per_second": round(len(waited) / took, 2),
        "p50_seconds": middle,
        "p99_seconds": late,
        "statuses": {str(status): n for status, n in statuses.items()},
        "largest_difference": max(client.difference for client in asking),
    }


def known(model, paths):
    """The bytes of each file, and its posteriors by itself."""
    recognizer = EmotionRecognizer.from_run(model)
    return [
        (
            Path(path).read_bytes(),
            dict(
                zip(
                    recognizer.classes,
                    recognizer.classify_file(path)[0][0].tolist(),
                )
            ),
        )
        for path in paths
    ]


def measure(model, clips, arguments):
    """The figures of all parts; each is printed as it comes."""
    report = {"clients": []}
    process, port = start(model, arguments.threads)
    load(port, clips, 2, 2)
    for clients in arguments.clients:
        found = load(port, clips, clients, arguments.seconds)
        print(found, flush=True)
        report["clients"].append(found)
    stop(process)
    ended(process)

    most = max(arguments.clients)
    queue = ["--queue", str(OVERLOAD_QUEUE)]
    process, port = start(model, arguments.threads, *queue)
    found = load(port, clips, most, arguments.seconds)
    stop(process)
    report["overload"] = {**found, **ended(process)}
    print(report["overload"], flush=True)

    process, port = start(model, arguments.threads)
    found = load(port, clips, most, arguments.seconds, lambda: stop(process))
    report["ended"] = {**found, **ended(process)}
    print(report["ended"], flush=True)
    return report


def main():
    """Reads the command line, measures, writes the figures."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--data_folder", required=True)
    parser.add_argument("--model", help="a run folder, or a model")
    parser.add_argument("--files", type=int, default=48)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    paths = audio_files([arguments.data_folder])
    random.Random(0).shuffle(paths)
    with tempfile.TemporaryDirectory() as scratch:
        model = arguments.model or random_model(scratch)
        clips = known(model, paths[: arguments.files])
        report = measure(model, clips, arguments)
    settings = ("seconds", "threads")
    path = write_report(
        "serving",
        {
            **{name: getattr(arguments, name) for name in settings},
            "model": "a trained run" if arguments.model else "small, random",
            "files": len(clips),
            "overload_queue": OVERLOAD_QUEUE,
            **report,
        },
    )
    print(path)


if __name__ == "__main__":
    main()
