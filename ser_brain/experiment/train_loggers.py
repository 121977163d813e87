"""Where the losses and scores of a run go, apart from its own files."""

import contextlib
import hashlib
import importlib.util
import json
import logging
import os
import time
from pathlib import Path

from speechbrain.utils.distributed import if_main_process, main_process_only
from speechbrain.utils.train_logger import (
    TensorboardLogger,
    TrainLogger,
    WandBLogger,
)

from ser_brain.errors import InputError
from ser_brain.experiment.settings import NEUTRAL, loaded

PROJECT = "ser_brain"
# The package that each needs.
PACKAGES = {"tensorboard": "tensorboard", "wandb": "wandb", "mlflow": "mlflow"}
# That of a yaml without the setting.
DEFAULT = "tensorboard"
# The tag by which a killed stage finds its run in MLflow again.
TAG = "ser_brain.stage"
# As many as MLflow accepts at once.
MOST_PARAMS = 100

logger = logging.getLogger(__name__)


class TensorBoard(TensorboardLogger):
    """SpeechBrain's logger, which is closed when its stage ends."""

    def close(self, failed=False):
        """Write what is left to the event file."""
        if self.writer is not None:
            self.writer.close()


class WeightsAndBiases(WandBLogger):
    """SpeechBrain's logger, whose run ends with its stage.

    Arguments
    ---------
    **options
        Of ``wandb.init``.

    Raises
    ------
    InputError
        If the run cannot be started.
    """

    def __init__(self, **options):
        import wandb

        run = None
        if if_main_process():
            try:
                run = wandb.init(**options)
            except wandb.errors.Error as error:
                reason = " ".join(str(error).split())
                raise InputError(
                    f"--logger wandb cannot start a run ({reason}): run wandb "
                    "login, or set WANDB_MODE=offline."
                ) from error
            where = Path(run.dir).parent if run.offline else run.url
            logger.info(f"{options['name']}: Weights & Biases, {where}")
        super().__init__(lambda: run)

    def close(self, failed=False):
        """End the run."""
        if self.run is not None:
            self.run.finish(exit_code=int(failed))


class MLflow(TrainLogger):
    """Losses and scores as metrics of a run in MLflow.

    Arguments
    ---------
    experiment : str
        Name of MLflow's experiment, which is created if it is new.
    name : str
        Name of the run.
    stage : str
        Identifies the stage: its run is continued if it was stopped.
    config : dict
        Parameters of the run.

    Raises
    ------
    InputError
        If the tracking server or store cannot be used.
    """

    def __init__(self, experiment, name, stage, config):
        # Losses go to the user's own server or database, and nothing elsewhere.
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        from mlflow import MlflowClient

        self.run_id, self.step = None, 0
        if not if_main_process():
            return
        # It would tell of each table of a new database.
        logging.getLogger("mlflow").setLevel(logging.WARNING)
        with mlflow_as_input_error():
            self.client = MlflowClient()
            found = self.client.get_experiment_by_name(experiment)
            if found is None:
                number = self.client.create_experiment(experiment)
            else:
                number = found.experiment_id
            self.run_id = self._begun(number, name, stage, config)
        logger.info(
            f"{name}: MLflow, run {self.run_id} in {self.client.tracking_uri}"
        )

    def _begun(self, number, name, stage, config):
        """Id of the stage's run, an earlier one if it did not finish."""
        from mlflow.entities import Param

        runs = self.client.search_runs([number], f"tags.`{TAG}` = '{stage}'")
        for run in runs:
            if run.info.status != "FINISHED":
                self.client.update_run(run.info.run_id, status="RUNNING")
                return run.info.run_id
        run = self.client.create_run(number, run_name=name, tags={TAG: stage})
        params = [Param(key, str(config[key])) for key in config]
        for first in range(0, len(params), MOST_PARAMS):
            some = params[first : first + MOST_PARAMS]
            self.client.log_batch(run.info.run_id, params=some)
        return run.info.run_id

    @main_process_only
    def log_stats(
        self,
        stats_meta,
        train_stats=None,
        valid_stats=None,
        test_stats=None,
        verbose=False,
    ):
        """See ``TrainLogger``; ``train/loss`` is the loss of the training."""
        from mlflow.entities import Metric

        parts = {"train": train_stats, "valid": valid_stats, "test": test_stats}
        values = dict(stats_meta)
        # The scores of the test are those of the last epoch.
        self.step = values.pop("epoch", self.step)
        for part, stats in parts.items():
            for name, value in (stats or {}).items():
                values[f"{part}/{name}"] = value
        now = round(1000 * time.time())
        metrics = [
            Metric(name, float(value), now, self.step)
            for name, value in values.items()
        ]
        with mlflow_as_input_error():
            self.client.log_batch(self.run_id, metrics)

    def close(self, failed=False):
        """End the run."""
        if self.run_id is not None:
            status = "FAILED" if failed else "FINISHED"
            with mlflow_as_input_error():
                self.client.set_terminated(self.run_id, status)


