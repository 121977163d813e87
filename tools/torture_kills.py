"""Recipes killed at random moments until they finish.

Every run is killed repeatedly, started again each time, and compared with an
undisturbed run: every file of its results must have the same bytes.
Some kills come at a random time, some while something is written; now and then
SIGTERM or SIGINT comes instead, which must end the process with its exit code.
Processes are forked from one that has imported everything; a few are started
from the command line, as a user does.
"""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

import recipe_trials as trials

HELP = "recipes killed by SIGKILL at random moments and started again"
STAGES = ("emotion_states", "clusters", "adapted", "classifier")
# Several epochs, and checkpoints between them: more to be torn.
SETTINGS = {
    "train_vft": {"epochs": 3, "front_end_cache": "disk"},
    "train_frozen": {"head_epochs": 3},
    "train_tapt": {
        "epochs": 2,
        "adaptation_steps": 6,
        "adaptation_checkpoint_steps": 3,
    },
    "train_ptapt": {
        "epochs": 2,
        "adaptation_steps": 6,
        "adaptation_checkpoint_steps": 3,
        "states_steps": 6,
        "states_checkpoint_steps": 3,
        "front_end_cache": "disk",
    },
}
# How often each of them is tried: P-TAPT has most stages.
WEIGHTS = {"train_vft": 2, "train_frozen": 1, "train_tapt": 2, "train_ptapt": 4}
# Instead of the exit code of a process that ended as requested.
ASKED = "asked"
WRITES = ("open", "os.rename", "os.mkdir", "os.remove", "shutil.rmtree")


