"""The disk is full at every place that writes.

A small library (``refuse_writes.c``) stands before the C library's calls that
take space: open, write, fsync, rename, mkdir, truncate. It sees those of Python
and of what Python calls, such as torch, safetensors and matplotlib. An
undisturbed command tells which places it writes from: a call, a line of
ser_brain, a file. Then the command is run again for each of them, with no space
there, twice: once the disk stays full, and once only this call fails. The
command must end with one sentence and exit code 2, leave no file that is torn,
and go on to the same bytes when there is space. Where only a log was lost in
the one call that failed, it may also finish at once, with the same bytes.
"""

import argparse
import ctypes
import errno
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import recipe_trials as trials
import write_cases

HELP = "no space left at each place that writes"
PACKAGE = trials.ROOT / "ser_brain"
SOURCE = Path(__file__).with_name("refuse_writes.c")
MODES = ("stays", "once")
LONGEST = 300  # seconds of a command
# Files to which lines are appended: what is there may be the beginning.
APPENDED = ("train_log.txt",)
# It holds the time of the table, which ser-brain train itself writes.
TIMED = ".fingerprint"
# Below these nothing counts before the stage, or the checkpoint, is done.
PENDING = re.compile(r"(^|/)(checkpoints|nonfinite)/")


def add_arguments(parser):
    """Add the part's arguments."""
    parser.add_argument("--case", action="append", choices=write_cases.CASES)
    parser.add_argument("--every", type=int, default=1, help="n-th place (1)")
    parser.add_argument("--mode", action="append", choices=MODES)
    parser.add_argument("--folder", type=Path, help="kept; else a temporary")
    parser.add_argument("--list", action="store_true", help="name the places")


def run(arguments):
    """Try every place in a process that was started with the library."""
    reason = may_refuse()
    if reason is not None:
        print(f"skipped: {reason}")
        return 0
    with tempfile.TemporaryDirectory(prefix="writes-") as folder:
        library = Path(folder, "refuse_writes.so")
        build(library)
        place = arguments.folder or Path(folder, "trials")
        words = ["--folder", place, "--every", arguments.every]
        for name in ("case", "mode"):
            for value in getattr(arguments, name) or ():
                words += [f"--{name}", value]
        words += ["--list"] * arguments.list
        environment = {"LD_PRELOAD": str(library), "OMP_NUM_THREADS": "1"}
        return subprocess.run(
            [sys.executable, __file__, *map(str, words)],
            env={**os.environ, **environment},
        ).returncode


def may_refuse():
    """Whether the library can be built and preloaded here, or why not."""
    if not sys.platform.startswith("linux"):
        return "libraries are preloaded only on Linux"
    if compiler() is None:
        return "there is no C compiler"
    return None


def compiler():
    """Path of a C compiler, or None."""
    return shutil.which("cc") or shutil.which("gcc")


def build(library):
    """Compile the library."""
    words = ["-shared", "-fPIC", "-O1", "-o", str(library), str(SOURCE)]
    subprocess.run([compiler(), *words, "-ldl"], check=True)


def main():
    """What ``run`` starts; the exit code is the number of broken promises."""
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    arguments = parser.parse_args()
    trials.import_everything()
    write_cases.import_everything()
    folder = arguments.folder
    folder.mkdir(parents=True, exist_ok=True)
    broken, tried = 0, set()
    for name in arguments.case or write_cases.CASES:
        case = write_cases.CASES[name](folder)
        broken += Case(name, case, folder / name, tried).run(arguments)
    return min(broken, 100)


