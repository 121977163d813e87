"""Early checks of settings that are used late in a run."""

from ser_brain.clustering.soft import check_soft
from ser_brain.errors import InputError
from ser_brain.experiment.train_loggers import DEFAULT, chosen
from ser_brain.nnet.layer_rates import check_rates


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
