"""plan.json: what was planned, and what became of it, for the report."""

import json

from ser_brain.files import write_atomically

RECORD = "plan.json"
# What two plans have to agree on to be one record.
CHOICES = ("recipe", "yaml", "runs", "repeat", "outliers", "overrides")
LISTS = ("discarded", "failed", "missing")


def read_record(folder):
    """What an earlier plan left in a folder; None where there was none."""
    path = folder / RECORD
    if not path.is_file():
        return None
    return json.loads(path.read_text(encoding="utf-8"))


def write_record(folder, record):
    """Writes the record, whole or not at all."""
    text = json.dumps(record, indent=2, ensure_ascii=False)
    write_atomically(folder / RECORD, text + "\n")


def joined(record, old, all_folds):
    """A record with the other folds of an earlier one of the same plan.

    Arguments
    ---------
    record : dict
        Of the folds that are planned now.
    old : dict or None
        The earlier one. Where it was made by other choices it is dropped.
    all_folds : list of str
        Folds of the corpus, for their order.

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
    others = [fold for fold in old["folds"] if fold not in record["folds"]]
    both = {*record["folds"], *others}
    return {
        **record,
        "folds": [fold for fold in all_folds if fold in both],
        "seeds": record["seeds"] | {f: old["seeds"][f] for f in others},
        **{
            name: record[name] + [o for o in old[name] if o["fold"] in others]
            for name in LISTS
        },
    }


def failures(record, folds):
    """What runs of some folds said when they failed, by fold and seed."""
    return {
        (one["fold"], one["seed"]): one["error"]
        for one in record["failed"]
        if one["fold"] in folds
    }
