"""All benchmarks one after the other: `make bench`.

    python benchmarks/run_all.py [--data_folder /path/to/SAVEE]

The clips are those of SAVEE_ROOT or --data_folder, else of the embedded mini
corpus. Writes benchmarks/results/*.json and docs/performance_*.png.
"""

import argparse
import os
import subprocess
import sys
import time

from common import ROOT

from ser_brain.corpora import find_data_folder
from ser_brain.corpora.mini import default_target, unpack_mini


def clips_folder(given):
    """SAVEE, or the mini corpus in its layout."""
    folder = find_data_folder("SAVEE", given)
    if folder is not None:
        return folder
    target = default_target("SAVEE")
    unpack_mini("SAVEE", target)
    print(f"SAVEE is not configured: clips of the mini corpus, {target}.")
    return target


def main():
    """Runs each script; the first that fails ends it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data_folder", help="else SAVEE_ROOT")
    given = parser.parse_args().data_folder
    is_savee = find_data_folder("SAVEE", given) is not None
    folder = str(clips_folder(given))
    corpus = ["--data_folder", folder]
    plan = [
        ["steps.py", *(corpus if is_savee else [])],
        ["profile_step.py", *(corpus if is_savee else [])],
        ["start.py", *corpus],
        ["kmeans.py", *corpus],
        ["growth.py", *corpus],
        ["inference.py", *corpus],
        ["serving.py", *corpus],
        ["pictures.py"],
    ]
    for script, *words in plan:
        begun = time.time()
        command = [sys.executable, str(ROOT / "benchmarks" / script), *words]
        environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
        code = subprocess.run(command, cwd=ROOT, env=environment).returncode
        print(f"{script}: {time.time() - begun:.0f} s", flush=True)
        if code != 0:
            return code
    return 0


if __name__ == "__main__":
    sys.exit(main())
