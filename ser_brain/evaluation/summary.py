"""Run folders to the protocol's table: mean over folds of the mean over runs.

    python -m ser_brain.evaluation.summary results/SAVEE

Reads metrics.json files only.
"""

import argparse
import json
import statistics
import sys
from pathlib import Path

from ser_brain.errors import InputError

IDENTITY = ("corpus", "procedure", "scale")


def read_runs(folder):
    """All metrics.json below a folder.

    Arguments
    ---------
    folder : str or Path
        A results folder.

    Returns
    -------
    list of dict
        In the order of their paths.

    Raises
    ------
    InputError
        If there is none.
    """
    paths = sorted(Path(folder).rglob("metrics.json"))
    if not paths:
        raise InputError(
            f"{folder} holds no metrics.json: give a folder that a recipe "
            "wrote its results to."
        )
    return [json.loads(path.read_text(encoding="utf-8")) for path in paths]


def summarize(runs):
    """UA of one procedure: by fold, and over all.

    Arguments
    ---------
    runs : list of dict
        Contents of metrics.json, of one corpus, procedure and scale.

    Returns
    -------
    dict
        ``folds``: fold -> mean UA over its runs; ``mean``: mean over folds;
        ``deviation``: standard deviation, over seeds, of the mean over folds
        (None with one seed, or where seeds lack folds); ``runs``: their
        number. All in percent.

    Raises
    ------
    InputError
        If the runs are of more than one kind.

    Example
    -------
    >>> kind = {"corpus": "A", "procedure": "vft", "scale": "nano"}
    >>> runs = [
    ...     {**kind, "fold": fold, "seed": seed, "UA": ua}
    ...     for fold, seed, ua in [("x", 1, 0.2), ("x", 2, 0.4), ("y", 1, 0.6)]
    ... ]
    >>> table = summarize(runs)
    >>> [round(table["folds"][fold]) for fold in "xy"], round(table["mean"])
    ([30, 60], 45)
    """
    kinds = {tuple(run[key] for key in IDENTITY) for run in runs}
    if len(kinds) > 1:
        raise InputError(
            f"runs of different kinds are not one mean: {sorted(kinds)}."
        )
    by_fold, by_seed = {}, {}
    for run in runs:
        by_fold.setdefault(run["fold"], []).append(100 * run["UA"])
        by_seed.setdefault(run["seed"], []).append(100 * run["UA"])
    folds = {fold: statistics.mean(uas) for fold, uas in by_fold.items()}
    whole = all(len(uas) == len(folds) for uas in by_seed.values())
    deviation = None
    if whole and len(by_seed) > 1:
        deviation = statistics.stdev(map(statistics.mean, by_seed.values()))
    return {
        "folds": folds,
        "mean": statistics.mean(folds.values()),
        "deviation": deviation,
        "runs": len(runs),
    }


def markdown(runs):
    """A Markdown table, one row for each corpus, procedure and scale.

    Example
    -------
    >>> run = {"corpus": "A", "procedure": "vft", "scale": "nano"}
    >>> print(markdown([{**run, "fold": "x", "seed": 1, "UA": 0.5}]))
    | corpus | procedure | scale | runs | x | mean UA |
    |---|---|---|---|---|---|
    | A | vft | nano | 1 | 50.0 | 50.0 |
    """
    kinds = {}
    for run in runs:
        kinds.setdefault(tuple(run[key] for key in IDENTITY), []).append(run)
    names = sorted({str(run["fold"]) for run in runs})
    head = [*IDENTITY, "runs", *names, "mean UA"]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for kind, members in kinds.items():
        table = summarize(members)
        cells = [
            f"{table['folds'][name]:.1f}" if name in table["folds"] else "–"
            for name in names
        ]
        mean = f"{table['mean']:.1f}"
        if table["deviation"] is not None:
            mean += f" ± {table['deviation']:.1f}"
        row = [*kind, str(table["runs"]), *cells, mean]
        lines.append(f"| {' | '.join(row)} |")
    return "\n".join(lines)


def main(argv=None):
    """Prints the table of a results folder."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("folder")
    try:
        print(markdown(read_runs(parser.parse_args(argv).folder)))
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
