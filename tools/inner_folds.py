"""Compares settings without the speaker who is tested later.

    python tools/inner_folds.py SAVEE hparams/frozen.yaml --results DIR \
        --try "" --try "--head_lr 0.003" -- --scale small --data_folder DIR

For each fold of the corpus, the clips of its training part alone are cut into
inner folds, one speaker out; every setting is trained and scored on these. The
column of a fold is the mean UA over its inner folds: a setting that is chosen
by it has not seen the fold's test speaker. Prints a Markdown table.
"""

import argparse
import csv
import json
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np

from ser_brain.corpora import prepare
from ser_brain.engines.runs import script_name
from ser_brain.experiment.outline import Outline

ROOT = Path(__file__).resolve().parents[1]


def training_table(outline, fold, folder):
    """A table of a fold's training part, its speakers as inner folds."""
    train = outline.of(fold).fold.train
    path = folder / f"without_{fold}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    root = str(Path(outline.data_folder).resolve())
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "emotion", "speaker", "text"])
        for key in train:
            entry = outline.manifest[key]
            wav = entry["wav"].replace("{data_root}", root)
            row = [wav, entry["emotion"], entry["speaker"]]
            writer.writerow([*row, entry.get("text", "")])
    return path


def score(recipe, yaml, table, fold, results, settings):
    """UA of one inner fold, in percent."""
    words = [yaml, "--manifest", str(table), "--fold", fold]
    words += ["--results", str(results), *settings]
    done = subprocess.run(
        [sys.executable, str(recipe), *words], capture_output=True, text=True
    )
    if done.returncode:
        raise SystemExit(done.stderr[-2000:])
    (path,) = results.glob(f"{table.stem}/*/*/fold_{fold}/seed_*/metrics.json")
    ua = 100 * json.loads(path.read_text(encoding="utf-8"))["UA"]
    # Another setting has the same run folder: kept features are shared.
    shutil.rmtree(path.parent)
    return ua


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("corpus")
    parser.add_argument("yaml")
    parser.add_argument("--results", type=Path, required=True)
    parser.add_argument("--folds", help="outer folds, by commas; default all")
    parser.add_argument("--try", dest="tries", action="append", default=[])
    parser.epilog = "What follows -- is given to every run."
    words, _, common = " ".join(map(shlex.quote, sys.argv[1:])).partition(
        " -- "
    )
    args = parser.parse_args(shlex.split(words))
    args.common = shlex.split(common)
    outline = Outline([args.yaml, *args.common], args.corpus)
    outline.prepare(lambda *words: prepare(args.corpus, *words))
    names = args.folds.split(",") if args.folds else outline.fold_names()
    script = script_name(Path(args.yaml).stem)
    recipe = ROOT / "recipes" / args.corpus / script
    print(f"| settings | {' | '.join(names)} | mean |")
    print("|---" * (len(names) + 2) + "|")
    for setting in args.tries or [""]:
        words = [*args.common, *shlex.split(setting)]
        means = []
        for name in names:
            table = training_table(outline, name, args.results)
            entries = outline.entries(outline.of(name).fold.train).values()
            speakers = sorted({entry["speaker"] for entry in entries})
            scores = [
                score(recipe, args.yaml, table, speaker, args.results, words)
                for speaker in speakers
            ]
            means.append(np.mean(scores))
        cells = " | ".join(f"{mean:.1f}" for mean in means)
        told = setting or "as they are"
        print(f"| {told} | {cells} | {np.mean(means):.1f} |", flush=True)


if __name__ == "__main__":
    main()
