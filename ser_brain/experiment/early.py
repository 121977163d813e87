"""Early checks of settings that are used late in a run."""

from ser_brain.clustering.soft import check_soft
from ser_brain.errors import InputError
from ser_brain.experiment.train_loggers import DEFAULT, chosen
from ser_brain.lobes import encoder_layers
from ser_brain.lobes.layer_states import layer_at
from ser_brain.nnet.layer_rates import check_last_layers, check_rates


def check_early(settings):
    """Refuse settings that a later stage could not use.

    Arguments
    ---------
    settings : Settings
        All layers applied.

    Raises
    ------
    InputError
        If ``cluster_depth``, ``lr_decay`` or the soft labels' settings are out
        of range, or ``logger`` cannot be used.
    """
    chosen(settings.get("logger", DEFAULT))
    depth = settings.get("cluster_depth", 1)
    if not 0 <= depth <= 1:
        raise InputError(
            f"--cluster_depth is {depth}: give a number from 0, the input of "
            "the encoder's first layer, to 1, the output of its last one."
        )
    try:
        check_rates(
            settings.get("lr_decay", 1.0), settings.get("head_lr_factor", 1.0)
        )
    except ValueError as error:
        raise InputError(f"--{error}") from error
    if "soft_top" in settings.tree:
        check_soft(
            settings.get("n_clusters"),
            settings.get("soft_top"),
            settings.get("soft_temperature"),
        )


def check_layers(settings):
    """Refuse numbers of layers that the encoder does not have.

    Also a layer to cluster in further rounds that the adaptation does not
    change: the second round would not cluster an adapted encoder.

    Arguments
    ---------
    settings : Settings
        Those of a run, with its fold chosen.

    Raises
    ------
    InputError
        If ``trained_layers``, ``adaptation_trained_layers`` or
        ``cluster_depth`` does not fit the encoder or another setting, or the
        encoder cannot be read.
    """
    counts = {
        name: settings.get(name)
        for name in ("trained_layers", "adaptation_trained_layers")
        if settings.get(name) is not None
    }
    if not counts:
        return
    if "trained_layers" in counts and settings.get("peft") is not None:
        raise InputError(
            f"--trained_layers {counts['trained_layers']} and --peft exclude "
            "each other: peft freezes the whole encoder by itself."
        )
    try:
        layers = encoder_layers(settings.value("encoder"))
    except (OSError, ValueError) as error:
        raise InputError(" ".join(str(error).split())) from error
    for name, count in counts.items():
        try:
            check_last_layers(count, layers)
        except ValueError as error:
            raise InputError(f"--{name} cannot be used: {error}") from error
    adapted = counts.get("adaptation_trained_layers", layers)
    depth, first = settings.get("cluster_depth"), layers - adapted + 1
    if settings.get("rounds", 1) > 1 and layer_at(depth, layers) < first:
        raise InputError(
            f"--cluster_depth {depth} is layer {layer_at(depth, layers)} of "
            f"{layers}, which --adaptation_trained_layers {adapted} leaves "
            f"as it was before: give at least {first / layers:g}, so that "
            "further rounds cluster what was adapted."
        )
