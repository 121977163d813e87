"""``ser-brain check TABLE``: what a table of clips holds, before training."""

import sys

from ser_brain.reporting.formats import DIVIDED, counted

HELP = "what a table of labelled clips holds, and what is doubtful about it"
EXAMPLES = (
    "ser-brain check calls.csv",
    "ser-brain check calls.csv --classes '{calm: [calm, neutral], sad: [sad]}'",
)


def add_arguments(sub):
    """Add the command's arguments to its own parser."""
    sub.add_argument(
        "table",
        metavar="TABLE",
        help=".csv or .json: path, emotion, speaker and, if wanted, fold",
    )
    sub.add_argument(
        "--classes", help="choose or join labels: '{calm: [calm, neutral]}'"
    )


def run(arguments):
    """Print clips by speaker and class, lengths, folds, and each doubt.

    Nothing is written or trained. Returns 0.

    Raises
    ------
    InputError
        If ``ser-brain train`` would refuse the table or a file in it.
    """
    from ser_brain.corpora.validation import doubts
    from ser_brain.experiment.cross_validation import audio_digests, open_table

    chosen = arguments.classes
    words = [] if chosen is None else ["--classes", chosen]
    table = open_table(arguments.table, words)
    print(counts(table.manifest))
    print(f"\n{lengths(table.manifest)}\none fold for {DIVIDED[table.rule]}")
    sentences = doubts(table.manifest, audio_digests(table))
    for sentence in sentences:
        print(f"warning: {sentence}")
    found = counted(len(sentences), "doubt") if sentences else "no doubts"
    print(f"{found}; ser-brain train takes this table", file=sys.stderr)
    return 0


def counts(manifest):
    """Clips of each speaker and class, with sums.

    Example
    -------
    >>> rows = [("ann", "sad"), ("ann", "calm"), ("ben", "sad")]
    >>> print(
    ...     counts(
    ...         {
    ...             n: {"speaker": s, "emotion": e}
    ...             for n, (s, e) in enumerate(rows)
    ...         }
    ...     )
    ... )
             calm  sad  all
    speaker
    ann         1    1    2
    ben         0    1    1
    all         1    2    3
    """
    import pandas

    clips = pandas.DataFrame(manifest.values())
    table = pandas.crosstab(
        clips["speaker"], clips["emotion"], margins=True, margins_name="all"
    )
    return table.rename_axis(columns=None).to_string()


def lengths(manifest):
    """How long the clips are, in one line.

    Example
    -------
    >>> lengths({1: {"duration": 2.0}, 2: {"duration": 4.0}})
    '2 clips, 6.0 s in all; shortest 2.0 s, median 3.0 s, longest 4.0 s'
    """
    from statistics import median

    seconds = [item["duration"] for item in manifest.values()]
    total = sum(seconds)
    whole = f"{total / 60:.1f} min" if total >= 120 else f"{total:.1f} s"
    return (
        f"{counted(len(seconds), 'clip')}, {whole} in all; shortest "
        f"{min(seconds):.1f} s, median {median(seconds):.1f} s, longest "
        f"{max(seconds):.1f} s"
    )
