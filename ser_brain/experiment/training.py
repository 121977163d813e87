"""Training and testing of a Brain with one section of the settings."""

import json
import logging
import math
from contextlib import closing

import torch
from speechbrain.utils.distributed import if_main_process
from speechbrain.utils.epoch_loop import EpochCounter

from ser_brain.dataio.batches import UpdateSampler, data_parallel
from ser_brain.errors import InputError
from ser_brain.experiment.checkpoints import WholeCheckpointer
from ser_brain.experiment.front_end import front_end
from ser_brain.files import write_atomically
from ser_brain.inference.checks import check_finite
from ser_brain.lobes.adapters import add_adapters, merge_adapters
from ser_brain.nnet.layer_rates import train_last_layers
from ser_brain.nnet.losses import inverse_frequency_weights
from ser_brain.stopping import STOPPING

logger = logging.getLogger(__name__)

# Prefix in the yaml of a stage's batch_size and similar settings.
SETTINGS_PREFIX = {
    "emotion_states": "states_",
    "adapted": "adaptation_",
    "classifier": "",
}


def class_weights(experiment, ids, device):
    """Return inverse class frequencies of the training part, summing to 1."""
    emotions = [experiment.manifest[key]["emotion"] for key in ids]
    counts = [emotions.count(name) for name in experiment.classes]
    return inverse_frequency_weights(counts).to(device)


def update_sampler(experiment, section, stage, ids):
    """Create the batches of a stage from its section's batch settings."""
    size = "batch_size" if "batch_size" in section else "batch_seconds"
    longest = section["max_seconds"]
    durations = [
        min(experiment.manifest[key]["duration"], longest) for key in ids
    ]
    rank, world = data_parallel()
    return UpdateSampler(
        durations,
        batch_size=section.get("batch_size"),
        batch_seconds=section.get("batch_seconds"),
        buckets=section.get("buckets", 1),
        updates=section.get("steps"),
        updates_per_epoch=section.get("steps_per_epoch"),
        seed=section["seed"],
        rank=rank,
        world=world,
        setting=_prefix(section, stage) + size,
    )


def _prefix(section, stage):
    """Return the prefix of the stage's settings in the yaml."""
    base = stage.name.split("_round")[0]
    return section.get("prefix", SETTINGS_PREFIX[base])


def check_dim(experiment, encoder, stage):
    """Refuse heads of a size that does not match the encoder."""
    is_first = stage.name == "emotion_states"
    setting = "states_dim" if is_first else "encoder_dim"
    told = experiment.settings.get(setting)
    # If it is not given, the yaml reads it from the encoder itself.
    if isinstance(told, int) and told != encoder.dim:
        raise InputError(
            f"--{setting} is {told}, but the encoder has {encoder.dim} "
            f"features a frame: give --{setting} {encoder.dim}."
        )


def assemble(brain_class, experiment, section, stage, ids, validates, **more):
    """Build a Brain from a section, ready to train.

    Arguments
    ---------
    brain_class : type
        The objective.
    experiment : Experiment
        The run.
    section : dict
        The instantiated section: ``modules``, ``opt_class`` and the rest.
    stage : Stage
        The stage whose checkpoints folder is used.
    ids : sequence of str
        Utterances to train on.
    validates : bool
        Whether a validation loss selects the checkpoint that is kept.
    **more
        Additional entries of the Brain's hparams.

    Returns
    -------
    brain : ObjectiveBrain
        Not trained yet.
    counter : EpochCounter
        Its epochs.
    loader : SaveableDataLoader
        Its batches.
    """
    sampler = update_sampler(experiment, section, stage, ids)
    if "encoder" in section["modules"]:
        check_dim(experiment, section["modules"]["encoder"], stage)
    if "steps" in section:
        per_epoch = section["steps_per_epoch"]
        epochs = math.ceil(section["steps"] / per_epoch)
        updates = section["steps"]
    else:
        per_epoch, epochs = len(sampler), section["epochs"]
        updates = per_epoch * epochs
    counter = EpochCounter(epochs)
    progress = experiment.view(stage.name, epochs, updates)
    loader = experiment.loader(
        ids, sampler, decodes="layer_features" not in more
    )
    recoverables = {**section["modules"], "counter": counter, "loader": loader}
    hparams = {
        **section,
        **more,
        "stage": stage.name,
        "front_end": front_end(experiment, section),
        "sampler": sampler,
        "updates": updates,
        "updates_per_epoch": per_epoch,
        "validates": validates,
        "train_loggers": experiment.train_loggers(stage, progress),
        "progress": progress,
        "max_skipped_updates": experiment.settings.get("max_skipped_updates"),
        "nonfinite_folder": stage.nonfinite,
    }
    brain = brain_class(
        modules=section["modules"],
        opt_class=section["opt_class"],
        hparams=hparams,
        run_opts=experiment.run_opts,
        checkpointer=WholeCheckpointer(
            stage.checkpoints, recoverables=recoverables
        ),
    )
    return brain, counter, loader