class Case:
    """A command, and what it leaves when the disk is full somewhere.

    Arguments
    ---------
    name : str
        Its name.
    case : SimpleNamespace
        ``words``, the command in terms of a folder, and ``prepare``, which
        fills that folder with what the command reads and changes.
    folder : Path
        Where it runs.
    tried : set
        Places that were tried with an earlier case, to which its own are added.
    """

    def __init__(self, name, case, folder, tried):
        self.name, self.case, self.tried = name, case, tried
        self.folder = folder
        self.work, self.log = folder / "work", folder / "log.txt"

    def run(self, arguments):
        """The number of broken promises."""
        found = self.undisturbed()
        places = [place for place in found if place not in self.tried]
        self.tried.update(places)
        told = f"{len(found)} places, {len(places)} of them new"
        print(f"{self.name}: {told}", flush=True)
        if arguments.list:
            lines = (f"  {place} ({found[place]})" for place in places)
            print(*lines, sep="\n", flush=True)
        ends, broken = Counter(), 0
        for mode in arguments.mode or MODES:
            for place in places[:: arguments.every]:
                code, faults = self.trial(place, mode)
                ends[f"{mode}: {code}"] += 1
                broken += bool(faults)
                for fault in faults:
                    print(f"  {place}, {mode}: {fault}", flush=True)
        told = ", ".join(f"{end} {count}" for end, count in ends.items())
        print(f"{self.name}: exit codes: {told}; {broken} broken", flush=True)
        return broken

    def undisturbed(self):
        """Runs the command; the places that it writes from, and a file."""
        self.prepare()
        listed = self.folder / "places.txt"
        listed.unlink(missing_ok=True)
        watch = Watch(self.work, told=listed)
        code = self.start(watch)
        if code != 0:
            raise RuntimeError(f"{self.name}: {self.log.read_text()[-3000:]}")
        self.expected = trials.contents(self.work)
        lines = listed.read_text().splitlines()
        return dict(each.split("\t") for each in lines)

    def prepare(self):
        """What is there before the command."""
        shutil.rmtree(self.work, ignore_errors=True)
        self.work.mkdir(parents=True)
        (self.work / "tmp").mkdir()
        self.case.prepare(self.work)

    def start(self, watch=None):
        """Runs the command in a forked process; its exit code."""
        self.log.unlink(missing_ok=True)
        self.log.touch()

        def before():
            tempfile.tempdir = str(self.work / "tmp")
            if watch is not None:
                watch.begin()

        words = self.case.words(self.work)
        process = trials.fork(words, self.log, before=before)
        code = trials.wait(process, LONGEST)
        # One that hangs is killed, which is no exit code of ours.
        return trials.kill(process) if code is None else code

    def trial(self, place, mode):
        """Exit code without space at a place, and what was not as promised."""
        self.prepare()
        hit = self.folder / "hit.txt"
        hit.unlink(missing_ok=True)
        code = self.start(Watch(self.work, place, mode, hit))
        if not hit.is_file():
            return code, [f"not reached (exit code {code})"]
        faults = self.ended(code, mode)
        if code == 0 and mode == "once":
            wrong = self.differences()
            return code, faults + ([f"{wrong} differ"] if wrong else [])
        faults += self.torn()
        again = self.start()
        if again != 0:
            told = self.log.read_text(errors="replace").splitlines()[-1:]
            return code, [*faults, f"exit code {again} with space: {told}"]
        wrong = self.differences()
        return code, faults + ([f"{wrong} differ"] if wrong else [])

    def differences(self):
        found = trials.differences(trials.contents(self.work), self.expected)
        return [name for name in found if not name.endswith(TIMED)]

    def ended(self, code, mode):
        """What is wrong with the way the command ended."""
        told = self.log.read_text(errors="replace")
        lines = [line for line in told.splitlines() if "error: " in line]
        if "Traceback" in told:
            return [f"a traceback: {told.splitlines()[-1]}"]
        if code == 0 and mode == "once":
            return []
        if code != 2 or len(lines) != 1 or "space" not in lines[0]:
            return [f"exit code {code}, {lines or told[-200:]}"]
        return []

    def torn(self):
        """Files that have a name but not its content."""
        found = trials.contents(self.work)
        pending = {
            name.removesuffix("unfinished.json")
            for name in found
            if name.endswith("unfinished.json")
        }
        faults = []
        for name, content in found.items():
            if content == self.expected.get(name) or PENDING.search(name):
                continue
            if name.startswith(tuple(pending)) or name.endswith(TIMED):
                continue
            whole = self.expected.get(name, b"")
            if name.endswith(APPENDED) and whole.startswith(content):
                continue
            faults.append(f"{name} is left with {len(content)} bytes")
        return faults


class Watch:
    """Judges the calls of a process that write below a folder.

    Arguments
    ---------
    root : Path
        The folder.
    place : str, optional
        Where there is no space; nowhere by default.
    mode : str
        Whether the disk ``stays`` full, or the call fails ``once``.
    told : Path
        Gets the places of all calls, or, with a place, that it was reached.
    """

    def __init__(self, root, place=None, mode="stays", told=None):
        self.root, self.place, self.mode = str(root), place, mode
        self.told = told
        self.seen, self.full = set(), False

    def begin(self):
        """Has this process judged from now on."""
        kind = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_char_p, ctypes.c_char_p)
        self.judge = kind(self.answer)
        # The preloaded library's own name, found among all that are loaded.
        ctypes.CDLL(None).set_judge(self.judge)

    def answer(self, call, path):
        """The errno of a call, or 0."""
        path = os.fsdecode(path)
        if not path.startswith(self.root):
            return 0
        # What is there already takes no space.
        if call in (b"open", b"mkdir") and os.path.lexists(path):
            return 0
        if self.full:
            return errno.ENOSPC
        place = self.named(call.decode(), path)
        if place in self.seen:
            return 0
        self.seen.add(place)
        if self.place in (None, place):
            with self.told.open("a") as stream:
                stream.write(f"{place}\t{Path(path).name}\n")
        if place != self.place:
            return 0
        self.full = self.mode == "stays"
        return errno.ENOSPC

    def named(self, call, path):
        """A call by the lines that it comes from."""
        if call == "fsync":
            call += " of a folder" if os.path.isdir(path) else " of a file"
        return f"{call} at {line(sys._getframe(2))}"


def line(frame):
    """The line of ser_brain that a call comes from, and the library's line."""
    library = None
    while frame is not None:
        path = Path(frame.f_code.co_filename)
        if path.match("logging/__init__.py"):
            return "logging"
        told = "/".join(path.parts[-2:]) + f":{frame.f_lineno}"
        if path.is_relative_to(PACKAGE) and path != PACKAGE / "files.py":
            through = f" through {library}" if library else ""
            return told + through
        if "site-packages" in path.parts:
            library = library or told
        frame = frame.f_back
    return library or "no line of Python"


if __name__ == "__main__":
    sys.exit(main())
