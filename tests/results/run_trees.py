"""A tree of run folders as recipes and plans leave them, without training.

Predictions are drawn: a clip has its own difficulty, which all runs share, so
that runs agree as real ones do.
"""

import hashlib
import json

import numpy as np

from ser_brain.evaluation.metrics import scores
from ser_brain.results.outputs import write_metrics, write_predictions

CLASSES = {
    "anger": 15,
    "disgust": 15,
    "fear": 15,
    "happiness": 15,
    "neutral": 30,
    "sadness": 15,
    "surprise": 15,
}
SKILL = {"vft": 0.45, "tapt": 0.6, "ptapt": 0.62}
FOLD_SKILL = {"DC": 0.1, "JE": 0.12, "JK": -0.02, "KL": -0.15}
STAGES = {
    "vft": ["classifier"],
    "tapt": ["adapted", "classifier"],
    "ptapt": ["emotion_states", "clusters", "adapted", "classifier"],
}


def rows_of(procedure, fold, seed):
    """Predictions of one run."""
    same = np.random.default_rng(sum(map(ord, fold)))
    own = np.random.default_rng([seed, *map(ord, procedure + fold)])
    names = list(CLASSES)
    skill = SKILL[procedure] + FOLD_SKILL[fold] + own.normal(0, 0.02)
    rows = []
    for label, count in CLASSES.items():
        for number in range(count):
            ease = np.clip(same.normal(skill, 0.3), 0, 1)
            weights = own.dirichlet(np.ones(len(names)))
            weights[names.index(label)] += own.random() < ease
            shares = weights / weights.sum()
            rows.append(
                {
                    "id": f"{fold}_{label}{number:02d}",
                    "speaker": fold,
                    "fold": fold,
                    "label": label,
                    "prediction": names[int(shares.argmax())],
                    "posteriors": dict(zip(names, shares.tolist())),
                }
            )
    return rows


def write_run(root, procedure, fold, seed, scale="nano", **more):
    """One finished run folder, below ``root``/SAVEE."""
    folder = root / "SAVEE" / procedure / scale / f"fold_{fold}"
    folder = folder / f"seed_{seed}"
    rows = rows_of(procedure, fold, seed)
    write_predictions(folder / "predictions.csv", rows)
    content = (folder / "predictions.csv").read_bytes()
    stages = STAGES[procedure]
    metrics = {
        "corpus": "SAVEE",
        "procedure": procedure,
        "scale": scale,
        "fold": fold,
        "seed": seed,
        **scores(
            [row["label"] for row in rows],
            [row["prediction"] for row in rows],
            list(CLASSES),
        ),
        "audio_seconds_per_second": {"classifier": 70.0},
        "wall_seconds": dict.fromkeys(stages, 60.0),
        "device": "cpu",
        "precision": "fp32",
        "adaptation_seed": None if procedure == "vft" else seed,
        "predictions_sha256": hashlib.sha256(content).hexdigest(),
        **more,
    }
    write_metrics(folder / "metrics.json", metrics)
    (folder / "hyperparams.yaml").write_text(
        f"seed: {seed}\nfold: {fold} # tested\nlr: 0.0005\n"
        "fine_tuning:\n  lr: 0.0005\n"
    )
    (folder / "train_log.txt").write_text(log_of(stages, seed))
    return folder


def log_of(stages, seed):
    """Losses that fall, as SpeechBrain's logger writes them."""
    noise = np.random.default_rng(seed).normal(0, 0.02, 20)
    return "".join(
        f"stage: {stage}, epoch: {epoch}, lr: 5.0000e-04 - "
        f"train loss: {2 * 0.9**epoch + noise[epoch]:.4f}\n"
        for stage in stages
        if stage != "clusters"
        for epoch in range(1, 11)
    )


def write_plan(root, procedure, folds, runs, scale="nano", **more):
    """The record of a plan."""
    folder = root / "SAVEE" / procedure / scale
    record = {
        "corpus": "SAVEE",
        "procedure": procedure,
        "scale": scale,
        "folds": folds,
        "runs": runs,
        "seeds": {fold: list(range(1, runs + 1)) for fold in folds},
        "repeat": "all",
        "outliers": "rerun",
        "discarded": [],
        "failed": [],
    }
    path = folder / "plan.json"
    path.write_text(json.dumps(record | more))
    return path


def write_tree(root, procedures=tuple(SKILL), folds="DC JE JK KL", runs=5):
    """Plans that finished; P-TAPT's discarded one run and ran it again."""
    folds = folds.split()
    for procedure in procedures:
        for fold in folds:
            for seed in range(1, runs + 1):
                write_run(root, procedure, fold, seed)
        write_plan(root, procedure, folds, runs)
    if "ptapt" in procedures:
        write_run(root, "ptapt", "KL", runs + 1)
        write_plan(
            root,
            "ptapt",
            folds,
            runs,
            seeds={
                fold: [
                    seed
                    for seed in range(1, runs + 2)
                    if seed != (2 if fold == "KL" else runs + 1)
                ]
                for fold in folds
            },
            discarded=[{"fold": "KL", "seed": 2}],
        )
    return root / "SAVEE"
