"""The paper's figures, printed beside measured ones.

L.-W. Chen and A. Rudnicky, "Exploring wav2vec 2.0 fine tuning for improved
speech emotion recognition", ICASSP 2023, arXiv 2110.06309. The figures are in
``published.yaml``.
"""

from pathlib import Path

import yaml

_PATH = Path(__file__).with_name("published.yaml")
_PAPER = yaml.safe_load(_PATH.read_text(encoding="utf-8"))

SOURCE = _PAPER["source"]

# The paper's names of the procedures, in the order of its rows.
PROCEDURES = {"vft": "V-FT", "tapt": "TAPT", "ptapt": "P-TAPT"}

# Runs of each fold.
RUNS = _PAPER["runs"]

# UA by fold and their mean, by corpus and procedure: Tables 1 and 2.
PUBLISHED = {
    (corpus, name): dict(zip(rows["folds"], row, strict=True))
    for corpus, rows in _PAPER["accuracy"].items()
    for name, row in rows.items()
    if name != "folds"
}

# Pretraining loss of the unadapted model: Table 3.
PRETRAINING_LOSS = _PAPER["pretraining_loss"]

# UA on session 5 by hours of training data: Table 4.
DATA_SIZE_FOLD = _PAPER["data_size"]["fold"]
DATA_SIZE_HOURS = _PAPER["data_size"]["hours"]
DATA_SIZE = {name: _PAPER["data_size"][name] for name in PROCEDURES}
DATA_SIZE_RATIO = _PAPER["data_size"]["ratio"]

# Rows of Table 5 that others published: name, procedure (the method file that
# runs it, or what comes nearest to it, here: ours), modality (what the system
# hears or reads), UA on IEMOCAP in percent as the paper prints it, source.
OTHER_SYSTEMS = _PAPER["systems"]

# What every procedure of a table is called.
TITLES = PROCEDURES | {
    one["procedure"]: one.get("ours", one["name"]) for one in OTHER_SYSTEMS
}


def procedure_title(name):
    """The usual name of a procedure, or of a variant of one.

    Example
    -------
    >>> procedure_title("ptapt"), procedure_title("ptapt-iterated")
    ('P-TAPT', 'P-TAPT iterated')
    """
    base, _, variant = name.partition("-")
    return f"{TITLES.get(base, base)} {variant}".strip()