def add_arguments(parser):
    """Add the arguments of this part."""
    parser.add_argument("--kills", type=int, default=300, help="forked (300)")
    parser.add_argument("--cold", type=int, default=10, help="started (10)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, help="kept; else a temporary")


def run(arguments):
    """Kill as often as asked for; the number of runs that differ."""
    trials.import_everything()
    folder = arguments.folder or Path(tempfile.mkdtemp(prefix="kills-"))
    torture = Kills(folder, random.Random(arguments.seed))
    while torture.count < arguments.kills:
        torture.forked()
    while torture.count < arguments.kills + arguments.cold:
        torture.cold()
    print(json.dumps(torture.summary()), flush=True)
    if arguments.folder is None and not torture.broken:
        shutil.rmtree(folder)
    return len(torture.broken)


class Kills:
    """Runs that are killed, and their outcomes.

    Arguments
    ---------
    folder : Path
        The folder of the runs.
    chance : random.Random
        Chooses recipes and moments.
    """

    def __init__(self, folder, chance):
        self.folder = folder
        self.chance = chance
        self.inputs = trials.make_inputs(folder / "inputs")
        self.expected = {}
        self.hit = Counter()
        self.runs = 0
        self.broken = []

    @property
    def count(self):
        """Kills so far."""
        return self.hit["kills"]

    def summary(self):
        """The summary printed at the end."""
        return {
            **self.hit,
            "runs": self.runs,
            "runs that differ": len(self.broken),
        }

    def named(self, name):
        """A results folder; all names are equally long.

        Comments in hyperparams.yaml are indented by the length of paths.
        """
        return self.folder / name.ljust(9, "_")

    def words(self, recipe, results):
        """The command of a run."""
        more = SETTINGS[recipe]
        words = trials.command(recipe, self.inputs, results, **more)
        return [*words, "--ckpt_interval_steps", "1"]

    def reference(self, recipe):
        """Results, number of writes and time of an undisturbed run."""
        if recipe not in self.expected:
            results = self.named(recipe.removeprefix("train_"))
            log, counted = self.folder / "log", self.folder / "writes"
            begun = time.monotonic()
            trials.run(
                self.words(recipe, results),
                log,
                before=lambda: count_writes(results, counted),
            )
            seconds = time.monotonic() - begun
            writes = int(counted.read_text())
            found = trials.contents(results)
            self.expected[recipe] = found, writes, seconds
        return self.expected[recipe]

    def forked(self):
        """One run, killed on average three times on its way."""
        recipe = self.choose()
        _, writes, seconds = self.reference(recipe)
        results = self.named(f"run{self.runs}")
        words, log = self.words(recipe, results), self.folder / "log"

        def one():
            kind = self.chance.choice(("time", "time", "write", "write", "ask"))
            if kind != "write":
                delay = self.chance.uniform(0.05, 0.4) * seconds
                process = trials.fork(words, log)
                if kind == "ask":
                    return self.asked(process, results, delay)
                code = trials.wait(process, delay)
                return trials.kill(process) if code is None else code
            number = self.chance.randrange(writes // 2)
            later = self.chance.choice([0, self.chance.uniform(0, 0.01)])

            def before():
                kill_at_write(results, number, later)

            return trials.wait(trials.fork(words, log, before=before))

        self.until_done(recipe, results, one)

    def asked(self, process, results, delay):
        """Exit code of a process that is asked to end."""
        code = None
        while code is None and not any(results.rglob("*")):
            code = trials.wait(process, 0.01)
        if code is None:
            code = trials.wait(process, delay)
        if code is None:
            number = self.chance.choice((signal.SIGTERM, signal.SIGINT))
            os.kill(process, number)
            code = trials.wait(process)
            if code == 128 + number:
                self.hit[number.name] += 1
                return ASKED
        return code

    def cold(self):
        """One run in processes started anew, killed on its way."""
        recipe = self.choose()
        self.reference(recipe)
        results = self.named(f"run{self.runs}")
        words = list(map(str, self.words(recipe, results)))

        def one():
            begun = time.monotonic()
            with subprocess.Popen(
                [sys.executable, *words],
                stdout=subprocess.DEVNULL,
                stderr=(self.folder / "log").open("a"),
                env={**os.environ, "PYTHONPATH": str(trials.ROOT)},
            ) as process:
                # Not during imports: from the first file on.
                while process.poll() is None and not any(results.rglob("*")):
                    time.sleep(0.05)
                rest = time.monotonic() - begun
                try:
                    process.wait(self.chance.uniform(0, rest / 2))
                except subprocess.TimeoutExpired:
                    process.kill()
            return process.returncode

        self.until_done(recipe, results, one)

    def choose(self):
        """A recipe: each once, then at random."""
        if self.runs < len(WEIGHTS):
            return list(WEIGHTS)[self.runs]
        return self.chance.choices(*zip(*WEIGHTS.items()))[0]

    def until_done(self, recipe, results, one):
        """Start a run until it finishes, and compare its results."""
        while (code := one()) != 0:
            if code == ASKED:
                continue
            if code != -signal.SIGKILL:
                return self.differs(results, [f"exit code {code}"])
            self.hit["kills"] += 1
            self.hit[under_way(results)] += 1
            if any(results.rglob("checkpoints/partial+*")):
                self.hit["in a checkpoint"] += 1
        self.runs += 1
        found, expected = trials.contents(results), self.reference(recipe)[0]
        names = trials.differences(found, expected)
        print(f"{self.count} kills, {self.runs} runs, {recipe}", flush=True)
        if names:
            return self.differs(results, names)
        shutil.rmtree(results)

    def differs(self, results, names):
        """Record a difference."""
        self.broken.append(results)
        self.runs += 1
        log = (self.folder / "log").read_text(errors="replace")[-2000:]
        print(f"DIFFERS: {results}: {names}\n{log}", flush=True)


def under_way(results):
    """The stage that a killed run was in."""
    for name in STAGES:
        if any(results.rglob(f"save/{name}/unfinished.json")):
            return name
    return "between stages"


def watch_writes(results, answer):
    """Has ``answer`` called before each change of a file below a folder."""
    below = str(results)

    def hook(event, arguments):
        if event not in WRITES or not str(arguments[0]).startswith(below):
            return
        reads = event == "open" and not arguments[2] & (
            os.O_WRONLY | os.O_RDWR | os.O_CREAT
        )
        if not reads:
            answer()

    sys.addaudithook(hook)


def count_writes(results, path):
    """Keeps the number of changes in a file."""
    total = [0]

    def answer():
        total[0] += 1
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
        os.write(descriptor, str(total[0]).encode())
        os.close(descriptor)

    watch_writes(results, answer)


def kill_at_write(results, number, later):
    """Has this process killed at a change, or some moments after it."""
    left = [number]

    def end():
        os.kill(os.getpid(), signal.SIGKILL)

    def answer():
        left[0] -= 1
        if left[0] == -1:
            threading.Timer(later, end).start() if later else end()

    watch_writes(results, answer)
