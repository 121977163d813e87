"""``ser-brain train``: from a table to a model, its score and its report."""

import dataclasses
from pathlib import Path

import numpy as np

from ser_brain.corpora.validation import doubts, speakers_of
from ser_brain.errors import InputError
from ser_brain.evaluation.baseline import accuracy_by_fold
from ser_brain.experiment.command import (
    full_disk_as_input_error,
    quiet_libraries,
)
from ser_brain.experiment.cross_validation import (
    LOCK,
    audio_digests,
    baseline_rows,
    check_request,
    open_table,
    silence,
    train_all,
)
from ser_brain.files import write_atomically
from ser_brain.inference.classifier import is_whole
from ser_brain.locks import hold
from ser_brain.reporting.analysis import analyse
from ser_brain.reporting.figures import all_pictures
from ser_brain.reporting.formats import percent
from ser_brain.reporting.page import render_page
from ser_brain.reporting.report_tables import all_tables
from ser_brain.results.outputs import read_json, write_json
from ser_brain.results.runs import read_run

SCORES = "cross_validation.json"
PAGE = "report.html"
SCORED = ("UA", "WA", "macro_f1")


def train_table(path, output, words=(), classes=(), warn=print):
    """Cross-validate on a table, then train a model on all its clips.

    Arguments
    ---------
    path : str or Path
        The table: a .csv or .json, see docs/your-own-corpus.md.
    output : str or Path
        The model's folder. Training that was killed there is resumed; results
        of finished training are returned again.
    words : sequence of str
        Further words of the frozen recipe's command line: ``--scale small``.
    classes : sequence of str
        ``("--classes", "{...}")`` to choose or join labels.
    warn : callable
        Called with each warning about the score, before anything is trained.

    Returns
    -------
    dict
        The content of ``cross_validation.json``.

    Raises
    ------
    InputError
        If the table, a file in it or a setting is bad, the folder holds
        something else, or the disk is full.
    """
    output = Path(output)
    quiet_libraries()
    table = open_table(path, [*words, *classes])
    digests = audio_digests(table)
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"{output} cannot be made ({error.strerror}): give another folder "
            "as --output."
        ) from error
    lock = hold(
        output / LOCK,
        lambda holder: (
            f"{output} is being trained by {holder}: wait until it has ended, "
            "or give another --output."
        ),
    )
    try:
        with full_disk_as_input_error():
            check_request(output, table, digests)
            warnings = doubts(table.manifest, digests)
            for sentence in warnings:
                warn(sentence)
            return _trained(table, output, words, warnings)
    finally:
        lock.release()


def _trained(table, output, words, warnings):
    """The scores, computed if necessary."""
    written = (output / SCORES).is_file() and (output / PAGE).is_file()
    if written and is_whole(output / "save" / "classifier"):
        return read_json(output / SCORES)
    with silence():
        baseline = accuracy_by_fold(baseline_rows(table))
    folders = train_all(table, output, words)
    runs = [
        with_speakers(read_run(folder), table.manifest)
        for folder in folders.values()
    ]
    analysis = analyse(runs, [], [])
    page = render_page(
        analysis,
        with_baseline(all_tables(analysis), analysis.folds, baseline),
        all_pictures(analysis),
        warnings,
    )
    write_atomically(output / PAGE, page)
    scores = described(table, analysis, baseline, warnings)
    write_json(output / SCORES, scores)
    return scores


def with_speakers(run, manifest):
    """Give the clips of a run the speakers of the table.

    The parts of a single speaker were treated as speakers to make folds.
    """
    rows = [
        {**row, "speaker": manifest[row["id"]]["speaker"]} for row in run.rows
    ]
    return dataclasses.replace(run, rows=rows)


def with_baseline(tables, names, baseline):
    """Add a row for the baseline to the first table of the report.

    Arguments
    ---------
    tables : dict
        As :func:`ser_brain.reporting.report_tables.all_tables` returns
        them.
    names : list of str
        The folds, in the order of the columns.
    baseline : dict
        Fold -> UA.

    Returns
    -------
    dict
        The tables.
    """
    table = tables["accuracy"]
    cells = [percent(baseline[name]) for name in names]
    mean = percent(np.mean(list(baseline.values())))
    rows = [*table.rows, ["log-mel, logistic regression", *cells, mean]]
    quiet = (*table.quiet, len(table.rows))
    table = dataclasses.replace(table, rows=rows, quiet=quiet)
    return {**tables, "accuracy": table}


def described(table, analysis, baseline, warnings):
    """Return the content of ``cross_validation.json``.

    Arguments
    ---------
    table : Table
        The table.
    analysis : Analysis
        Analysis of the runs of all folds.
    baseline : dict
        Fold -> UA of the baseline.
    warnings : list of str
        Warnings, one sentence each.

    Returns
    -------
    dict
        All scores are fractions. The intervals are 95 % intervals over clips
        and, unless there is only one speaker, over speakers.
    """
    procedure = analysis.procedures[0]
    classes = analysis.classes
    counted = {run.fold: run.metrics for run in procedure.runs}
    known = {item["emotion"] for item in table.manifest.values()}
    return {
        "table": table.name,
        "clips": len(table.manifest),
        "speakers": len(speakers_of(table.manifest)),
        "scale": analysis.scale,
        "seed": procedure.runs[0].seed,
        **{name: float(procedure.scores[name]) for name in SCORED},
        "chance": analysis.chance,
        "baseline_UA": float(np.mean(list(baseline.values()))),
        "recall": _by_class(classes, procedure.scores["recall"]),
        "intervals": {
            "clips": _intervals(procedure.by_clip, classes),
            "speakers": (
                procedure.by_speaker
                and _intervals(procedure.by_speaker, classes)
            ),
        },
        "folds_by": table.rule,
        "folds": {
            fold: {
                "UA": counted[fold]["UA"],
                "n": counted[fold]["n"],
                "baseline_UA": baseline[fold],
            }
            for fold in analysis.folds
        },
        "classes_left_out": sorted(known - set(classes)),
        "warnings": warnings,
    }


def _intervals(found, classes):
    """Score -> low and high."""
    pairs = {name: list(map(float, found[name])) for name in SCORED}
    ends = np.transpose(found["recall"])
    return {**pairs, "recall": _by_class(classes, ends)}


def _by_class(classes, values):
    """Class -> value, from an array."""
    return dict(zip(classes, values.tolist(), strict=True))
