"""Targets of the fuzzer: tables, names, command lines, run folders; all of them.

Each target takes the bytes of an untrusted file, lets ser_brain read it, and
passes on any error that is not documented.
"""

import csv
import io
import json
import os
import shutil
import sys

import fuzz_models
import numpy as np
import soundfile
from fuzz_files import (
    CSV_TOKENS,
    JSON_TOKENS,
    NAME_TOKENS,
    YAML_TOKENS,
    Target,
    documented,
)

from ser_brain.assets import ROOT
from ser_brain.corpora.iemocap import read_iemocap
from ser_brain.corpora.manifest import load_manifest, manifest_key
from ser_brain.corpora.table import read_table
from ser_brain.engines.store import LIST, Home, Part
from ser_brain.errors import InputError, printable
from ser_brain.experiment.arguments import parse_arguments
from ser_brain.experiment.settings import Settings
from ser_brain.experiment.stage import Stage
from ser_brain.files import digests, folder_name
from ser_brain.reporting.learning import learning_curves
from ser_brain.results.frames import load, load_runs
from ser_brain.results.records import read_plan


def tables(folder):
    """Tables of clips in every supported format."""
    for name in ("a.wav", "b.wav"):
        soundfile.write(folder / name, np.zeros(800), 16000)
    rows = [["path", "emotion", "speaker", "session", "fold"]]
    rows += [["a.wav", "sad", "x", "1", "f"], ["b.wav", "calm", "y", "1", "g"]]
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    dicts = [dict(zip(rows[0], row)) for row in rows[1:]]
    by_id = {str(n): one for n, one in enumerate(dicts)}

    def table(suffix):
        path = folder / f"table{suffix}"

        @documented(InputError)
        def read(content):
            path.write_bytes(content)
            read_table(path)

        return read

    manifest = {
        "a": {
            "wav": "{data_root}/a.wav",
            "duration": 1.5,
            "emotion": "sad",
            "speaker": "x",
            "session": "1",
        }
    }

    @documented(InputError)
    def read_manifest(content):
        path = folder / "manifest.json"
        path.write_bytes(content)
        manifest_key(load_manifest(path))

    csvs = [text.getvalue().encode(), b"path,emotion,speaker\na.wav,x,y\n"]
    jsons = [json.dumps(one).encode() for one in (dicts, by_id)]
    return {
        "table.csv": Target(table(".csv"), csvs, CSV_TOKENS),
        "table.json": Target(table(".json"), jsons, JSON_TOKENS),
        "manifest.json": Target(
            read_manifest, [json.dumps(manifest).encode()], JSON_TOKENS
        ),
    }


def labels(folder):
    """IEMOCAP's label files."""
    name = "Ses01F_impro01"
    path = folder / "Session1" / "dialog" / "EmoEvaluation" / f"{name}.txt"
    path.parent.mkdir(parents=True)
    wavs = folder / "Session1" / "sentences" / "wav" / name
    wavs.mkdir(parents=True)
    for number in range(2):
        (wavs / f"{name}_F00{number}.wav").touch()
    lines = [
        "% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\n",
        f"[6.2901 - 8.2357]\t{name}_F000\tneu\t[2.5000, 2.5000, 2.5000]\n",
        "C-E2:\tNeutral;\t()\n",
        f"[10.01 - 11.3925]\t{name}_F001\tfru\t[2.5000, 2.5000, 2.5000]\n",
    ]

    @documented(InputError)
    def read(content):
        path.write_bytes(content)
        read_iemocap(folder, allow_incomplete=True)

    tokens = [b"[", b"]", b"\t", b"xxx", b"\x85", b"\x00", b"Ses09F_", b"../"]
    return {"EmoEvaluation": Target(read, ["".join(lines).encode()], tokens)}


def names(folder):
    """Names that become a folder, or a line on the terminal."""

    def read(content):
        name = content.decode(errors="surrogateescape")
        try:
            found = folder_name(name)
        except UnicodeEncodeError:
            # What no file system of ours takes.
            return
        if "/" in found or found in ("..", ".") or len(found.encode()) > 255:
            raise AssertionError(f"{name!r} became {found!r}")
        told = printable(name)
        if not told.isprintable():
            raise AssertionError(f"{name!r} was told as {told!r}")

    seeds = [b"03", b"../../home", "Ånn B.".encode()]
    return {"names": Target(read, seeds, NAME_TOKENS)}


