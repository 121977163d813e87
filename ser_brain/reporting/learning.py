"""Learning curves from train_log.txt, which SpeechBrain's logger writes."""

import re

import pandas

from ser_brain.errors import InputError

EPOCH = re.compile(r"^stage: (\w+), epoch: (\d+),")
LOSS = re.compile(r"\b(train|valid) loss: (\S+?)(?:,|\s|$)")


def read_curves(text):
    """Read the losses of one run, by stage and part.

    A stage that was run again begins with epoch 1 again, a resumed one with an
    earlier epoch than the last: older lines from that epoch on are dropped.

    Arguments
    ---------
    text : str
        Content of train_log.txt.

    Returns
    -------
    dict
        Stage -> epoch -> part ("train", "valid") -> loss.

    Example
    -------
    >>> line = "stage: adapted, epoch: {}, lr: 1e-4 - train loss: {}, a: 2"
    >>> read_curves("\\n".join([line.format(1, 9.0), line.format(1, 3.5)]))
    {'adapted': {1: {'train': 3.5}}}
    """
    stages = {}
    for line in text.splitlines():
        head = EPOCH.match(line)
        if head is None:
            continue
        stage, epoch = head[1], int(head[2])
        known = stages.get(stage, {})
        before = {e: losses for e, losses in known.items() if e < epoch}
        losses = {part: float(value) for part, value in LOSS.findall(line)}
        stages[stage] = before | {epoch: losses}
    return stages


def learning_curves(folders):
    """Collect the curves of several runs.

    Arguments
    ---------
    folders : list of Path
        Run folders; one without train_log.txt has no curve.

    Returns
    -------
    dict
        Stage -> part -> list of pandas.Series, the losses of one run by
        epoch; stages in the order in which they occur.
    """
    curves = {}
    for path in (folder / "train_log.txt" for folder in folders):
        for stage, by_epoch in _read(path).items():
            for part in ("train", "valid"):
                known = {e: v[part] for e, v in by_epoch.items() if part in v}
                if known:
                    lines = curves.setdefault(stage, {}).setdefault(part, [])
                    lines.append(pandas.Series(known))
    return curves


def _read(path):
    """Curves of a train_log.txt; none if there is no such file."""
    if not path.is_file():
        return {}
    try:
        return read_curves(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(
            f"{path} is not a log of SpeechBrain ({error}): run the recipe "
            "again, or remove the file."
        ) from error
