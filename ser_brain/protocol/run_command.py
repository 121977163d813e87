"""``ser-brain run RECIPE YAML``: all folds and runs of a procedure."""

import sys

from ser_brain.protocol.engines import (
    add_engine_arguments,
    choose_engine,
    end_like_an_interrupt,
)

COMPLETE, FAILED, INTERRUPTED = 0, 1, 130


def add_arguments(sub):
    """Add the command's arguments.

    Arguments
    ---------
    sub : argparse.ArgumentParser
        The sub-parser of ``run``. What it does not know is an override of
        each run's settings.

    Example
    -------
    >>> import argparse
    >>> parser = argparse.ArgumentParser()
    >>> add_arguments(parser)
    >>> words = ["SAVEE", "hparams/vft.yaml", "--runs", "20", "--lr", "5e-5"]
    >>> arguments, overrides = parser.parse_known_args(words)
    >>> arguments.runs, overrides
    (20, ['--lr', '5e-5'])
    """
    sub.add_argument(
        "recipe", metavar="RECIPE", help="SAVEE, IEMOCAP, or a train_….py"
    )
    sub.add_argument("yaml", metavar="YAML", help="as hparams/ptapt.yaml")
    sub.add_argument(
        "--folds", default="all", help="all (default), or some: DC,JE"
    )
    add_plan_arguments(sub, runs=5)
    add_engine_arguments(sub)


def add_plan_arguments(sub, runs):
    """Add what every plan of runs takes.

    Arguments
    ---------
    sub : argparse.ArgumentParser
        A sub-parser.
    runs : int or None
        The default number of runs; None where the paper says it.
    """
    sub.add_argument(
        "--runs",
        type=int,
        default=runs,
        help="of each fold, seeds 1 to RUNS (default "
        f"{runs or 'as many as the paper: 5, of SAVEE 20'})",
    )
    sub.add_argument(
        "--repeat",
        default="all",
        help="all (default, the paper): adaptation and fine-tuning; "
        "finetune (the released code): runs of a fold share an adaptation",
    )
    sub.add_argument(
        "--outliers",
        default="rerun",
        help="rerun (default): discard a run outside two standard deviations "
        "and run another seed; keep: every run counts",
    )
    sub.add_argument(
        "--dry_run",
        "--dry-run",
        action="store_true",
        help="list the runs with their state and the time left",
    )


def run(arguments):
    """Run what is missing of a plan.

    Arguments
    ---------
    arguments : argparse.Namespace
        As ``add_arguments`` asks for them, and ``overrides``.

    Returns
    -------
    int
        0, or 1 where runs failed, or 130 where it was stopped.

    Raises
    ------
    InputError
        If recipe, yaml, folds, settings or engine are bad.
    """
    from ser_brain.protocol.plan import Plan

    engine = choose_engine(arguments, arguments.overrides)
    plan = Plan(
        arguments.recipe,
        arguments.yaml,
        folds=arguments.folds,
        runs=arguments.runs,
        repeat=arguments.repeat,
        outliers=arguments.outliers,
        overrides=arguments.overrides,
    )
    if arguments.dry_run:
        print(plan.dry_run(getattr(engine, "workers", 1)))
        return COMPLETE
    end_like_an_interrupt()
    try:
        failures = plan.run(engine)
    except KeyboardInterrupt:
        print("stopped: the same command goes on.", file=sys.stderr)
        return INTERRUPTED
    for outcome in failures:
        print(
            f"failed: {outcome.run.name}: {outcome.error} ({outcome.run.log})",
            file=sys.stderr,
        )
    print(f"{plan.folder}: {summary(plan)}")
    return FAILED if failures else COMPLETE


def summary(plan):
    """What a plan has come to, in one sentence."""
    record = plan.record()
    counting = len(plan.counting())
    told = f"{counting - len(plan.missing())} of {counting} runs finished"
    if record["discarded"]:
        told += f", {len(record['discarded'])} discarded as outliers"
    return f"{told}; repeat {plan.repeat}"
