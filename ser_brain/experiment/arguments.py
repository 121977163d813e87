"""The command line: a method file, run options and overrides, checked."""

import contextlib
import io
import math
from pathlib import Path

import ruamel.yaml
from ruamel.yaml.error import YAMLError
from speechbrain.utils.run_opts import RunOptions

from ser_brain.assets import ROOT
from ser_brain.dataio.front_end import cache_mode
from ser_brain.errors import InputError
from ser_brain.experiment.settings import YAML, load_layer, tag_of
from ser_brain.words import last_of_each

# Former names of settings, from when there was only one encoder of each kind.
RENAMED = {
    "wav2vec2": "encoder",
    "wav2vec2_dim": "encoder_dim",
    "wav2vec2_feature_span": "encoder_feature_span",
    "wav2vec_dim": "states_dim",
    "wav2vec_feature_span": "states_feature_span",
}
# Settings that are text although their default is null.
PATHS = ("corpus", "data_folder", "manifest", "wav2vec", "states_encoder")
PATHS += ("states_run", "test_manifest", "wav2vec1", "text_encoder", "asr")
# Numbers that may be "auto", or nothing.
NUMBERS = ("micro_batch_seconds",)
# Positive whole numbers that may also be 0.
MAY_BE_ZERO = (
    "seed",
    "adaptation_seed",
    "num_workers",
    "max_skipped_updates",
    "fine_tuning_min_spans",
    "states_min_spans",
)
# Built by the yaml, or null.
BUILT = ("augment", "peft")
# SpeechBrain's parser replaces every "=" by a space: those of values are
# passed as a character that nobody types.
EQUALS = "\ue03d"
# Whole numbers that the yaml leaves open, or refers to another for.
WHOLE = ("adaptation_seed", "encoder_dim", "states_dim", "threads")


def parse_arguments(argv):
    """Parse a command line as SpeechBrain's own parser does.

    Arguments
    ---------
    argv : list of str
        ``hparams/ptapt.yaml --fold 3 --device cpu ...``; of an option that is
        given twice, the last value is used, which is said on stderr.

    Returns
    -------
    tuple
        Path of the method file, run options, and a dict of overrides.

    Raises
    ------
    InputError
        If it cannot be read, or a value has another type than the yaml's.

    Example
    -------
    >>> path, options, overrides = parse_arguments(
    ...     ["hparams/vft.yaml", "--fold", "03", "--lr", "5e-5"]
    ... )
    >>> path.name, options.precision, overrides
    ('vft.yaml', 'fp32', {'fold': '03', 'lr': 5e-05})
    """
    words = last_of_each([str(word) for word in argv])
    name, run_opts, text = _speechbrain_arguments(words)
    if run_opts.test_only:
        raise InputError(
            "--test_only would test a model without training: leave it out, "
            "a finished run is not trained again."
        )
    if "nonfinite_patience" in run_opts.overridden_args:
        raise InputError(
            "--nonfinite_patience starts again in every epoch: give "
            "--max_skipped_updates, which counts the updates of a stage."
        )
    name, text = (each.replace(EQUALS, "=") for each in (name, text))
    path = Path(name)
    if not path.is_file() and (ROOT / name).is_file():
        path = ROOT / name
    method = load_layer(path)
    overrides, typed = map(_renamed, _read_overrides(text))
    for key in overrides.keys() & method.keys():
        if key == "classes" and not isinstance(overrides[key], dict):
            raise InputError(
                f"--classes is {overrides[key]!r}: give a mapping of classes "
                "to labels, as '{happy: [hap, exc], sad: [sad]}'."
            )
        is_text = isinstance(method[key], str) and key not in NUMBERS
        if is_text or key in PATHS:
            # As typed: speaker 03 is not the number 3.
            overrides[key] = _text(overrides[key], typed[key])
        else:
            check_kind(key, overrides[key], method[key])
        if key == "front_end_cache":
            overrides[key] = cache_mode(overrides[key])
    return path, run_opts, overrides


