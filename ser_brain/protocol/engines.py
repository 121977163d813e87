"""Where runs are carried out, as the command line says."""

import signal

from ser_brain.errors import InputError

RAY_ONLY = ("address", "gpus_per_run", "cpus_per_run", "home")


def add_engine_arguments(sub):
    """Adds what chooses and describes an engine to a sub-parser."""
    sub.add_argument(
        "--engine",
        choices=("local", "ray"),
        default="local",
        help="this machine (default), or a Ray cluster",
    )
    sub.add_argument(
        "--workers",
        type=int,
        help="runs at a time on this machine (default: one a GPU, else one)",
    )
    sub.add_argument("--address", help="of the Ray cluster, else RAY_ADDRESS")
    sub.add_argument(
        "--gpus_per_run", type=float, help="of a Ray node, for each run"
    )
    sub.add_argument(
        "--cpus_per_run", type=float, help="of a Ray node, for each run"
    )
    sub.add_argument(
        "--home",
        metavar="URL",
        help="Ray: where results go if nodes share no file system",
    )


def choose_engine(arguments, overrides=()):
    """The engine that the arguments describe.

    Arguments
    ---------
    arguments : argparse.Namespace
        With what ``add_engine_arguments`` adds.
    overrides : sequence of str
        Words of each run's command line; where they have a ``--device``,
        runs are not spread over the GPUs.

    Returns
    -------
    Engine

    Raises
    ------
    InputError
        If they do not go together, or the engine cannot be had.

    Example
    -------
    >>> import argparse
    >>> parser = argparse.ArgumentParser()
    >>> add_engine_arguments(parser)
    >>> choose_engine(parser.parse_args(["--workers", "2"]), ["--device=cpu"])
    LocalEngine(workers=2, devices=[])
    >>> choose_engine(parser.parse_args(["--address", "auto"]))
    Traceback (most recent call last):
    ...
    ser_brain.errors.InputError: --address is of --engine ray: give both, ...
    """
    given = {
        name: value
        for name in RAY_ONLY
        if (value := getattr(arguments, name)) is not None
    }
    if arguments.engine == "ray":
        return _ray(arguments, given)
    if given:
        name = next(iter(given))
        raise InputError(
            f"--{name} is of --engine ray: give both, or leave it out."
        )
    from ser_brain.protocol.local import LocalEngine

    chosen = any(word.split("=")[0] == "--device" for word in overrides)
    return LocalEngine(arguments.workers, [] if chosen else None)


def _ray(arguments, given):
    if arguments.workers is not None:
        raise InputError(
            "--workers is of --engine local: on Ray the cluster decides, by "
            "--cpus_per_run and --gpus_per_run."
        )
    from ser_brain.protocol.ray_engine import RayEngine

    return RayEngine(**given)


def end_like_an_interrupt():
    """Lets ``kill`` end a plan as Ctrl-C does: with its runs."""

    def interrupt(number, frame):
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)
