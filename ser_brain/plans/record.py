"""plan.json: what a plan writes there, joined with earlier plans."""

from ser_brain.results.outputs import read_json
from ser_brain.results.records import RECORD, run_name

# Choices that two plans must have in common to share one record.
CHOICES = ("recipe", "yaml", "runs", "repeat", "outliers", "overrides")
LISTS = ("discarded", "failed", "missing")


def read_record(folder):
    """Read the record of an earlier plan in a folder; None without one."""
    path = folder / RECORD
    return read_json(path) if path.is_file() else None


def joined(record, old, all_folds):
    """Join a record with the other folds of an earlier one of the same plan.

    Arguments
    ---------
    record : dict
        Record of the folds that are planned now.
    old : dict or None
        The earlier record, ignored if it was made with other choices.
    all_folds : list of str
        All folds of the corpus, in order.

    Returns
    -------
    dict

    Example
    -------
    >>> choices = dict.fromkeys(CHOICES, 1) | dict.fromkeys(LISTS, [])
    >>> new = {"folds": ["DC"], "seeds": {"DC": [1]}, **choices}
    >>> old = {"folds": ["JE"], "seeds": {"JE": [1]}, **choices}
    >>> joined(new, old, ["DC", "JE"])["folds"]
    ['DC', 'JE']
    """
    if old is None or any(old[key] != record[key] for key in CHOICES):
        return record
    others = set(old["folds"]) - set(record["folds"])
    both = {*record["folds"], *others}
    seeds = {f: s for f, s in old["seeds"].items() if f in others}
    lists = {
        name: record[name] + [o for o in old[name] if o["fold"] in others]
        for name in LISTS
    }
    folds = [fold for fold in all_folds if fold in both]
    return {**record, "folds": folds, "seeds": record["seeds"] | seeds, **lists}


def failures(record, folds):
    """Error messages of failed runs, by fold and seed."""
    failed = {run_name(one): one["error"] for one in record["failed"]}
    return {name: error for name, error in failed.items() if name[0] in folds}
