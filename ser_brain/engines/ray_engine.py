"""Execute the runs of a plan on the machines of a Ray cluster.

Ray places each run where its CPUs and GPUs are free; there it is the same
recipe process as anywhere else. If a machine is lost, its runs continue on
another one from their last checkpoints: with a shared file system because the
run folder is there, without one because it was copied to the home
(``engines/store.py``).
"""

import contextlib
import dataclasses
import logging
import os
import socket
import time
from pathlib import Path

from filelock import FileLock, Timeout

from ser_brain.corpora.registry import CORPORA
from ser_brain.engines.carrier import Carrier, fetch_results
from ser_brain.engines.process import start, stop
from ser_brain.engines.ray_cluster import alive_nodes, check_room, connect
from ser_brain.engines.runs import Outcome, last_error
from ser_brain.engines.store import Home
from ser_brain.errors import InputError

logger = logging.getLogger(__name__)

# How often a run's process and the cluster are checked.
LOOK_SECONDS = 2
# How long a plan waits for a machine that can take its runs to return.
PATIENCE_SECONDS = 300
STOP_SECONDS = 20
LOST_SECONDS = 180
# Variables of the plan's machine, used on machines that do not set them.
FORCED = ("CUDA_VISIBLE_DEVICES",)
CARRIED = ("HF_HOME", "HF_HUB_OFFLINE") + tuple(
    corpus.environment for corpus in CORPORA.values()
)


@dataclasses.dataclass
class RayEngine:
    """Execute runs on an existing Ray cluster.

    All its machines must have this checkout and its environment at the same
    path. Unless ``home`` is given, they must also share the working folder on
    a common file system.

    Arguments
    ---------
    address : str, optional
        ``host:port`` of the cluster's head, or "auto" for the one that this
        machine belongs to. By default RAY_ADDRESS, else "auto".
    gpus_per_run : float, optional
        At most 1; 0.5 puts two runs on one GPU. By default 1 if any machine of
        the cluster has a GPU, else 0.
    cpus_per_run : float
        CPUs reserved per run.
    home : str, optional
        URL of a store to which run folders are copied.
    retries : int
        How many times a run may lose its machine and continue elsewhere.

    Raises
    ------
    InputError
        If a number is out of range or the home cannot be written.

    Example
    -------
    >>> RayEngine(gpus_per_run=4)
    Traceback (most recent call last):
    ...
    ser_brain.errors.InputError: --gpus_per_run is 4: a run uses one GPU ...
    """

    address: str | None = None
    gpus_per_run: float | None = None
    cpus_per_run: float = 1
    home: str | None = None
    retries: int = 3

    def __post_init__(self):
        gpus, cpus = self.gpus_per_run, self.cpus_per_run
        if gpus is not None and not 0 <= gpus <= 1:
            raise InputError(
                f"--gpus_per_run is {gpus:g}: a run uses one GPU or a share of "
                "one, so give 0 to 1; for one run on several GPUs see torchrun "
                "in docs/clusters.md."
            )
        if not cpus > 0:
            raise InputError(
                f"--cpus_per_run is {cpus:g}: give more than 0, as 1."
            )
        default = os.environ.get("RAY_ADDRESS") or "auto"
        self.address = self.address or default
        if self.home is not None:
            Home(self.home).check()

    def execute(self, runs):
        """Execute runs, as many at a time as fit on the cluster.

        Arguments and results as for :class:`ser_brain.engines.runs.Engine`.

        Raises
        ------
        InputError
            If Ray is not installed, the cluster is not reachable, or none of
            its machines is large enough for a run.
        """
        ray = connect(self.address)
        try:
            self._resources = self._choose_resources(ray)
            self._task = ray.remote(carry_out).options(
                max_retries=0, scheduling_strategy="SPREAD", **self._resources
            )
            under_way = {self._submit(run): (run, 0) for run in runs}
            try:
                yield from self._collect(ray, under_way)
            finally:
                _cancel(ray, list(under_way))
        finally:
            ray.shutdown()

    def _choose_resources(self, ray):
        """Resources of one run, checked against those of the cluster."""
        nodes = alive_nodes(ray)
        some = any(node.get("GPU", 0) >= 1 for node in nodes)
        gpus = int(some) if self.gpus_per_run is None else self.gpus_per_run
        chosen = {"num_gpus": gpus, "num_cpus": self.cpus_per_run}
        check_room(nodes, **chosen)
        return chosen

    def _submit(self, run):
        """Submit a run to Ray."""
        environment = {
            name: os.environ[name] for name in CARRIED if name in os.environ
        }
        if self._resources["num_gpus"] == 0:
            # Ray hides GPUs only from those that share them.
            environment["CUDA_VISIBLE_DEVICES"] = ""
        return self._task.remote(
            _absolute(run), os.getcwd(), environment, self.home
        )

    def _collect(self, ray, under_way):
        """Yield outcomes as runs end; lost runs are submitted again."""
        had_room = time.monotonic()
        while under_way:
            ended, _ = ray.wait(list(under_way), timeout=LOOK_SECONDS)
            for task in ended:
                run, losses = under_way.pop(task)
                ending = self._ending(ray, task)
                if ending is None and losses < self.retries:
                    logger.warning(
                        f"{run.name}: its machine or process was lost; the "
                        f"run continues elsewhere from its last checkpoint."
                    )
                    under_way[self._submit(run)] = (run, losses + 1)
                    continue
                if ending is None:
                    ending = (1, f"lost its machine {losses + 1} times", 0.0)
                yield self._bring_home(Outcome(run, *ending))
            try:
                check_room(alive_nodes(ray), **self._resources)
                had_room = time.monotonic()
            except InputError:
                if time.monotonic() - had_room > PATIENCE_SECONDS:
                    raise

    @staticmethod
    def _ending(ray, task):
        """How a task ended; None if its machine or worker was lost."""
        try:
            return ray.get(task)
        except ray.exceptions.RayTaskError as error:
            return 1, " ".join(str(error.cause).split()), 0.0
        except ray.exceptions.RayError:
            return None

    def _bring_home(self, outcome):
        """Copy the run folder from the store to this machine."""
        if self.home is None or outcome.returncode != 0:
            return outcome
        if fetch_results(_absolute(outcome.run), self.home):
            return outcome
        error = f"{self.home} does not hold all files of {outcome.run.folder}"
        return dataclasses.replace(outcome, returncode=1, error=error)


