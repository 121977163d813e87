"""Spoilt files for every parser: nothing but documented errors comes out.

Each target is tried in a process of its own, so that one that crashes is
told, too. Where atheris is installed (the extra ``fuzz``), ``--engine
atheris`` lets the coverage of the code choose the files.

    python tools/torture.py fuzz --executions 20000 --target WAV
    python tools/torture.py fuzz --target WAV --file fuzz-cases/WAV-1f0c
"""

import contextlib
import hashlib
import json
import logging
import os
import random
import resource
import signal
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path

from ser_brain.errors import printable

HELP = "spoilt files for every parser"
# Of a million executions, in thousands: what is quick is tried more often.
SHARES = {
    "names": 150,
    "conv layers": 100,
    "table.csv": 100,
    "table.json": 90,
    "manifest.json": 90,
    "EmoEvaluation": 90,
    "done.json": 60,
    "plan.json": 50,
    "train_log.txt": 40,
    "k-means progress": 40,
    "ensemble.json": 40,
    "pseudo_labels": 50,
    "fairseq": 35,
    "home list": 14,
    "WAV": 15,
    "FLAC, OGG, MP3": 5,
    "config.json": 8,
    "wav2vec config": 8,
    "metrics.json": 4,
    "predictions.csv": 4,
    "hyperparams.yaml": 2,
    "command line": 1,
    "weights": 1,
    "model folder": 1,
    "classifier.json": 1,
    "head.safetensors": 1,
}
SECONDS = 30  # of processor time that one execution may take
MEMORY = 16 << 30  # bytes of addresses, of which libraries take a few
EVERY = 1000  # executions between two reports
SCRATCH = "/dev/shm" if os.path.isdir("/dev/shm") else None


class TooLong(BaseException):
    """An execution that does not end."""


def add_arguments(parser):
    """Add the part's arguments."""
    parser.add_argument("--executions", type=int, default=1_000_000)
    parser.add_argument("--target", action="append", choices=SHARES)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--engine", choices=("own", "atheris"), default="own")
    parser.add_argument("--keep", type=Path, default=Path("fuzz-cases"))
    parser.add_argument("--file", type=Path, help="try this file alone")


def run(arguments):
    """Try every target; returns how many kinds of error were undocumented."""
    names = arguments.target or list(SHARES)
    whole = sum(SHARES[name] for name in names)
    broken = total = 0
    with all_of_them(arguments.engine) as (targets, folder):
        if arguments.file:
            with limited(guarded(folder)):
                targets[names[0]].read(arguments.file.read_bytes())
            return 0
        print(f"seed {arguments.seed}, engine {arguments.engine}", flush=True)
        for name in names:
            count = max(1, round(arguments.executions * SHARES[name] / whole))
            begun = time.perf_counter()
            tally = Tally(name, targets[name], arguments.keep, folder)
            done, kinds = in_a_fork(tally, count, arguments)
            seconds = time.perf_counter() - begun
            print(f"{name}: {done} executions in {seconds:.0f} s", flush=True)
            for kind, told in kinds.items():
                print(f"  BROKEN {kind}: {told}", flush=True)
            broken, total = broken + len(kinds), total + done
    print(f"{total} executions over {len(names)} parsers")
    return broken


@contextlib.contextmanager
def all_of_them(engine):
    """The targets, their files in memory where there is room for them."""
    with contextlib.ExitStack() as stack:
        if engine == "atheris":
            import atheris

            # What is imported here tells which of its lines were reached.
            watched = atheris.instrument_imports(include=["ser_brain"])
            stack.enter_context(watched)
        from fuzz_targets import all_targets

    warnings.simplefilter("ignore")
    logging.disable(logging.ERROR)
    with tempfile.TemporaryDirectory(dir=SCRATCH) as folder:
        yield all_targets(Path(folder)), folder


def guarded(folder):
    """The guard of this process, which stays."""
    from fuzz_guard import Guard

    return Guard(folder)


def in_a_fork(tally, count, arguments):
    """A target in a process of its own: executions, kinds of error."""
    with tempfile.NamedTemporaryFile("r") as told:
        child = os.fork()
        if child == 0:
            tally.told = Path(told.name)
            # Nothing of the parent's may be unwound here.
            try:
                execute_all(tally, count, arguments)
                tally.report()
                os._exit(0)
            except BaseException:
                traceback.print_exc()
                os._exit(1)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        done, kinds = json.loads(told.read() or "[0, {}]")
    if code != 0:
        kinds[f"the process ended with {code}"] = "the last file is lost"
    return done, kinds


def execute_all(tally, count, arguments):
    """All executions of a target, by one of the two engines."""
    from fuzz_cases import Cases

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    # Decoders of other languages tell of every fault by themselves.
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), sys.stderr.fileno())
    tally.guard = guarded(tally.folder)
    if arguments.engine == "atheris":
        by_coverage(tally, count, arguments.seed)
        return
    numbers = random.Random(f"{tally.name} {arguments.seed}")
    cases = Cases(tally.target, numbers)
    for _ in range(count):
        tally.execute(cases.draw())


def by_coverage(tally, count, seed):
    """libFuzzer chooses the files by the lines that they reach."""
    import atheris

    seeds = Path(tempfile.mkdtemp(dir=tally.folder))
    for number, content in enumerate(tally.target.seeds):
        (seeds / str(number)).write_bytes(content)
    options = [f"-atheris_runs={count}", "-max_len=20000"]
    options += [f"-seed={seed % 2**31 or 1}", "-rss_limit_mb=0"]
    atheris.Setup(["fuzz", *options, str(seeds)], tally.execute)
    atheris.Fuzz()


@contextlib.contextmanager
def limited(guard):
    """Watches an execution, and ends one that takes too long."""

    def ring(number, frame):
        raise TooLong(f"no end after {SECONDS} s")

    signal.signal(signal.SIGVTALRM, ring)
    signal.setitimer(signal.ITIMER_VIRTUAL, SECONDS)
    try:
        with guard.watching():
            yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)


class Tally:
    """Executions of a target, and the kinds of error that came out.

    Arguments
    ---------
    name : str
        Of the target.
    target : fuzz_files.Target
        What reads the files.
    keep : Path
        Where a file that broke a promise is kept.
    folder : str
        Where the target may write.
    """

    def __init__(self, name, target, keep, folder):
        self.name, self.target = name, target
        self.keep, self.folder = keep, folder
        self.executions = 0
        self.broken = {}
        self.told = self.guard = None

    def execute(self, content):
        """One execution; an error of a new kind is kept with its file."""
        self.executions += 1
        try:
            with limited(self.guard):
                self.target.read(content)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            kind = self._kind(error)
            if kind not in self.broken:
                told = printable(error)[:200]
                self.broken[kind] = f"{told} ({self._kept(content)})"
        if self.executions % EVERY == 0:
            self.report()

    def _kind(self, error):
        """What an error is, and the last line of ours that it passed."""
        frames = traceback.extract_tb(error.__traceback__)
        ours = [f for f in frames if "/ser_brain/" in f.filename] or frames
        place = f"{Path(ours[-1].filename).name}:{ours[-1].lineno}"
        return f"{type(error).__name__} at {place}"

    def _kept(self, content):
        self.keep.mkdir(parents=True, exist_ok=True)
        short = hashlib.sha256(content).hexdigest()[:8]
        path = self.keep / f"{self.name.replace(' ', '_')}-{short}"
        path.write_bytes(content)
        return str(path)

    def report(self):
        """What the process outside reads."""
        self.told.write_text(json.dumps([self.executions, self.broken]))
