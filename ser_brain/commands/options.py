"""Options of the commands that carry out plans: what runs, and where."""

import signal
import sys

from ser_brain.errors import InputError

COMPLETE, FAILED, INTERRUPTED = 0, 1, 130
# Option, type, default, help: what every plan of runs takes.
PLAN_OPTIONS = (
    ("folds", str, "all", "all (default), or some: DC,JE"),
    ("runs", int, None, "of each fold, seeds 1 to RUNS (default {runs})"),
    ("repeat", str, "all", "all (default, the paper): adaptation and "
     "fine-tuning; finetune (the released code): runs of a fold share an "
     "adaptation"),
    ("outliers", str, "rerun", "rerun (default): discard a run outside two "
     "standard deviations and run another seed; keep: every run counts"),
)  # fmt: skip
# What describes an engine: option, type, help.
LOCAL_OPTIONS = (
    ("workers", int, "runs at a time here (default: one per GPU, else one)"),
)
RAY_OPTIONS = (
    ("address", str, "of the Ray cluster, else RAY_ADDRESS"),
    ("gpus_per_run", float, "of a Ray node, for each run"),
    ("cpus_per_run", float, "of a Ray node, for each run"),
    ("home", str, "URL where Ray's results go if nodes share no file system"),
)


def add_plan_arguments(sub, runs=None):
    """Add what chooses the runs of a plan, and the engine.

    Arguments
    ---------
    sub : argparse.ArgumentParser
        A sub-parser.
    runs : int, optional
        The default number of runs; None where the paper decides.
    """
    told = runs or "as many as the paper: 5, of SAVEE 20"
    for name, kind, default, text in PLAN_OPTIONS:
        text = text.format(runs=told)
        sub.add_argument(f"--{name}", type=kind, default=default, help=text)
    sub.set_defaults(runs=runs)
    sub.add_argument(
        "--dry_run",
        "--dry-run",
        action="store_true",
        help="list the runs with their state and the time left",
    )
    sub.add_argument(
        "--engine",
        choices=("local", "ray"),
        default="local",
        help="this machine (default), or a Ray cluster",
    )
    for name, kind, text in LOCAL_OPTIONS + RAY_OPTIONS:
        sub.add_argument(f"--{name}", type=kind, help=text)


def choose_engine(arguments, overrides=()):
    """The engine that the arguments describe.

    Arguments
    ---------
    arguments : argparse.Namespace
        With what :func:`add_plan_arguments` adds.
    overrides : sequence of str
        Words of each run's command line. If they have a ``--device``, runs
        are not spread over the GPUs.

    Returns
    -------
    Engine

    Raises
    ------
    InputError
        If they do not go together, or the engine is not available.

    Example
    -------
    >>> import argparse
    >>> parser = argparse.ArgumentParser()
    >>> add_plan_arguments(parser)
    >>> choose_engine(parser.parse_args(["--workers", "2"]), ["--device=cpu"])
    LocalEngine(workers=2, devices=[])
    >>> choose_engine(parser.parse_args(["--address", "auto"]))
    Traceback (most recent call last):
    ...
    ser_brain.errors.InputError: --address is an option of --engine ray: ...
    """
    values = ((name, getattr(arguments, name)) for name, _, _ in RAY_OPTIONS)
    given = {name: value for name, value in values if value is not None}
    if arguments.engine == "ray":
        from ser_brain.engines.ray_engine import RayEngine

        if arguments.workers is not None:
            raise InputError(
                "--workers is an option of --engine local: leave it out, and "
                "give --cpus_per_run or --gpus_per_run."
            )
        return RayEngine(**given)
    if given:
        name = next(iter(given))
        raise InputError(
            f"--{name} is an option of --engine ray: give both, or neither."
        )
    from ser_brain.engines.local import LocalEngine

    chosen = any(word.split("=")[0] == "--device" for word in overrides)
    return LocalEngine(arguments.workers, [] if chosen else None)


def plan_choices(arguments):
    """The arguments that every plan takes, by their names there."""
    return {name: getattr(arguments, name) for name, *_ in PLAN_OPTIONS}


def run_all(plans, engine):
    """Carries out plans, one after the other, until they end or are stopped.

    ``kill`` ends them as Ctrl-C does: with their runs.

    Arguments
    ---------
    plans : iterable of Plan
        In order.
    engine : Engine
        Where.

    Returns
    -------
    list of Outcome or None
        Runs that failed; None where the plans were stopped.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return [failure for plan in plans for failure in plan.run(engine)]
    except KeyboardInterrupt:
        print("stopped: the same command goes on.", file=sys.stderr)
        return None
