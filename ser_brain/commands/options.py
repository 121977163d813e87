"""Options that several commands share."""

import signal
import sys

from ser_brain.errors import InputError

COMPLETE, FAILED, INTERRUPTED = 0, 1, 130
# Options that every plan takes: name, type, default, help.
PLAN_OPTIONS = (
    ("folds", str, "all", "all (default), or a list such as DC,JE"),
    ("runs", int, None, "per fold, with seeds 1 to RUNS (default {runs})"),
    ("repeat", str, "all", "all (default, the paper): adaptation and "
     "fine-tuning; finetune (the released code): runs of a fold share an "
     "adaptation"),
    ("outliers", str, "rerun", "rerun (default): discard a run outside two "
     "standard deviations and run another seed; keep: every run counts"),
)  # fmt: skip
# Options that describe an engine: name, type, help.
LOCAL_OPTIONS = (
    ("workers", int, "parallel runs here (default: one per GPU, else one)"),
)
RAY_OPTIONS = (
    ("address", str, "of the Ray cluster, else RAY_ADDRESS"),
    ("gpus_per_run", float, "GPUs of a Ray node per run"),
    ("cpus_per_run", float, "CPUs of a Ray node per run"),
    ("home", str, "URL for Ray's results if nodes share no file system"),
)


def add_plan_arguments(sub, runs=None):
    """Add the options that choose the runs of a plan and the engine.

    Arguments
    ---------
    sub : argparse.ArgumentParser
        A subparser.
    runs : int, optional
        The default number of runs; None for that of the paper.
    """
    told = runs or "as in the paper: 5, for SAVEE 20"
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


def add_models(sub, name="run"):
    """Add the argument for a model, and the option for an ensemble.

    Arguments
    ---------
    sub : argparse.ArgumentParser
        A subparser.
    name : str
        Name of the positional argument.
    """
    sub.add_argument(
        name,
        metavar=name.upper(),
        help="a run folder, .../seed_1, a model, or a folder of runs: an "
        "ensemble",
    )
    sub.add_argument(
        "--with",
        dest="others",
        metavar="RUN",
        action="append",
        default=[],
        help="another run, whose posteriors are averaged with those of the "
        "first; may be repeated",
    )


def add_forms(sub, forms):
    """Add an option for each form of the output that is not a table.

    Arguments
    ---------
    sub : argparse.ArgumentParser
        A subparser.
    forms : dict
        Name of each form -> its description.

    Returns
    -------
    argparse group
        The options, of which one can be given; their value is ``form``.
    """
    group = sub.add_mutually_exclusive_group()
    for name, text in forms.items():
        group.add_argument(
            f"--{name}",
            dest="form",
            action="store_const",
            const=name,
            help=f"{text}, instead of a table",
        )
    sub.set_defaults(form="table")
    return group


def load_runs(folders, device):
    """Load a run, or several as an ensemble, which is said on stderr.

    Arguments
    ---------
    folders : list of str or Path
        Run folders, or folders of runs.
    device : str
        Where to compute.

    Returns
    -------
    EmotionRecognizer or Ensemble

    Raises
    ------
    InputError
        As for ``EmotionRecognizer.ensemble``.
    """
    from ser_brain.inference import EmotionRecognizer
    from ser_brain.inference.classifier import quiet_loading
    from ser_brain.inference.ensemble import run_folders

    quiet_loading()
    runs = run_folders(folders)
    if len(runs) == 1:
        return EmotionRecognizer.from_run(runs[0], device)
    recognizer = EmotionRecognizer.ensemble(runs, device)
    print(f"an ensemble of {len(runs)} runs", file=sys.stderr)
    return recognizer


def add_server_arguments(sub, port, seconds, megabytes):
    """Add the options of a command that serves models on a port.

    Arguments
    ---------
    sub : argparse.ArgumentParser
        A subparser.
    port : int
        The default port.
    seconds, megabytes : float
        The default limits of a recording.
    """
    sub.add_argument(
        "--host",
        default="127.0.0.1",
        help="address to listen on (127.0.0.1: only this machine reaches it)",
    )
    sub.add_argument(
        "--port", type=int, default=port, help=f"port ({port}); 0: a free one"
    )
    sub.add_argument("--device", default="cpu", help="cpu (default), cuda, …")
    sub.add_argument(
        "--max_seconds",
        type=float,
        default=seconds,
        help=f"longest recording ({seconds:g} s)",
    )
    sub.add_argument(
        "--max_megabytes",
        type=float,
        default=megabytes,
        help=f"largest file ({megabytes:g} MB)",
    )


def add_resamples(sub):
    """Add the number of draws of bootstrap and randomisation test."""
    sub.add_argument(
        "--resamples",
        type=int,
        default=5000,
        help="draws of the bootstrap and the randomisation test (5000)",
    )


def check_resamples(number):
    """Refuse too few draws for an interval with an ``InputError``."""
    if number < 100:
        raise InputError(
            f"--resamples {number} is too few for a 95 % interval: give 1000 "
            "or more."
        )


def choose_engine(arguments, overrides=()):
    """Create the engine that the arguments describe.

    Arguments
    ---------
    arguments : argparse.Namespace
        With the options of :func:`add_plan_arguments`.
    overrides : sequence of str
        Words of each run's command line. If they have a ``--device``, runs
        are not spread over the GPUs.

    Returns
    -------
    Engine

    Raises
    ------
    InputError
        If options contradict each other, or the engine is not available.

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
    """The arguments of a plan, by the names of its parameters."""
    return {name: getattr(arguments, name) for name, *_ in PLAN_OPTIONS}


def run_all(plans, engine):
    """Execute plans, one after the other, until they end or are stopped.

    ``kill`` ends them as Ctrl-C does, together with their runs.

    Arguments
    ---------
    plans : iterable of Plan
        In the order of execution.
    engine : Engine
        Executes the runs.

    Returns
    -------
    list of Outcome or None
        Runs that failed; None if the plans were stopped.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return [failure for plan in plans for failure in plan.run(engine)]
    except KeyboardInterrupt:
        print("stopped: run the same command to continue.", file=sys.stderr)
        return None
