"""Connection to a Ray cluster, and a check that a run fits on it."""

import logging
import os
import signal
import socket
import subprocess
import sys
import threading

from ser_brain.errors import InputError

# Ray itself tries a dead address for minutes and then ends the calling
# process, so another process tries first.
PROBE = (
    "import sys, ray;"
    "ray.init(sys.argv[1], log_to_driver=False, logging_level='ERROR')"
)
CONNECT_SECONDS, PROBE_SECONDS = 5, 60


def connect(address):
    """Connect this process to a Ray cluster.

    Arguments
    ---------
    address : str
        "auto", or ``host:port``.

    Returns
    -------
    module
        ``ray``.

    Raises
    ------
    InputError
        If Ray is not installed or the cluster does not respond.
    """
    # Ray would otherwise send usage statistics to its developers.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError as error:
        raise InputError(
            "--engine ray needs Ray, which is not installed here: pip install "
            "'ser_brain[ray]', on every machine of the cluster."
        ) from error
    reason = why_unreachable(address)
    if reason:
        raise InputError(
            f"the Ray cluster at {address} cannot be reached ({reason}): start "
            "one with ray start --head, or join it with ray start --address "
            "and give its --address as host:6379."
        )
    handler = signal.getsignal(signal.SIGTERM)
    ray.init(address, log_to_driver=False, logging_level=logging.ERROR)
    if threading.current_thread() is threading.main_thread():
        # Ray has installed its own handler, but the plan has to end its runs.
        signal.signal(signal.SIGTERM, handler)
    return ray


def why_unreachable(address):
    """Why this machine cannot reach a Ray cluster; empty if it can.

    Arguments
    ---------
    address : str
        As for :func:`connect`.

    Returns
    -------
    str
        The reason given by Ray or by the network.

    Example
    -------
    >>> why_unreachable("127.0.0.1:1")
    'Connection refused'
    """
    host, _, port = address.rpartition(":")
    if address.startswith("ray://"):
        return "Ray's client protocol is not supported"
    try:
        if port.isdigit():
            where = (host.strip("[]"), int(port))
            socket.create_connection(where, CONNECT_SECONDS).close()
        probe = subprocess.run(
            [sys.executable, "-c", PROBE, address],
            capture_output=True,
            text=True,
            timeout=PROBE_SECONDS,
        )
    except subprocess.TimeoutExpired:
        return f"no answer in {PROBE_SECONDS} s"
    except (OSError, OverflowError) as error:
        return getattr(error, "strerror", None) or str(error)
    if probe.returncode == 0:
        return ""
    lines = probe.stderr.strip().splitlines() or ["no answer"]
    # "ConnectionError: what happened. What could be done."
    return lines[-1].partition(": ")[2].partition(". ")[0] or lines[-1]


def alive_nodes(ray):
    """Resources of each living machine of the cluster."""
    return [node["Resources"] for node in ray.nodes() if node["Alive"]]


def check_room(nodes, num_gpus, num_cpus):
    """Refuse runs that Ray could never place.

    Arguments
    ---------
    nodes : list of dict
        ``{"CPU": 16.0, "GPU": 1.0, ...}`` of each machine.
    num_gpus, num_cpus : float
        Resources of one run.

    Raises
    ------
    InputError
        If no machine has enough.

    Example
    -------
    >>> check_room([{"CPU": 2.0}], num_gpus=0, num_cpus=2)
    >>> check_room([{"CPU": 2.0}], num_gpus=1, num_cpus=1)
    Traceback (most recent call last):
    ...
    ser_brain.errors.InputError: no machine of the Ray cluster has 1 GPU(s) ...
    """
    sizes = {(node.get("GPU", 0), node.get("CPU", 0)) for node in nodes}
    if any(gpus >= num_gpus and cpus >= num_cpus for gpus, cpus in sizes):
        return
    known = "; ".join(
        f"{gpus:g} GPU(s) and {cpus:g} CPU(s)" for gpus, cpus in sorted(sizes)
    )
    raise InputError(
        f"no machine of the Ray cluster has {num_gpus:g} GPU(s) and "
        f"{num_cpus:g} CPU(s) for a run (there are: {known or 'none'}): give "
        "smaller --gpus_per_run or --cpus_per_run, or add a machine."
    )
