"""Texts of the report, from ``report.yaml``."""

from pathlib import Path

import yaml

_PATH = Path(__file__).with_name("report.yaml")
TEXTS = yaml.safe_load(_PATH.read_text(encoding="utf-8"))


def notices(corpus, scale):
    """Notices at the top of the report.

    Arguments
    ---------
    corpus, scale : str
        Corpus and scale of the runs.

    Returns
    -------
    list of str
        Sentences; empty for full scale on a real corpus.

    Example
    -------
    >>> notices("SAVEE", "full"), notices("SAVEE", "full-debug")
    ([], ['These runs were cut short by --debug.'])
    """
    kind = scale.split("-")[0]
    layout = corpus.removeprefix("mini-")
    applies = {
        "scale": kind != "full",
        "mini": layout != corpus,
        "random_text": "random_text" in scale,
        "debug": "debug" in scale,
    }
    known = {"kind": kind.capitalize(), "corpus": corpus, "layout": layout}
    said = TEXTS["notices"]
    return [said[name].format(**known) for name in said if applies[name]]