def _absolute(run):
    """The run with absolute paths, for another process."""
    return dataclasses.replace(run, folder=run.folder.absolute())


def carry_out(run, folder, environment, home):
    """Execute one run, on the machine that Ray chose.

    Arguments
    ---------
    run : Run
        With an absolute run folder.
    folder, home : str
        The working folder, and the store's URL or None.
    environment : dict
        Environment variables, used unless this machine sets them.

    Returns
    -------
    tuple
        Return code, error and wall seconds, as in an ``Outcome``.

    Raises
    ------
    InputError
        If the working folder does not exist on this machine.
    """
    if not Path(folder).is_dir():
        raise InputError(
            f"{socket.gethostname()} has no folder {folder}: the checkout and "
            "the working folder lie at the same path on all machines."
        )
    os.chdir(folder)
    for name, value in environment.items():
        if name in FORCED or name not in os.environ:
            os.environ[name] = value
    _wait_for_lost(run)
    carrier = Carrier(run, home) if home else None
    begun = time.monotonic()
    process = start(run)
    try:
        while process.poll() is None:
            time.sleep(LOOK_SECONDS)
            if carrier:
                carrier.send_checkpoints()
    finally:
        stop(process)
    seconds = time.monotonic() - begun
    if carrier:
        carrier.send_all()
    return process.returncode, _error(run, process.returncode), seconds


def _wait_for_lost(run):
    """Wait until the process of a lost machine no longer holds the folder.

    A file system may need a minute or two to notice that a machine is dead.
    """
    run.folder.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(Timeout):
        FileLock(run.folder / "run.lock").acquire(LOST_SECONDS).lock.release()


def _error(run, returncode):
    """What went wrong, as a sentence."""
    metrics = run.folder / "metrics.json"
    if returncode == 0 and not metrics.is_file():
        return (
            f"{socket.gethostname()} ended it without a {metrics}: has it "
            "the same corpus, settings and models?"
        )
    return last_error(run.log, returncode)


def _cancel(ray, tasks):
    """Stop what is still running, including its processes."""
    for task in tasks:
        ray.cancel(task, force=False)
    if tasks:
        ray.wait(tasks, num_returns=len(tasks), timeout=STOP_SECONDS)
