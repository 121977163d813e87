"""The commands of ``torture_writes.py``, at a size that takes seconds."""

import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import recipe_trials as trials

SETTINGS = {
    "train_vft": {"epochs": 2, "front_end_cache": "disk"},
    "train_frozen": {"head_epochs": 2},
    "train_tapt": {"epochs": 1, "adaptation_steps": 3},
    "train_ptapt": {"epochs": 1, "front_end_cache": "disk"},
}


def import_everything():
    """Imports what the commands import."""
    import onnxruntime  # noqa: F401

    import ser_brain.cli  # noqa: F401
    import ser_brain.experiment.table_model  # noqa: F401
    import ser_brain.reporting.report  # noqa: F401
    import ser_brain.serving.export  # noqa: F401
    import ser_brain.serving.hub  # noqa: F401


def recipe(name):
    """A case that runs a recipe."""

    def make(folder):
        inputs = inputs_in(folder)

        def words(work):
            results = work / "results"
            more = {**SETTINGS[name], "ckpt_interval_steps": 1}
            return trials.command(name, inputs, results, **more)

        return SimpleNamespace(words=words, prepare=lambda work: None)

    return make


def inputs_in(folder):
    """Models and clips, made once."""
    place = folder / "inputs"
    if not place.is_dir():
        return trials.make_inputs(place)
    return SimpleNamespace(
        w1=place / "w1", w2=place / "w2", clips=place / "few.csv"
    )


def finished(folder, name):
    """The results of a recipe, run once."""
    results = folder / f"finished {name}"
    if not results.is_dir():
        settings = SETTINGS[name]
        words = trials.command(name, inputs_in(folder), results, **settings)
        log = folder / "finished.txt"
        log.touch()
        trials.run(words, log)
    return results


def on_run(name, command):
    """A case that runs ser-brain on a copy of a recipe's results.

    The command line names {results}, the {run} in them, {clips[0]} to
    {clips[2]}, and the {work} folder.
    """

    def make(folder):
        results = finished(folder, name)
        (scores,) = results.rglob("metrics.json")
        inner = scores.parent.relative_to(results)

        def words(work):
            copy = work / "results"
            known = {"results": copy, "run": copy / inner, "work": work}
            known["clips"] = recordings()
            given = [word.format(**known) for word in command.split()]
            return [Path(sys.executable).with_name("ser-brain"), *given]

        def prepare(work):
            shutil.copytree(results, work / "results")

        return SimpleNamespace(words=words, prepare=prepare)

    return make


def train(folder):
    """A case that runs ``ser-brain train``."""
    inputs = inputs_in(folder)

    def words(work):
        command = Path(sys.executable).with_name("ser-brain")
        settings = ["--head_epochs", 1, "--scale", "nano"]
        output = ["--output", work / "model", "--encoder", inputs.w2]
        return [command, "train", inputs.clips, *output, *settings]

    return SimpleNamespace(words=words, prepare=lambda work: None)


def recordings():
    """Clips of the mini corpus."""
    from recipe_runs import AUDIO

    return sorted(AUDIO.glob("03_angry_*.flac"))[:3]


CASES = {
    "vft": recipe("train_vft"),
    "frozen": recipe("train_frozen"),
    "tapt": recipe("train_tapt"),
    "ptapt": recipe("train_ptapt"),
    "train": train,
    "report": on_run(
        "train_vft", "report {results} --resamples 100 --output {work}/report"
    ),
    "predict": on_run(
        "train_vft",
        "predict {run} {clips[0]} {clips[1]} {clips[2]} "
        "--output {work}/all.jsonl",
    ),
    "push": on_run("train_vft", "push {run} {work}/pushed"),
    "export": on_run("train_vft", "export {run} --onnx {work}/model.onnx"),
    "export_int8": on_run(
        "train_vft", "export {run} --onnx {work}/model.onnx --int8"
    ),
    "timeline": on_run(
        "train_vft", "timeline {run} {clips[0]} --picture {work}/line.png"
    ),
    "states": on_run(
        "train_ptapt", "states {run} {clips[0]} --output {work}/states"
    ),
}
