"""Settings added after the first results, and their former behaviour.

With a setting at this value, a run is the same as before the setting existed:
it changes no key, and a report accepts the run along with runs whose settings
lack it.
"""

LATER = {
    "rounds": 1,
    "cluster_depth": 0.5,
    "states_run": None,
    "soft_top": 1,
    "soft_temperature": 1.0,
    "lr_decay": 1.0,
    "head_lr_factor": 1.0,
    "trained_layers": None,
    "adaptation_trained_layers": None,
    "peft": None,
    "test_manifest": None,
    "labels": None,
    "soft_targets": False,
}


def as_before(name, value):
    """Whether a setting has the value of runs from before it existed.

    Arguments
    ---------
    name : str
        The setting.
    value : object
        As yaml reads it.

    Returns
    -------
    bool
        False for every setting that existed from the beginning.

    Example
    -------
    >>> as_before("rounds", 1), as_before("rounds", 2), as_before("lr", 1)
    (True, False, False)
    """
    return name in LATER and value == LATER[name]
