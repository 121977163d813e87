"""``ser-brain table N``: a table of the paper, ours beside it."""

import dataclasses
import shlex
import sys
from itertools import takewhile

from ser_brain.errors import InputError
from ser_brain.evaluation import published
from ser_brain.protocol.engines import (
    add_engine_arguments,
    choose_engine,
    end_like_an_interrupt,
)
from ser_brain.protocol.run_command import (
    COMPLETE,
    FAILED,
    INTERRUPTED,
    add_plan_arguments,
)

NUMBERS = ("1", "2", "3", "4", "5")


def add_arguments(sub):
    """Add the command's arguments.

    Arguments
    ---------
    sub : argparse.ArgumentParser
        The sub-parser of ``table``. What it does not know are the folders
        of table 3, and overrides of each run's settings.

    Example
    -------
    >>> import argparse
    >>> parser = argparse.ArgumentParser()
    >>> add_arguments(parser)
    >>> arguments, rest = parser.parse_known_args(["3", "A=b", "--seed", "2"])
    >>> arguments.number, rest
    ('3', ['A=b', '--seed', '2'])
    """
    sub.add_argument(
        "number",
        metavar="N",
        help="1 IEMOCAP, 2 SAVEE, 3 NAME=FOLDER … (pretraining loss of "
        "folders of audio), 4 data sizes, 5 other systems",
    )
    sub.add_argument(
        "--folds",
        default="all",
        help="tables 1, 2 and 5: all (default), or some: DC,JE",
    )
    add_plan_arguments(sub, runs=None)
    add_engine_arguments(sub)


def run(arguments):
    """Run what a table lacks, print it and write its files.

    Arguments
    ---------
    arguments : argparse.Namespace
        As ``add_arguments`` asks for them, and ``overrides``.

    Returns
    -------
    int
        0, or 1 where the table is incomplete, or 130 where it was stopped.

    Raises
    ------
    InputError
        If there is no such table, or its settings or folders are bad.
    """
    if arguments.number not in NUMBERS:
        raise InputError(
            f"There is no table {arguments.number!r}: give one of "
            f"{', '.join(NUMBERS)}, as the paper numbers them."
        )
    words = arguments.overrides
    folders = list(takewhile(lambda word: not word.startswith("--"), words))
    overrides = words[len(folders) :]
    if arguments.number == "3":
        if (arguments.runs, arguments.folds) != (None, "all"):
            raise InputError(
                "table 3 trains nothing: leave --runs out, and --folds."
            )
        if arguments.dry_run:
            raise InputError("table 3 plans no runs: leave --dry_run out.")
        from ser_brain.protocol.loss_command import run_loss_table

        return run_loss_table(folders, overrides)
    if folders:
        raise InputError(
            f"table {arguments.number} takes no {folders[0]!r}: name the "
            "corpus by --data_folder; folders are for table 3."
        )
    return run_accuracy_table(int(arguments.number), arguments, overrides)


def run_accuracy_table(number, arguments, overrides):
    """A table of accuracies: plans, runs, prints, writes.

    Returns
    -------
    int
        As ``run``.
    """
    from ser_brain.protocol import table_plans
    from ser_brain.protocol.rendering import markdown, write_table

    engine = choose_engine(arguments, overrides)
    overrides = [*overrides, *table_plans.mini_words(number, overrides)]
    parts = table_plans.make_parts(
        number,
        arguments.folds,
        overrides,
        runs=arguments.runs,
        repeat=arguments.repeat,
        outliers=arguments.outliers,
    )
    if arguments.dry_run:
        print(table_plans.dry_run(parts, getattr(engine, "workers", 1)))
        return COMPLETE
    end_like_an_interrupt()
    try:
        for place, part in enumerate(parts, start=1):
            told = f"table {number}, plan {place} of {len(parts)}: {part.name}"
            print(told, file=sys.stderr, flush=True)
            part.plan.run(engine)
    except KeyboardInterrupt:
        print("stopped: the same command goes on.", file=sys.stderr)
        return INTERRUPTED
    table, lacking = filled(number, parts, overrides)
    print(markdown(table))
    scale = parts[-1].plan.outline.scale
    folder = parts[-1].plan.folder.parents[1] / f"table_{number}-{scale}"
    for path in write_table(table, folder, f"table_{number}"):
        print(path)
    return FAILED if lacking else COMPLETE


def filled(number, parts, overrides):
    """The table from what has finished, and what it lacks.

    Arguments
    ---------
    number : int
        1, 2, 4 or 5.
    parts : list of Part
        Its plans.
    overrides : list of str
        Told below the table.

    Returns
    -------
    Table, list of str
        The heading says INCOMPLETE where the list is not empty.
    """
    from ser_brain.protocol import table_plans, tables

    # The last part sees the whole training part.
    plan = parts[-1].plan
    scale = plan.outline.scale
    ours = "ours" if scale == "full" else f"ours ({scale})"
    shown_as = (plan.outline.name, ours)
    lacking = table_plans.lacking(parts)
    notes = [
        *(f"INCOMPLETE: {sentence}" for sentence in lacking),
        *table_plans.discarded(parts),
        *plan_notes(plan, overrides),
    ]
    scores = table_plans.collect(parts)
    if number == 4:
        hours = table_plans.drawn_hours(parts)
        by_share = {(p, share): one for (p, _, share), one in scores.items()}
        table = tables.data_size_table(shown_as, by_share, hours, notes)
    else:
        by_fold = {(p, fold): one for (p, fold, _), one in scores.items()}
        if number == 5:
            table = tables.systems_table(shown_as, plan.folds, by_fold, notes)
        else:
            corpus = table_plans.CORPUS[number]
            table = tables.accuracy_table(
                number, corpus, shown_as, plan.folds, by_fold, notes
            )
    if lacking:
        table = dataclasses.replace(table, title=f"{table.title}: INCOMPLETE")
    return table, lacking


def plan_notes(plan, overrides):
    """How the figures came about.

    Arguments
    ---------
    plan : Plan
        One of the table's.
    overrides : list of str
        Words of the runs' command lines.

    Returns
    -------
    list of str
    """
    outline = plan.outline
    repeated = {
        "all": "each run has an adaptation of its own",
        "finetune": "the runs of a fold share one adaptation",
    }
    ruled = {
        "rerun": "runs outside two standard deviations of their fold's mean "
        "were discarded and run again with another seed",
        "keep": "every run counts",
    }
    notes = [
        "ours: mean ± standard deviation over the runs of each fold, "
        f"{plan.runs} planned; repeat {plan.repeat}: {repeated[plan.repeat]}; "
        f"outliers {plan.outliers}: {ruled[plan.outliers]}"
    ]
    if outline.scale.split("-")[0] != "full":
        notes.append(
            "nano scale: ours are figures of the small embedded models and of "
            "few steps, so the difference does not compare methods"
        )
    if outline.mini:
        notes.append(
            f"{outline.name}: the embedded mini corpus in the layout of "
            f"{outline.name.removeprefix('mini-')}, which is not configured; "
            "its figures say nothing about emotion"
        )
    if overrides:
        notes.append(f"settings of the command line: {shlex.join(overrides)}")
    return [*notes, f"paper: {published.SOURCE}"]