def _speechbrain_arguments(argv):
    """Run SpeechBrain's parser, and report its error in one sentence."""
    complaint = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaint):
            words = [_without_equals(word) for word in argv]
            return RunOptions.from_command_line_args(words)
    except SystemExit as end:
        if end.code == 0:
            raise
        reason = complaint.getvalue().strip().rsplit("error: ", 1)[-1]
        raise InputError(
            f"the command line cannot be read ({reason}): give a yaml file "
            "and then --key value, as hparams/ptapt.yaml --fold 3."
        ) from end


def _without_equals(word):
    """Replace each "=" in a value, except that of --key=value."""
    key, equals, value = word.partition("=")
    if not word.startswith("--") or not equals:
        return word.replace("=", EQUALS)
    return f"{key}={value.replace('=', EQUALS)}"


def _read_overrides(text):
    """Overrides as yaml reads them, and as typed."""
    if not text:
        return {}, {}
    try:
        overrides = YAML.load(text)
        typed = ruamel.yaml.YAML(typ="base").load(text)
    except (YAMLError, RecursionError) as error:
        raise _no_yaml(text, error) from error
    if not isinstance(overrides, dict):
        raise InputError(
            f"'{text}' is not a setting: write --key value after the yaml."
        )
    # Names are text, also that of --3.
    return dict(zip(typed, overrides.values(), strict=True)), typed


def _no_yaml(text, error):
    """Explain what is wrong with the words after the yaml."""
    reason = getattr(error, "problem", None) or "it is nested too deeply"
    told = " ".join(text.split())[:200]
    return InputError(
        f"{told!r} is not yaml ({reason}): write --key value, each on one "
        "line, with quotes where the value holds : { [ or #."
    )


def _renamed(overrides):
    """Rename settings to their present names."""
    for old, new in RENAMED.items():
        if old in overrides and new in overrides:
            raise InputError(
                f"--{old} is another name of --{new}: give only one of them."
            )
    return {RENAMED.get(key, key): overrides[key] for key in overrides}


def _text(value, typed):
    """A value as typed; None for null."""
    return None if value is None else str(typed)


def check_kind(key, value, default):
    """Refuse a value of another type than the yaml's.

    Arguments
    ---------
    key : str
        The setting.
    value : object
        Value of the command line.
    default : object
        Value of the yaml. If it is not a number, switch or list, any value is
        accepted.

    Raises
    ------
    InputError
        With the expected value.

    Example
    -------
    >>> check_kind("epochs", 3, 15)
    >>> check_kind("epochs", "many", 15)
    Traceback (most recent call last):
    ...
    ser_brain.errors.InputError: --epochs is 'many': give a whole number ...
    """
    if key in NUMBERS:
        default = value if value in (None, "auto") else 1.0
    if key in WHOLE:
        default = 1
    if isinstance(default, bool):
        # A switch without a value is on.
        fits, wanted = value is None or isinstance(value, bool), "true or false"
    elif isinstance(default, int) and default > 0:
        least = 0 if key in MAY_BE_ZERO else 1
        fits = is_number(value, int) and value >= least
        wanted = f"a whole number of at least {least}, as {default}"
    elif isinstance(default, (int, float)):
        fits = is_number(value, (int, float)) and 0 <= value < math.inf
        wanted = f"a number of at least 0, as {default}"
    elif isinstance(default, list):
        fits = isinstance(value, list)
        wanted = f"a list, as '{list(default)}'"
    elif is_built(default) or key in BUILT:
        fits = is_built(value) or (value is None and default is None)
        like = tag_of(default) or "!new:package.module.Class {option: value}"
        wanted = f"what builds it, as '{like}'"
    else:
        return
    if not fits:
        raise InputError(f"--{key} is {value!r}: give {wanted}.")


def is_built(value):
    """Whether a setting is an object that the yaml builds."""
    return (tag_of(value) or "").startswith(("!new:", "!name:", "!apply:"))


def is_number(value, kind):
    """Whether a value is a number of a type; True and False are not."""
    return isinstance(value, kind) and not isinstance(value, bool)
