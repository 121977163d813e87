"""``ser-brain run RECIPE YAML``: all folds and runs of a procedure."""

import sys

from ser_brain.commands import options

HELP = "a procedure on all folds, several runs each"
EXAMPLES = (
    "ser-brain run SAVEE hparams/vft.yaml --scale nano --runs 5 --workers 2",
    "ser-brain run SAVEE hparams/ptapt.yaml --folds DC,JE --runs 3 --dry_run",
    "ser-brain run IEMOCAP hparams/vft.yaml --lr 5e-5 --device cuda",
)
TAKES_SETTINGS = True


def add_arguments(sub):
    """Add the command's arguments.

    Arguments
    ---------
    sub : argparse.ArgumentParser
        The subparser of ``run``. Words that it does not know are settings of
        each run.

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
    options.add_plan_arguments(sub, runs=5)


def run(arguments):
    """Run the missing runs of a plan.

    Returns 0, 1 if runs failed, or 130 if it was stopped.

    Raises
    ------
    InputError
        If the recipe, yaml, folds, settings or engine are invalid.
    """
    from ser_brain.plans.plan import Plan

    engine = options.choose_engine(arguments, arguments.overrides)
    plan = Plan(
        arguments.recipe,
        arguments.yaml,
        overrides=arguments.overrides,
        **options.plan_choices(arguments),
    )
    if arguments.dry_run:
        print(plan.dry_run(getattr(engine, "workers", 1)))
        return options.COMPLETE
    failures = options.run_all([plan], engine)
    if failures is None:
        return options.INTERRUPTED
    for outcome in failures:
        print(
            f"failed: {outcome.run.name}: {outcome.error} ({outcome.run.log})",
            file=sys.stderr,
        )
    print(f"{plan.folder}: {summary(plan)}")
    return options.FAILED if failures else options.COMPLETE


def summary(plan):
    """Describe the state of a plan in one sentence."""
    record = plan.record()
    counting = len(plan.counting())
    told = f"{counting - len(plan.missing())} of {counting} runs finished"
    if record["discarded"]:
        told += f", {len(record['discarded'])} discarded as outliers"
    return f"{told}; repeat {plan.repeat}"
