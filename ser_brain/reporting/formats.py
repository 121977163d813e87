"""Formatting of numbers, and the table printed at the end of a run."""

import statistics

NOTHING = "–"
# How a cross-validation divided the clips, by rule.
DIVIDED = {
    "table": "each fold of the table",
    "speakers": "each speaker",
    "groups": "each group of speakers",
    "clips": "each part of one speaker's clips",
}


def counted(number, name):
    """Format a number with its noun.

    Example
    -------
    >>> counted(1, "clip"), counted(2, "clip"), counted(2, "class")
    ('1 clip', '2 clips', '2 classes')
    """
    if number == 1:
        return f"{number} {name}"
    return f"{number} {name}{'es' if name.endswith('s') else 's'}"


def spoken(seconds):
    """Format a duration in a suitable unit.

    Example
    -------
    >>> spoken(12.34), spoken(1806), spoken(9000)
    ('12.3 s', '30.1 min', '2.5 h')
    """
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s"


def shown(value, deviation=None, decimals=1, empty=NOTHING):
    """Format a figure for printing.

    Arguments
    ---------
    value : float or None
        The figure, in the printed unit.
    deviation : float, optional
        Its deviation.
    decimals : int
        Digits after the decimal point.
    empty : str
        Text for a missing figure.

    Returns
    -------
    str

    Example
    -------
    >>> shown(71.25, 1.04), shown(None), shown(-3.0, decimals=2)
    ('71.2 ± 1.0', '–', '−3.00')
    """
    if value is None:
        return empty
    # No minus before a zero.
    text = f"{round(value, decimals) + 0.0:.{decimals}f}".replace("-", "−")
    return text if deviation is None else f"{text} ± {deviation:.{decimals}f}"


def percent(share, deviation=None):
    """Format a fraction in percent with one decimal; a dash if missing.

    Example
    -------
    >>> percent(0.7516), percent(0.7516, 0.01), percent(float("nan"))
    ('75.2', '75.2 ± 1.0', '–')
    """
    if share is None or share != share:
        return NOTHING
    return shown(100 * share, None if deviation is None else 100 * deviation)


def signed(share):
    """Format a difference of fractions in percent; a dash if missing.

    Example
    -------
    >>> signed(0.0102), signed(-0.2), signed(float("nan"))
    ('+1.0', '−20.0', '–')
    """
    if share != share:
        return NOTHING
    return f"{100 * share:+.1f}".replace("-", "−")


def interval(pair):
    """Format an interval in percent; a dash if there is none.

    Example
    -------
    >>> interval((0.701, 0.8)), interval(None)
    ('70.1 to 80.0', '–')
    """
    if pair is None:
        return NOTHING
    return " to ".join(map(percent, pair))


def p_value(p):
    """Format a p value for printing.

    Example
    -------
    >>> p_value(0.0413), p_value(0.00009)
    ('0.041', '< 0.001')
    """
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def mean_deviation(values):
    """Format the mean of fractions and their sample deviation, in percent.

    Example
    -------
    >>> mean_deviation([0.5, 0.6]), mean_deviation([0.5]), mean_deviation([])
    ('55.0 ± 7.1', '50.0', '–')
    """
    return percent(*moments(values))


def moments(values):
    """Mean and sample deviation; None if there are too few values.

    Example
    -------
    >>> moments([60.0, 62.0]), moments([60.0]), moments([])
    ((61.0, 1.414...), (60.0, None), (None, None))
    """
    mean = statistics.mean(values) if values else None
    return mean, statistics.stdev(values) if len(values) > 1 else None


def summary_table(metrics):
    """The table at the end of a run: each score against chance, in percent.

    Chance is 100 / classes: what a uniform guess scores in UA, in WA and in
    the recall of every class.

    Arguments
    ---------
    metrics : dict
        UA, WA, macro_f1, recall and n, as
        :func:`ser_brain.evaluation.metrics.scores` returns them.

    Returns
    -------
    str
        Lines of plain text, without a newline at the end.

    Example
    -------
    >>> from ser_brain.evaluation.metrics import scores
    >>> print(summary_table(scores(["sad", "angry"], ["sad", "sad"])))
    2 clips             %   chance
    ------------------------------
    UA               50.0     50.0
    WA               50.0     50.0
    macro F1         33.3
    recall angry      0.0     50.0
    recall sad      100.0     50.0
    """
    recall = metrics["recall"]
    chance = f"{100 / len(recall):9.1f}"
    lines = [
        ("UA", metrics["UA"], chance),
        ("WA", metrics["WA"], chance),
        ("macro F1", metrics["macro_f1"], ""),
        *((f"recall {name}", value, chance) for name, value in recall.items()),
    ]
    width = max(len(name) for name, _, _ in lines)
    head = counted(metrics["n"], "clip").ljust(width)
    head += f"{'%':>9}{'chance':>9}"
    body = [
        # A class without test clips has no recall.
        f"{name:<{width}}"
        f"{'no clip' if value is None else percent(value):>9}{beside}"
        for name, value, beside in lines
    ]
    return "\n".join([head, "-" * len(head), *body])


def ratings_summary(metrics):
    """The table at the end of a run that predicts ratings.

    Arguments
    ---------
    metrics : dict
        CCC, RMSE, mean_CCC and n, as
        :func:`ser_brain.evaluation.ratings.rating_scores` returns them.

    Returns
    -------
    str
        As of :func:`summary_table`.

    Example
    -------
    >>> scores = {"CCC": {"valence": 0.5}, "RMSE": {"valence": 0.25}}
    >>> print(ratings_summary({**scores, "mean_CCC": 0.5, "n": 3}))
    3 clips      CCC     RMSE
    -------------------------
    valence    0.500    0.250
    mean       0.500
    """
    clips = counted(metrics["n"], "clip")
    width = max(map(len, ["mean", clips, *metrics["CCC"]]))
    head = clips.ljust(width) + f"{'CCC':>9}{'RMSE':>9}"
    body = [
        f"{name:<{width}}{ccc:9.3f}{metrics['RMSE'][name]:9.3f}"
        for name, ccc in metrics["CCC"].items()
    ]
    mean = f"{'mean':<{width}}{metrics['mean_CCC']:9.3f}"
    return "\n".join([head, "-" * len(head), *body, mean])
