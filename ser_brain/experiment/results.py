"""The result files of a run, and the table that it prints."""

import sys
from pathlib import Path

import torch

from ser_brain.corpora import hours
from ser_brain.evaluation.metrics import confusion, scores
from ser_brain.experiment.training import read_predictions
from ser_brain.files import digest
from ser_brain.reporting.confusion import save_confusion
from ser_brain.reporting.formats import summary_table
from ser_brain.results.outputs import write_metrics, write_predictions

RESULTS = ("predictions.csv", "metrics.json", "confusion.png")
RATINGS = ("ratings.csv", "ratings.json")
# What a classifier has predicted, in its stage's folder.
POSTERIORS = "posteriors.json"
# What is logged of metrics.json.
SCORES = ("UA", "WA", "macro_f1")


def drop_results(folder):
    """Remove the results of an earlier run from a run folder."""
    for name in RESULTS + RATINGS:
        (folder / name).unlink(missing_ok=True)


def prediction_rows(experiment, posteriors):
    """Rows of predictions.csv, in the order of the test part."""
    rows = []
    tested = experiment.fold.test
    if experiment.run_opts.debug:
        # In debug mode SpeechBrain tests only a few batches.
        tested = [key for key in tested if key in posteriors]
    for key in tested:
        entry = experiment.manifest[key]
        shares = dict(zip(experiment.classes, posteriors[key]))
        rows.append(
            {
                "id": key,
                "speaker": entry["speaker"],
                "fold": experiment.fold.name,
                "label": entry["emotion"],
                "prediction": max(shares, key=shares.get),
                "posteriors": shares,
            }
        )
    return rows


def write_results(experiment, posteriors, key):
    """Write predictions.csv, metrics.json and confusion.png; print a table.

    Arguments
    ---------
    experiment : Experiment
        The run.
    posteriors : dict
        Utterance id to the posterior of each class.
    key : str
        Key of the stage that computed them.

    Returns
    -------
    dict
        The content of metrics.json.
    """
    rows = prediction_rows(experiment, posteriors)
    truth = [row["label"] for row in rows]
    prediction = [row["prediction"] for row in rows]
    metrics = {
        **experiment.describe(),
        **scores(truth, prediction, experiment.classes),
        "train_share": experiment.train_share,
        "train_hours": round(
            hours(experiment.manifest, experiment.fold.train), 4
        ),
        "audio_seconds_per_second": experiment.audio_per_second,
        "wall_seconds": experiment.wall_seconds,
        "device": str(experiment.run_opts.device),
        "precision": experiment.run_opts.precision,
        "threads": torch.get_num_threads(),
        "key": key,
    }
    folder = experiment.folder
    predictions = folder / "predictions.csv"
    write_predictions(predictions, rows)
    metrics["predictions_sha256"] = digest(predictions)
    write_metrics(folder / "metrics.json", metrics)
    title = (
        f"{experiment.name}, {experiment.procedure}, {experiment.scale}, "
        f"fold {experiment.fold.name}"
    )
    matrix = confusion(truth, prediction, experiment.classes)
    save_confusion(folder / "confusion.png", matrix, experiment.classes, title)
    print(f"\n{title}, seed {experiment.seed}\n")
    print(summary_table(metrics))
    for name in RESULTS:
        print(folder / name)
    if experiment.mini:
        print(next_step(experiment))
    return metrics


def tested_results(
    experiment, stage, file=POSTERIORS, write=write_results, scores=SCORES
):
    """Write the result files of a finished stage, on the main process.

    Arguments
    ---------
    experiment : Experiment
        The run.
    stage : Stage
        Its last stage.
    file : str
        What the stage predicted, in its folder.
    write : callable
        Takes experiment, predictions and key of the stage; returns metrics.
    scores : sequence of str
        The metrics that are logged.

    Returns
    -------
    dict or None
        The metrics; None on other processes.
    """
    predicted = read_predictions(experiment, stage.folder / file)
    metrics = None
    if predicted is not None:
        metrics = write(experiment, predicted, stage.key)
    experiment.log_scores(metrics, scores)
    return metrics


def next_step(experiment):
    """The command to use with a real corpus."""
    corpus = experiment.name.removeprefix("mini-")
    # Several method files may share a script.
    script = Path(sys.argv[0]).name
    return (
        "\nThis was the embedded mini corpus. With the real one:\n"
        f"  python recipes/{corpus}/{script} "
        f"hparams/{experiment.procedure}.yaml --data_folder /path/to/{corpus} "
        f"--fold {experiment.fold.name}"
    )
