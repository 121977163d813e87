"""A planned run and its state, from its folder and without starting it."""

from dataclasses import dataclass

import pandas

from ser_brain.engines.runs import Run
from ser_brain.errors import InputError
from ser_brain.experiment.stage import Stage
from ser_brain.reporting.formats import counted
from ser_brain.results.outputs import read_metrics
from ser_brain.results.runs import METRICS, has_written_predictions

FINISHED = "finished"
STATES = FINISHED, "unfinished", "missing", "failed", "edited", "other settings"


@dataclass(frozen=True)
class PlannedRun:
    """A run and the stages that lead to its classifier.

    Arguments
    ---------
    run : Run
        The run.
    stages : tuple of Stage
        In order, the classifier last. Several runs may share the others.
    """

    run: Run
    stages: tuple[Stage, ...]

    @property
    def metrics(self):
        """The content of metrics.json; None if there is none."""
        path = self.run.folder / METRICS
        if not path.is_file():
            return None
        try:
            return read_metrics(path)
        except InputError:
            # Incomplete: the recipe writes it again.
            return None

    @property
    def finished(self):
        """Whether it has results with these settings and data."""
        return self.state() == FINISHED

    def state(self, failed=False):
        """Return one of ``STATES``.

        A run is "edited" if its predictions have changed since its scores were
        computed, and has "other settings" if it was run with other settings or
        data; running it again replaces its results.

        Arguments
        ---------
        failed : bool
            Whether its last process failed, according to the plan's record.
        """
        metrics = self.metrics
        if metrics is not None and metrics.get("key") == self.stages[-1].key:
            whole = has_written_predictions(self.run.folder, metrics)
            return FINISHED if whole else "edited"
        if failed:
            return "failed"
        if metrics is not None:
            return "other settings"
        return "unfinished" if self._begun() else "missing"

    def _begun(self):
        """Whether a stage of this seed's own has begun."""
        return any(
            stage.unfinished or stage.done
            for stage in self.stages
            if stage.folder.parents[1].name == self.run.folder.name
        )


def seconds_left(runs):
    """Estimate the wall seconds of unfinished runs, one after the other.

    Each stage is estimated by its mean over the finished runs; a stage that
    several runs share counts once, a finished one not at all.

    Arguments
    ---------
    runs : list of PlannedRun
        All runs of a plan.

    Returns
    -------
    float or None
        None if no run has finished yet.
    """
    finished = [run for run in runs if run.finished]
    if not finished:
        return None
    times = [run.metrics["wall_seconds"] for run in finished]
    measured = pandas.DataFrame(times).mean()
    # By folder: several runs may wait for one stage.
    waiting = {
        stage.folder: float(measured[stage.name])
        for run in runs
        if not run.finished
        for stage in run.stages
        if stage.done is None
    }
    return sum(waiting.values())


def time_left(seconds, workers):
    """Describe the remaining time in a sentence.

    Example
    -------
    >>> time_left(5400, workers=2)
    'about 0.8 h left with 2 runs at a time, by the finished runs'
    >>> time_left(None, workers=2)
    'no estimate: none has finished yet'
    """
    if seconds is None:
        return "no estimate: none has finished yet"
    if seconds == 0:
        return "nothing is left to run"
    hours = seconds / workers / 3600
    return (
        f"about {hours:.1f} h left with {counted(workers, 'run')} at a time, by the "
        "finished runs"
    )
