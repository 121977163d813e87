"""``ser-brain states RUN FILE``: the emotion states of a recording."""

import csv
from pathlib import Path

from ser_brain.reporting.formats import counted

HELP = "the strip of a P-TAPT run's emotion states over a recording"
EXAMPLES = (
    "ser-brain states results/SAVEE/ptapt/nano/fold_JE/seed_1 a.wav",
    "ser-brain states results/SAVEE/ptapt/nano/fold_JE/seed_1 a.wav "
    "--k 64 --output a",
)


def add_arguments(sub):
    """Add the command's arguments.

    Arguments
    ---------
    sub : argparse.ArgumentParser
        The subparser of ``states``.

    Example
    -------
    >>> import argparse
    >>> parser = argparse.ArgumentParser()
    >>> add_arguments(parser)
    >>> parser.parse_args(["run", "a.wav", "--k", "64"]).k
    64
    """
    sub.add_argument("run", metavar="RUN", help="a P-TAPT run, .../seed_1")
    sub.add_argument("file", metavar="FILE", help="an audio file")
    sub.add_argument(
        "--k", type=int, help="which k-means (default: the fewest clusters)"
    )
    sub.add_argument(
        "--output",
        type=Path,
        default=Path("states"),
        help="folder of the picture, the CSV and the JSON (states)",
    )


def run(arguments):
    """Write the strip as CSV, JSON and PNG, and print the paths.

    Arguments
    ---------
    arguments : argparse.Namespace
        With the options of :func:`add_arguments`.

    Returns
    -------
    int
        0.

    Raises
    ------
    InputError
        If the run has no emotion states, or the file is invalid.
    """
    from ser_brain.files import atomic_path
    from ser_brain.inference.states import StateReader
    from ser_brain.reporting.strip import strip_picture
    from ser_brain.results.outputs import write_json

    strip = StateReader(arguments.run, arguments.k).read(arguments.file)
    picture = strip_picture(strip)
    folder = arguments.output
    folder.mkdir(parents=True, exist_ok=True)
    picture.save(folder)
    write_json(folder / f"{picture.name}.json", strip.as_json())
    segments = strip.segments()
    table = folder / f"{picture.name}.csv"
    with atomic_path(table) as temporary:
        with open(temporary, "w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(segments[0]))
            writer.writeheader()
            writer.writerows(segments)
    print(f"{counted(len(segments), 'segment')}. {picture.alternative}")
    for suffix in ("csv", "json", "png"):
        print(folder / f"{picture.name}.{suffix}")
    return 0