def fit(brain_class, experiment, section, stage, ids, valid=None, **more):
    """Train a Brain with a section to the end.

    Arguments
    ---------
    brain_class, experiment, section, stage, ids, **more
        As for ``assemble``.
    valid : sequence of str, optional
        Utterances whose loss selects the checkpoint that is kept.

    Returns
    -------
    ObjectiveBrain
        The trained Brain, with the best checkpoint loaded if there was
        validation.
    """
    validates = valid is not None
    brain, counter, loader = assemble(
        brain_class, experiment, section, stage, ids, validates, **more
    )
    valid_loader = None
    if validates:
        valid_loader = experiment.loader(valid, batch_size=8)
    with STOPPING.deferred(), closing(brain.hparams.progress):
        brain.fit(counter, loader, valid_loader)
    if validates:
        brain.checkpointer.recover_if_possible(min_key="valid_loss")
    return brain


def what_learns(section):
    """Freeze a part of the encoder, or add adapters, as set.

    Arguments
    ---------
    section : dict
        The instantiated section, with the encoder in its ``modules``.

    Raises
    ------
    InputError
        If the encoder cannot have such adapters.

    Returns
    -------
    dict
        For the stage's record: how many weights of the encoder are trained;
        empty if all are.
    """
    encoder = section["modules"]["encoder"]
    layers, peft = section.get("trained_layers"), section.get("peft")
    if layers is None and peft is None:
        return {}
    if peft is None:
        train_last_layers(encoder, layers)
    else:
        try:
            add_adapters(encoder, peft)
        except ValueError as error:
            raise InputError(f"--peft cannot be used: {error}") from error
    learning = sum(
        weight.numel()
        for weight in encoder.parameters()
        if weight.requires_grad
    )
    logger.info(f"{learning} weights of the encoder learn.")
    return {"learning_weights": learning}


def mean_posteriors(brain, loader, speeds):
    """Compute posteriors of a test, averaged over playing speeds."""
    total = {}
    brain.hparams.progress.begin_test(len(loader) * len(speeds))
    with closing(brain.hparams.progress):
        for speed in speeds:
            brain.test_speed = speed
            brain.evaluate(loader)
            for name, shares in brain.posteriors.items():
                earlier = total.get(name, [0.0] * len(shares))
                total[name] = [sum(pair) for pair in zip(earlier, shares)]
    return {
        name: [share / len(speeds) for share in shares]
        for name, shares in total.items()
    }


def write_predictions(experiment, brain, loader, encoder, path):
    """Test a Brain and write what it predicts, in JSON; merge adapters.

    Arguments
    ---------
    experiment : Experiment
        The run; a fold without a test part has no predictions.
    brain : ObjectiveBrain
        Trained; its ``test_speeds`` are played.
    loader : torch.utils.data.DataLoader
        The test part.
    encoder : torch.nn.Module
        The Brain's encoder.
    path : pathlib.Path
        The file, which the main process writes.

    Raises
    ------
    InputError
        If a prediction is not finite.
    """
    predicted = {}
    if experiment.fold.test:
        predicted = mean_posteriors(brain, loader, brain.hparams.test_speeds)
    # Only now, because SpeechBrain's test loads the last checkpoint.
    merge_adapters(encoder)
    if if_main_process():
        check_finite(predicted, torch.tensor([*predicted.values()]))
        write_atomically(path, json.dumps(predicted))


def read_predictions(experiment, path):
    """Read what ``write_predictions`` wrote.

    Returns
    -------
    dict or None
        None without a test part, and on all processes but the main one.
    """
    if not if_main_process() or not experiment.fold.test:
        return None
    return json.loads(path.read_text(encoding="utf-8"))


def throughput(brain):
    """Return the throughput of a trained Brain for its stage's record."""
    if brain.trained_wall == 0:
        return {}
    rate = brain.trained_seconds * brain.world / brain.trained_wall
    return {"audio_per_second": round(rate, 2)}
