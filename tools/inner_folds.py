"""Compares settings without the speaker who is tested later.

    python tools/inner_folds.py SAVEE hparams/ptapt.yaml --results DIR \
        --try "" --try "--adaptation_lr 1e-4" --jobs 2 \
        -- --scale small --data_folder DIR

For each fold of the corpus, its training part alone is cut into inner folds.
The model of an inner fold leaves out two of the corpus's folds, and either is
the inner fold of the other: every pair is trained once and scored on both. The
column of a fold is the mean UA over its inner folds, so that a setting chosen
by it has not seen the fold's test clips. Prints a Markdown table. Scores are
kept in DIR, so that the same command goes on where it was stopped.
"""

import argparse
import csv
import shlex
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import combinations
from pathlib import Path

import numpy as np

from ser_brain.corpora import prepare
from ser_brain.engines.runs import script_name
from ser_brain.evaluation.metrics import unweighted_accuracy
from ser_brain.experiment.outline import Outline
from ser_brain.files import folder_name
from ser_brain.results.outputs import read_json, write_json
from ser_brain.results.runs import read_run

ROOT = Path(__file__).resolve().parents[1]


class Pair:
    """Two folds that are left out together.

    Arguments
    ---------
    outline : Outline
        The prepared corpus.
    names : tuple of str
        The two folds.
    results : Path
        Where its tables, runs and scores are written.
    """

    def __init__(self, outline, names, results):
        self.names, self.results = names, results
        stem = folder_name("without_" + "_".join(names))
        self.train = results / f"{stem}.csv"
        self.test = results / f"{stem}_test.csv"
        self.kept = results / f"{stem}.json"
        self.fold_of = {}
        for name in names:
            for entry in outline.entries(outline.of(name).fold.test).values():
                self.fold_of[entry["speaker"]] = name
        everyone = outline.manifest.values()
        left_out = [one for one in everyone if one["speaker"] in self.fold_of]
        root = str(Path(outline.data_folder).resolve())
        write_table(self.test, left_out, root)
        rest = [one for one in everyone if one["speaker"] not in self.fold_of]
        write_table(self.train, rest, root)

    def scores(self, recipe, yaml, settings):
        """UA of each of the two folds, in percent, trained if not known."""
        kept = read_json(self.kept) if self.kept.is_file() else {}
        key = shlex.join([yaml, *settings])
        if key not in kept:
            kept[key] = self.measure(recipe, yaml, settings)
            write_json(self.kept, kept)
        return kept[key]

    def measure(self, recipe, yaml, settings):
        """Train without both folds, and score each."""
        words = [yaml, "--manifest", str(self.train), *settings]
        words += ["--test_manifest", str(self.test)]
        done = subprocess.run(
            [sys.executable, str(recipe), *words, "--results", self.results],
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise SystemExit(done.stderr[-2000:])
        run = f"{self.train.stem}/*/*/fold_*/seed_*/metrics.json"
        (path,) = self.results.glob(run)
        columns = {name: ([], []) for name in self.names}
        for row in read_run(path.parent).rows:
            # Its name begins with that of the test table.
            speaker = row["speaker"].partition("/")[2]
            truth, predicted = columns[self.fold_of[speaker]]
            truth.append(row["label"])
            predicted.append(row["prediction"])
        # Another setting has the same run folder; P1 and P2 are kept.
        shutil.rmtree(path.parent)
        return {
            name: 100 * unweighted_accuracy(truth, predicted)
            for name, (truth, predicted) in columns.items()
        }


def write_table(path, entries, root):
    """Write manifest entries as a table of a user's own corpus."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "emotion", "speaker", "text"])
        for entry in entries:
            wav = entry["wav"].replace("{data_root}", root)
            row = [wav, entry["emotion"], entry["speaker"]]
            writer.writerow([*row, entry.get("text", "")])


def inner_mean(scores, name):
    """Mean UA over a fold's inner folds: the others, scored without it."""
    return np.mean(
        [
            score
            for pair in scores
            if name in pair
            for other, score in pair.items()
            if other != name
        ]
    )


def parse(argv):
    """Parse the command line; what follows ``--`` is given to every run."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("corpus")
    parser.add_argument("yaml")
    parser.add_argument("--results", type=Path, required=True)
    parser.add_argument("--try", dest="tries", action="append", default=[])
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time")
    parser.epilog = "What follows -- is given to every run."
    cut = argv.index("--") if "--" in argv else len(argv)
    args = parser.parse_args(argv[:cut])
    args.common = argv[cut + 1 :]
    return args


def main():
    args = parse(sys.argv[1:])
    outline = Outline([args.yaml, *args.common], args.corpus)
    outline.prepare(lambda *words: prepare(args.corpus, *words))
    names = outline.fold_names()
    script = script_name(Path(args.yaml).stem)
    recipe = ROOT / "recipes" / args.corpus / script
    pairs = [
        Pair(outline, names, args.results) for names in combinations(names, 2)
    ]
    print(f"| settings | {' | '.join(names)} | mean |")
    print("|---" * (len(names) + 2) + "|", flush=True)
    for setting in args.tries or [""]:
        words = [*args.common, *shlex.split(setting)]
        with ThreadPoolExecutor(args.jobs) as pool:
            scores = list(
                pool.map(
                    lambda pair: pair.scores(recipe, args.yaml, words), pairs
                )
            )
        means = [inner_mean(scores, name) for name in names]
        cells = " | ".join(f"{mean:.1f}" for mean in means)
        told = setting or "as they are"
        print(f"| {told} | {cells} | {np.mean(means):.1f} |", flush=True)


if __name__ == "__main__":
    main()
