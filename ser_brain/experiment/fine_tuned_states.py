"""States from a fine-tuned encoder: a V-FT run instead of P1."""

from pathlib import Path

from ser_brain.errors import InputError
from ser_brain.experiment.stage import Stage, read_record
from ser_brain.inference.checks import CLASSIFIER
from ser_brain.results.outputs import read_json, read_predictions
from ser_brain.results.runs import METRICS, PREDICTIONS

# Value of --states_run for the run of the same fold and seed.
OWN = "vft"
NAME = "fine_tuned"


def states_run(outline):
    """The run folder whose encoder computes the states; None for P1.

    Arguments
    ---------
    outline : Outline
        With its fold chosen.
    """
    given = outline.settings.get("states_run")
    if given is None:
        return None
    if given != OWN:
        return Path(given).expanduser()
    variant = f"-{outline.settings.get('variant')}"
    return outline.folder_of(OWN, outline.scale.replace(variant, "", 1))


def fine_tuned_stage(run):
    """Return the classifier of a finished run as a stage to depend on.

    Arguments
    ---------
    run : Path
        The run folder.

    Raises
    ------
    InputError
        If it holds no finished run.

    Example
    -------
    >>> fine_tuned_stage(Path("/nowhere"))
    Traceback (most recent call last):
    ...
    ser_brain.errors.InputError: /nowhere, named by --states_run, holds no ...
    """
    record = read_record(run / CLASSIFIER / "done.json")
    if "key" not in record:
        raise InputError(
            f"{run}, named by --states_run, holds no finished V-FT run: run "
            "train_vft.py with the same fold, seed and scale first, or give "
            "the folder of such a run."
        )
    return Stage(NAME, run / CLASSIFIER, record["key"])


def check_same_fold(outline, stage):
    """Refuse a run that was trained on a clip that this run tests.

    Arguments
    ---------
    outline : Outline
        With its fold chosen.
    stage : Stage
        As returned by ``fine_tuned_stage``.

    Raises
    ------
    InputError
        If the run is of another corpus, or did not test every clip that is
        tested here: it may have been trained on the others.
    """
    run = stage.folder.parents[1]
    if not outline.fold.test:
        return
    metrics = read_json(run / METRICS)
    if metrics.get("key") != stage.key:
        raise InputError(
            f"{run / METRICS} does not belong to the model beside it: start "
            "that run again to continue where it stopped."
        )
    tested = {row["id"] for row in read_predictions(run / PREDICTIONS)}
    lacking = sorted(set(outline.fold.test) - tested)
    told = f"{metrics['corpus']}, fold {metrics['fold']}"
    if metrics["corpus"] != outline.name or lacking:
        raise InputError(
            f"{run}, named by --states_run, is a run of {told}, so that its "
            f"encoder may have been trained on clips that {outline.name}, "
            f"fold {outline.fold.name}, tests: give the V-FT run of that fold."
        )
