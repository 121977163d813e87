"""``ser-brain baseline``: log-mel and logistic regression on all folds."""

import tempfile
from pathlib import Path

from ser_brain.errors import InputError

HELP = "log-mel and logistic regression, all folds"
EXAMPLES = (
    "ser-brain baseline --corpus SAVEE",
    "ser-brain baseline --manifest calls.csv",
)


def add_arguments(sub):
    """Add the command's arguments to its own parser."""
    chosen = sub.add_mutually_exclusive_group(required=True)
    chosen.add_argument("--corpus", help="IEMOCAP or SAVEE")
    chosen.add_argument(
        "--manifest",
        metavar="TABLE",
        help="your own clips: a .csv or .json of path, emotion, speaker",
    )
    sub.add_argument("--data_folder", help="else the corpus's own variable")
    sub.add_argument("--allow_incomplete", action="store_true")


def run(arguments):
    """Print the unweighted accuracy of the baseline for each fold.

    Raises
    ------
    InputError
        If the corpus or the table is bad.
    """
    from ser_brain.evaluation.baseline import accuracy_by_fold

    if arguments.manifest is None:
        name, classes, rows = _corpus_rows(arguments)
    else:
        name, classes, rows = _table_rows(arguments)
    by_fold = accuracy_by_fold(rows)
    print(f"{name}, log-mel and logistic regression, UA in percent")
    for fold, accuracy in by_fold.items():
        print(f"fold {fold:<6}{100 * accuracy:6.1f}")
    print(f"mean       {100 * sum(by_fold.values()) / len(by_fold):6.1f}")
    print(f"chance     {100 / len(classes):6.1f}")
    return 0


def _corpus_rows(arguments):
    """Test on the folds of a corpus's protocol."""
    from ser_brain import corpora
    from ser_brain.dataio.audio import read_audio
    from ser_brain.evaluation.baseline import log_mel_baseline

    corpus = corpora.get_corpus(arguments.corpus)
    folder = corpora.find_data_folder(corpus, arguments.data_folder)
    with tempfile.TemporaryDirectory() as scratch:
        manifest = corpora.prepare(
            corpus,
            folder,
            Path(scratch, "manifest.json"),
            arguments.allow_incomplete,
        )
    manifest = corpora.select_classes(manifest, corpus.classes, corpus.labels)
    rows = log_mel_baseline(
        manifest,
        corpora.folds(manifest, corpus.by),
        lambda wav: read_audio(wav.replace("{data_root}", str(folder))),
    )
    return corpus.name, corpus.classes, rows


def _table_rows(arguments):
    """Test on the folds that ``ser-brain train`` makes from a table."""
    from ser_brain.corpora import validated_classes
    from ser_brain.experiment.cross_validation import baseline_rows, open_table

    if arguments.data_folder is not None:
        raise InputError(
            "--data_folder is for a corpus, and --manifest names its files "
            "itself: leave --data_folder out."
        )
    table = open_table(arguments.manifest)
    classes = validated_classes(table.manifest)
    return table.name, classes, baseline_rows(table)
