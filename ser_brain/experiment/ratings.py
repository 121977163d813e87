"""Fine-tuning of an encoder to predict ratings of utterances."""

import numpy as np
import torch
from speechbrain.utils.distributed import if_main_process

from ser_brain.corpora import hours
from ser_brain.evaluation.ratings import rating_scores
from ser_brain.experiment.chain import classifier_stage
from ser_brain.experiment.probe import start_from_ridge
from ser_brain.experiment.results import tested_results
from ser_brain.experiment.training import (
    fit,
    throughput,
    what_learns,
    write_predictions,
)
from ser_brain.inference.rater import save_rater
from ser_brain.reporting.formats import ratings_summary
from ser_brain.results.ratings import METRICS, PREDICTIONS, write_ratings

PREDICTED = "predicted.json"
# What is logged of ratings.json.
SCORES = ("mean_CCC",)


def rate(experiment, brain_class, section):
    """Train a regression of ratings, test it, and write the results.

    Arguments
    ---------
    experiment : Experiment
        The run.
    brain_class : type
        ``RatingBrain``, or a subclass.
    section : str
        Its section of the yaml.

    Returns
    -------
    dict
        The content of ratings.json, on the main process.
    """
    fold = experiment.fold
    stage = classifier_stage(experiment, section)

    def work():
        built = experiment.section(section)
        wanted = targets_of(experiment, fold.train)
        mean, scale = wanted.mean(0), wanted.std(0).clip(min=1e-5)
        if built["head_start"] == "probe":
            start_from_ridge(experiment, built, fold.train, mean, scale)
        learning = what_learns(built)
        brain = fit(
            brain_class,
            experiment,
            built,
            stage,
            fold.train,
            target_mean=torch.tensor(mean),
            target_scale=torch.tensor(scale),
        )
        encoder, head = brain.bare("encoder"), brain.bare("head")
        loader = experiment.loader(
            fold.test, batch_size=built["test_batch_size"]
        )
        path = stage.folder / PREDICTED
        write_predictions(experiment, brain, loader, encoder, path)
        if if_main_process():
            save_rater(
                stage.folder,
                encoder,
                head,
                targets=list(experiment.settings.get("targets")),
                target_mean=mean.tolist(),
                target_scale=scale.tolist(),
                speeds=built["test_speeds"],
                **experiment.describe(),
            )
        return {**throughput(brain), **learning}

    experiment.run_stage(stage, work)
    return tested_results(experiment, stage, PREDICTED, rating_results, SCORES)


def targets_of(experiment, ids):
    """Return ratings of utterances, float64 of shape (utterances, targets)."""
    return np.array([experiment.manifest[key]["target"] for key in ids])


def rating_results(experiment, predicted, key):
    """Write ratings.csv and ratings.json, and print a summary.

    Arguments
    ---------
    experiment : Experiment
        The run.
    predicted : dict
        Utterance id to its predicted ratings.
    key : str
        Key of the stage that predicted them.

    Returns
    -------
    dict
        The content of ratings.json.
    """
    tested = [name for name in experiment.fold.test if name in predicted]
    truth = targets_of(experiment, tested)
    targets = list(experiment.settings.get("targets"))
    rows = [
        {
            "id": name,
            "speaker": experiment.manifest[name]["speaker"],
            "fold": experiment.fold.name,
            "truth": truth[number],
            "prediction": predicted[name],
        }
        for number, name in enumerate(tested)
    ]
    metrics = {
        **experiment.describe(),
        **rating_scores(truth, [predicted[name] for name in tested], targets),
        "train_hours": round(
            hours(experiment.manifest, experiment.fold.train), 4
        ),
        "wall_seconds": experiment.wall_seconds,
        "device": str(experiment.run_opts.device),
        "precision": experiment.run_opts.precision,
        "key": key,
    }
    metrics = write_ratings(experiment.folder, rows, targets, metrics)
    print(
        f"\n{experiment.name}, {experiment.procedure}, {experiment.scale}, "
        f"fold {experiment.fold.name}, seed {experiment.seed}\n"
    )
    print(ratings_summary(metrics))
    for name in (PREDICTIONS, METRICS):
        print(experiment.folder / name)
    return metrics
