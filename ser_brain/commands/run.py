"""``ser-brain run RECIPE YAML``: all folds and runs of a procedure."""

import sys

from ser_brain.commands.options import (
    COMPLETE,
    FAILED,
    INTERRUPTED,
    add_engine_arguments,
    add_plan_arguments,
    choose_engine,
    plan_choices,
    run_all,
)

HELP = "a procedure on all folds, several runs each"
TAKES_SETTINGS = True


def add_arguments(sub):
    """Add the command's arguments.

    Arguments
    ---------
    sub : argparse.ArgumentParser
        The sub-parser of ``run``. What it does not know is a setting of each
        run.

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
    add_plan_arguments(sub, runs=5)
    add_engine_arguments(sub)


def run(arguments):
    """Run what is missing of a plan.

    Arguments
    ---------
    arguments : argparse.Namespace
        As :func:`add_arguments` asks for them, and ``overrides``.

    Returns
    -------
    int
        0, or 1 where runs failed, or 130 where it was stopped.

    Raises
    ------
    InputError
        If recipe, yaml, folds, settings or engine are bad.
    """
    from ser_brain.plans.plan import Plan

    overrides = arguments.overrides
    engine = choose_engine(arguments, overrides)
    choices = plan_choices(arguments)
    plan = Plan(
        arguments.recipe, arguments.yaml, overrides=overrides, **choices
    )
    if arguments.dry_run:
        print(plan.dry_run(getattr(engine, "workers", 1)))
        return COMPLETE
    failures = run_all([plan], engine)
    if failures is None:
        return INTERRUPTED
    for outcome in failures:
        print(
            f"failed: {outcome.run.name}: {outcome.error} ({outcome.run.log})",
            file=sys.stderr,
        )
    print(f"{plan.folder}: {summary(plan)}")
    return FAILED if failures else COMPLETE


def summary(plan):
    """The state of a plan, in one sentence."""
    record = plan.record()
    counting = len(plan.counting())
    told = f"{counting - len(plan.missing())} of {counting} runs finished"
    if record["discarded"]:
        told += f", {len(record['discarded'])} discarded as outliers"
    return f"{told}; repeat {plan.repeat}"
