"""Disks that fill up, folders that may not be written or vanish, odd names.

Recipes run on a file system of so many kilobytes (a tmpfs of their own, for
which this must be root), which is full at another place each time. They must
end with one sentence, and go on to the same bytes when there is room. Other
runs read a corpus that nobody may write to, lose their results folder in the
middle, or are called what people call things.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

import recipe_trials as trials

from ser_brain.files import digests

HELP = "full disks, read-only corpora, vanished results, odd names"
RECIPES = ("train_vft", "train_frozen", "train_tapt", "train_ptapt")
# Few updates, but every kind of file: checkpoints between epochs, caches.
SETTINGS = {
    "train_vft": {"epochs": 2, "front_end_cache": "disk"},
    "train_frozen": {"head_epochs": 2},
    "train_tapt": {"epochs": 1, "adaptation_steps": 3},
    "train_ptapt": {"epochs": 1, "front_end_cache": "disk"},
}
ROOM = "1g"
NAMES = ("Ünïcödé 感情 🙂 a=b;c$(d)'\"", "x" * 200)
# It holds the folders' names, in quotes and on lines that depend on them.
NAMED = "hyperparams.yaml"


def add_arguments(parser):
    """Add the part's arguments."""
    parser.add_argument("--sizes", type=int, default=20, help="of a disk (20)")
    parser.add_argument("--recipe", action="append", choices=RECIPES)
    parser.add_argument("--folder", type=Path, help="kept; else a temporary")


def run(arguments):
    """Try every fault; returns how many promises were broken."""
    trials.import_everything()
    recipes = arguments.recipe or RECIPES
    broken = []
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        folder = arguments.folder or Path(folder)
        inputs = trials.make_inputs(folder / "inputs")
        for recipe in recipes:
            faults = Faults(folder / recipe, inputs, recipe)
            for name in ("full_disks", "read_only", "vanished", "odd_names"):
                found = getattr(faults, name)(arguments)
                told = "; ".join(found) or "as promised"
                print(f"{recipe}, {name}: {told}", flush=True)
                broken += found
    return len(broken)


def may_mount():
    """Whether a file system can be mounted here, or why not."""
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        return "only root mounts a file system"
    with tempfile.TemporaryDirectory() as folder:
        made = mount(folder, "1m")
        if made.returncode != 0:
            return made.stderr.strip()
        subprocess.run(["umount", folder], check=True)
    return None


def mount(folder, size, *options):
    """Puts a file system of a size in memory in place of a folder."""
    words = ["-t", "tmpfs", "-o", ",".join([f"size={size}", *options])]
    command = ["mount", *words, "tmpfs", str(folder)]
    return subprocess.run(command, capture_output=True, text=True)


@contextmanager
def disk(folder, size):
    """A folder that holds no more than so many bytes."""
    folder.mkdir(parents=True)
    mount(folder, size).check_returncode()
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


def contents(results):
    """What a run has left, but for what holds the name of its folder."""
    found = trials.contents(results)
    return {n: c for n, c in found.items() if not n.endswith(NAMED)}