@contextlib.contextmanager
def mlflow_as_input_error():
    """Report that MLflow cannot be reached in one sentence.

    Raises
    ------
    InputError
        In place of MLflow's own exception.
    """
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f"--logger mlflow cannot log ({reason}): correct "
            "MLFLOW_TRACKING_URI, or leave --logger out."
        ) from error


def chosen(names):
    """The loggers that a setting names.

    Arguments
    ---------
    names : str or None
        ``tensorboard``, or several as ``tensorboard,wandb``.

    Returns
    -------
    list of str

    Raises
    ------
    InputError
        If one is unknown, or its package is not installed.

    Example
    -------
    >>> chosen("tensorboard"), chosen(None)
    (['tensorboard'], [])
    >>> chosen("comet")
    Traceback (most recent call last):
    ...
    ser_brain.errors.InputError: --logger is 'comet': give tensorboard, ...
    """
    found = [each.strip() for each in names.split(",")] if names else []
    for name in found:
        if name not in PACKAGES:
            raise InputError(
                f"--logger is {names!r}: give {', '.join(PACKAGES)}, several "
                "of them with commas between, or null for none."
            )
        if not is_installed(PACKAGES[name]):
            raise InputError(
                f"--logger {name} needs the package {PACKAGES[name]}, which "
                "is not installed: run pip install 'ser_brain[loggers]', or "
                "pip install -e '.[loggers]' in a checkout."
            )
    return found


def is_installed(package):
    """Whether a package is installed.

    Example
    -------
    >>> is_installed("torch"), is_installed("no_such_package")
    (True, False)
    """
    spec = importlib.util.find_spec(package)
    # A folder of this name, as Weights & Biases makes, has no origin.
    return spec is not None and spec.origin is not None


def plain(settings):
    """The numbers and texts among the settings that results depend on."""
    found = {
        key: value
        for key, value in loaded(settings.resolved()).items()
        if isinstance(value, (int, float, str)) and key not in NEUTRAL
    }
    # As ordinary Python values, not those of the yaml parser.
    return json.loads(json.dumps(found))


def open_logger(name, experiment, stage):
    """Open one of the loggers for a stage.

    Arguments
    ---------
    name : str
        One of ``PACKAGES``.
    experiment : Experiment
        The run.
    stage : Stage
        The stage that is trained.

    Returns
    -------
    TrainLogger
        With a method ``close(failed=False)``.
    """
    if name == "tensorboard":
        return TensorBoard(str(experiment.folder / "tensorboard" / stage.name))
    about = experiment.describe()
    where = "-".join(
        str(about[key]) for key in ("corpus", "procedure", "scale", "fold")
    )
    group = f"{where}-seed{experiment.seed}"
    identity = f"{stage.folder.resolve()}\n{stage.key}"
    identity = hashlib.sha256(identity.encode()).hexdigest()[:16]
    config = {**plain(experiment.settings), **about, "stage": stage.name}
    if name == "mlflow":
        project = os.environ.get("MLFLOW_EXPERIMENT_NAME", PROJECT)
        return MLflow(project, f"{group}-{stage.name}", identity, config)
    return WeightsAndBiases(
        project=os.environ.get("WANDB_PROJECT", PROJECT),
        name=f"{group}-{stage.name}",
        group=group,
        id=identity,
        resume="allow",
        dir=str(experiment.folder),
        config=config,
        # log.txt has the output, and a redirected stderr is no terminal.
        settings={"silent": True, "console": "off"},
    )
