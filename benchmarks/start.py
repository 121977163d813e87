"""Time from the start of a run to its first update.

    python benchmarks/start.py --data_folder /path/to/SAVEE --turns 3

The full-size V-FT recipe as a user starts it, on a table of 40 clips: the
first start writes the manifest and the front-end cache, later ones find them.
Each process ends at its first update. Writes benchmarks/results/start.json.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from common import ROOT, write_report


def first_update():
    """The recipe's process: says when its first update was computed."""
    sys.path.insert(0, str(ROOT / "recipes" / "SAVEE"))
    from savee_prepare import prepare_savee

    from ser_brain.brains import UtteranceBrain
    from ser_brain.experiment import run_recipe
    from ser_brain.experiment.stages import fine_tune

    class OneUpdate(UtteranceBrain):
        """Tells the time before and after the first update, and ends."""

        def fit_batch(self, batch):
            begun = time.time()
            super().fit_batch(batch)
            print("updated", begun, time.time(), flush=True)
            os._exit(0)

    def train(experiment):
        fine_tune(experiment, OneUpdate, "fine_tuning")

    run_recipe(train, "SAVEE", prepare_savee, sys.argv[2:])


def start(words):
    """Seconds from the start of a process to its first update, and after."""
    begun = time.time()
    command = [sys.executable, __file__, "--recipe", *words]
    ended = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=True
    )
    line = [one for one in ended.stdout.splitlines() if "updated" in one][-1]
    before, after = map(float, line.split()[1:])
    return {
        "to_first_update": round(before - begun, 2),
        "first_update": round(after - before, 2),
    }


def main():
    """Reads the command line, measures, writes the figures."""
    from full_size import random_checkpoints, table_of_clips

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data_folder", required=True)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--batch_size", type=int, default=4)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        base, _ = random_checkpoints(Path(scratch))
        table = Path(scratch, "clips.csv")
        table_of_clips(arguments.data_folder, table, train=32, test=8)
        words = ["hparams/vft.yaml", "--manifest", str(table)]
        words += ["--fold", "test", "--encoder", str(base)]
        words += ["--results", str(Path(scratch, "results"))]
        words += ["--batch_size", str(arguments.batch_size)]
        turns = range(arguments.turns + 1)
        cold, *warm = [start([*words, "--seed", str(turn)]) for turn in turns]
    print("first start", cold, "later ones", warm)
    write_report("start", {"clips": 40, "cold": cold, "warm": warm})


if __name__ == "__main__":
    first_update() if "--recipe" in sys.argv[1:2] else main()