class Faults:
    """One recipe and what may befall it.

    Arguments
    ---------
    folder : Path
        Where all of it happens.
    inputs : SimpleNamespace
        Models and clips of ``recipe_trials``.
    recipe : str
        Its name.
    """

    def __init__(self, folder, inputs, recipe):
        self.folder, self.inputs, self.recipe = folder, inputs, recipe
        folder.mkdir()
        self.whole = folder / "whole"
        self.log("whole").touch()
        trials.run(self.words(self.whole), self.log("whole"))
        self.expected = contents(self.whole)

    def words(self, results, **more):
        settings = {**SETTINGS[self.recipe], **more}
        return trials.command(self.recipe, self.inputs, results, **settings)

    def log(self, name):
        return self.folder / f"{name}.txt"

    def start(self, name, results, **more):
        """Starts the recipe with a log of its own."""
        log = self.log(name)
        log.touch()
        # Runs of this machine share a folder of unpacked and measured things.
        cache = {"XDG_CACHE_HOME": str(self.folder / "cache")}
        return trials.fork(self.words(results, **more), log, cache)

    def refusal(self, name, code, words):
        """What is wrong with the way in which a run was refused."""
        told = self.log(name).read_text(errors="replace")
        lines = [line for line in told.splitlines() if "error: " in line]
        if "Traceback" in told:
            return [f"{name}: a traceback ({told.splitlines()[-1]})"]
        if code != 2 or len(lines) != 1 or words not in lines[0]:
            return [f"{name}: exit code {code}, {lines}"]
        return []

    def full_disks(self, arguments):
        """Every size of a disk up to one that is large enough."""
        reason = may_mount()
        if reason is not None:
            print(f"skipped: {reason}")
            return []
        needed = self._kilobytes()
        broken, refused = [], 0
        for number in range(1, arguments.sizes + 1):
            size = max(8, needed * number // arguments.sizes)
            name = f"disk of {size} kB"
            with disk(self.folder / name, f"{size}k") as place:
                code = trials.wait(self.start(name, place / "results"))
                if code != 0:
                    refused += 1
                    broken += self.refusal(name, code, "space")
                mount(place, ROOM, "remount").check_returncode()
                broken += self._goes_on(name, place / "results")
        print(f"{refused} of {arguments.sizes} disks were too small")
        return broken

    def _kilobytes(self):
        """What the recipe needs at its end; on its way it needs more."""
        files = [each for each in self.whole.rglob("*") if each.is_file()]
        return 4 * sum(each.stat().st_size for each in files) // 1024

    def _goes_on(self, name, results):
        """With enough room the same bytes come out."""
        code = trials.wait(self.start(f"{name}, again", results))
        if code != 0:
            return [f"{name}: exit code {code} with room enough"]
        found = contents(results)
        wrong = trials.differences(found, self.expected)
        return [f"{name}: {wrong} differ"] if wrong else []

    def read_only(self, arguments):
        """A corpus that may only be read."""
        corpus = self.folder / "corpus"
        if may_mount() is None:
            with disk(corpus, ROOM):
                return self._only_read(corpus)
        corpus.mkdir()
        return self._only_read(corpus)

    def _only_read(self, corpus):
        """A run on a copy of the corpus; what has changed there."""
        lines = self.inputs.clips.read_text().splitlines()
        for line in lines[1:]:
            shutil.copy(line.split(",")[0], corpus)
        rows = [Path(line).name for line in lines[1:]]
        table = corpus / self.inputs.clips.name
        table.write_text("\n".join([lines[0], *rows]) + "\n")
        for each in [*corpus.iterdir(), corpus]:
            each.chmod(0o555 if each.is_dir() else 0o444)
        if os.path.ismount(corpus):
            # Root may write to a folder whatever its mode is.
            mount(corpus, ROOM, "remount", "ro").check_returncode()
        before = self._state(corpus)
        results = self.folder / "of the corpus"
        code = trials.wait(self.start("corpus", results, manifest=table))
        broken = [] if code == 0 else [f"read-only: exit code {code}"]
        if self._state(corpus) != before:
            broken.append("read-only: the corpus was changed")
        return broken

    @staticmethod
    def _state(folder):
        """Content, times and names of a folder."""
        times = {p.name: p.stat().st_mtime_ns for p in folder.rglob("*")}
        return digests(folder), times, folder.stat().st_mtime_ns

    def vanished(self, arguments):
        """The results folder is removed while the recipe is at work."""
        results = self.folder / "gone"
        process = self.start("gone", results)
        code = None
        while code is None and not list(results.rglob("unfinished.json")):
            code = trials.wait(process, 0.01)
        results.rename(self.folder / "elsewhere")
        code = trials.wait(process) if code is None else code
        broken = self.refusal("gone", code, "gone") if code else []
        return broken + self._goes_on("gone", results)

    def odd_names(self, arguments):
        """Results of every name that people give."""
        broken = []
        for number, name in enumerate(NAMES):
            results = self.folder / f"odd {number}" / name
            code = trials.wait(self.start(f"odd {number}", results))
            if code != 0:
                broken.append(f"{name!r}: exit code {code}")
                continue
            found = contents(results)
            wrong = trials.differences(found, self.expected)
            if wrong:
                broken.append(f"{name!r}: {wrong} differ")
        return broken