def command_lines(folder):
    """Command lines after a recipe's yaml."""
    method = folder / "hparams" / "vft.yaml"
    shutil.copytree(ROOT / "hparams", method.parent)

    @documented(InputError)
    def read(content):
        words = content.decode("utf-8", "surrogateescape").split(" ")
        if "-h" in words or "--help" in words:
            return
        path, _, overrides = parse_arguments([str(method), *words])
        settings = Settings(path, overrides)
        settings.apply("corpora", "savee")
        settings.apply_overrides()

    seeds = [
        b"--fold 3 --seed 2 --lr 5e-5 --device cpu",
        b"--classes {angry:[ang],sad:[sad]} --speeds [0.9,1.0] --scale nano",
        b"--fine_tuning {max_seconds:5} --front_end_cache off --augment null",
    ]
    return {"command line": Target(read, seeds, YAML_TOKENS)}


def results(folder):
    """Untrusted run folders."""
    sys.path.append(str(ROOT / "tests" / "results"))
    from run_trees import write_run

    write_run(folder, "vft", "DC", 1)
    run = next(folder.rglob("metrics.json")).parent
    (run / "hyperparams.yaml").write_text("seed: 1 # of all\nlr: 1e-4\n")
    (run / "train_log.txt").write_text(
        "stage: classifier, epoch: 1, lr: 1.00e-04 - train loss: 3.0000\n"
    )
    plan = {
        **dict(corpus="SAVEE", procedure="vft", scale="nano", repeat="all"),
        **dict(outliers="rerun", folds=["DC"], runs=2, seeds={"DC": [1, 2]}),
        "discarded": [{"fold": "DC", "seed": 3}],
        "failed": [{"fold": "DC", "seed": 2, "error": "full"}],
    }
    found = {}

    def target(path, read, tokens):
        whole = path.read_bytes()

        @documented(InputError)
        def spoilt(content):
            try:
                path.write_bytes(content)
                read()
            finally:
                path.write_bytes(whole)

        found[path.name] = Target(spoilt, [whole], tokens)

    def read_tables():
        load(folder)
        load_runs(folder)

    (run / "plan.json").write_text(json.dumps(plan))
    target(run / "plan.json", lambda: read_plan(run / "plan.json"), JSON_TOKENS)
    target(run / "metrics.json", read_tables, JSON_TOKENS)
    target(run / "predictions.csv", read_tables, CSV_TOKENS)
    target(run / "hyperparams.yaml", read_tables, YAML_TOKENS)
    target(run / "train_log.txt", lambda: learning_curves([run]), CSV_TOKENS)
    stage = Stage("P2", folder / "stage", "key")
    stage.run(lambda: {"clips": 3})
    target(stage.folder / "done.json", lambda: stage.done, JSON_TOKENS)
    return found


def homes(folder):
    """The list of files of a store that others can write to."""
    part = Part(folder / "here" / "save", "run", True)
    there = folder / "home" / "run"
    there.mkdir(parents=True)
    (there / "a.txt").write_text("whole")
    for outside in (folder / "here", folder / "home"):
        outside.mkdir(exist_ok=True)
        (outside / "x").write_text("whole")
    names = json.dumps(digests(there)).encode()
    # The same content under names that lead elsewhere.
    astray = names.replace(b"a.txt", b"../x")
    before = digests(folder / "home", leave_out=["run"])

    @documented(InputError, OSError)
    def read(content):
        (there / LIST).write_bytes(content)
        shutil.rmtree(part.folder, ignore_errors=True)
        Home(f"file://{folder}/home").pull(part)

    def kept(content):
        read(content)
        left = digests(folder / "home", leave_out=["run"])
        beside = set(os.listdir(folder / "here")) - {"save", "save.lock", "x"}
        if left != before or beside:
            raise AssertionError(f"the list changed {left}, {beside}")

    tokens = [*JSON_TOKENS, *NAME_TOKENS[:4]]
    return {"home list": Target(kept, [names, astray], tokens)}


MAKERS = (
    tables,
    labels,
    names,
    command_lines,
    results,
    homes,
    *fuzz_models.MAKERS,
)


def all_targets(folder):
    """Every target by its name.

    Arguments
    ---------
    folder : Path
        An empty one, that the targets write to.
    """
    found = {}
    for make in MAKERS:
        place = folder / make.__name__
        place.mkdir()
        found.update(make(place))
    return found
