"""Loads complete models in transformers' format, in fp32."""

import pickle
import struct
from contextlib import contextmanager

import torch
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from transformers import PreTrainedConfig

# Raised when unpickling without running code: on code, on other files.
NO_TENSORS = (pickle.UnpicklingError, EOFError, struct.error)
# Raised by transformers on a config.json with values of the wrong type.
WRONG_KIND = (
    TypeError,
    LookupError,
    AttributeError,
    ArithmeticError,
    AssertionError,
)


@contextmanager
def readable(source):
    """Turn the errors of damaged or hostile files into a ValueError.

    Arguments
    ---------
    source : str or Path
        The local folder or hub name that is read.

    Raises
    ------
    ValueError
        If its weights or its config.json are damaged, or its weights are a
        pickle that holds more than tensors. No code in it is run.

    Example
    -------
    >>> with readable("folder"):
    ...     raise EOFError
    Traceback (most recent call last):
    ...
    ValueError: the weights of folder (pytorch_model.bin) hold something ...
    """
    try:
        yield
    except NO_TENSORS as error:
        raise ValueError(
            f"the weights of {source} (pytorch_model.bin) hold something else "
            "than tensors, or are damaged, and were not loaded: give the model "
            "as model.safetensors."
        ) from error
    except (StrictDataclassError, *WRONG_KIND) as error:
        reason = " ".join(str(error).split())[:300]
        raise ValueError(
            f"config.json of {source} has a value of the wrong kind "
            f"({reason}): copy it again."
        ) from error
    except (SafetensorError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:300]
        raise ValueError(
            f"the weights of {source} are damaged or do not fit its "
            f"config.json ({reason}): copy it again."
        ) from error


def model_type(source):
    """Model type that a checkpoint's config.json names.

    Arguments
    ---------
    source : str or Path
        A local folder in transformers' format, or a hub name.

    Returns
    -------
    str
        ``wav2vec2``, ``whisper``, ... or the format of a folder that ser_brain
        wrote.

    Raises
    ------
    ValueError
        If config.json names no model type.
    OSError
        If the source is not such a folder and cannot be had from the hub.

    Example
    -------
    >>> from ser_brain.assets import folder
    >>> model_type(folder("nano_wav2vec2"))
    'wav2vec2'
    """
    source = str(source)
    try:
        config = PreTrainedConfig.get_config_dict(source)[0]
    except (OSError, RecursionError, *WRONG_KIND):
        config = {}
    if not config or not isinstance(config, dict):
        raise OSError(
            f"'{source}' is neither a local folder with a readable "
            "config.json nor a hub model that can be reached: give the path "
            "of a folder that holds the model (config.json, "
            "model.safetensors)."
        )
    kind = config.get("model_type") or config.get("format")
    if not kind or not isinstance(kind, str):
        raise ValueError(
            f"config.json of {source} names no model_type: give a checkpoint "
            "in transformers' format."
        )
    return kind


def load_model(model_class, source, kind, needed, optional=(), **options):
    """Load a transformers model in fp32, from a folder or the hub.

    Arguments
    ---------
    model_class : type
        A class of transformers.
    source : str or Path
        A local folder in transformers' format, or a hub name.
    kind : str
        The ``model_type`` that its config.json must have.
    needed : str
        What to give instead of another type, for the error message.
    optional : tuple of str
        Parts of the names of weights that may be missing.
    **options
        For transformers' ``from_pretrained``.

    Returns
    -------
    transformers.PreTrainedModel
        The model.

    Raises
    ------
    ValueError
        If the folder holds another kind of model, or weights that are
        damaged or lack a part of this one.
    OSError
        If the source is not a folder and cannot be had from the hub.

    Example
    -------
    >>> from transformers import Wav2Vec2Model
    >>> from ser_brain.assets import folder
    >>> source = folder("nano_wav2vec2")
    >>> load_model(Wav2Vec2Model, source, "wav2vec2", "wav2vec 2.0").dtype
    torch.float32
    """
    source = str(source)
    found = model_type(source)
    if found != kind:
        raise ValueError(
            f"{source} holds a model of type '{found}', not '{kind}': give "
            f"{needed}."
        )
    with readable(source):
        model, loading = model_class.from_pretrained(
            source, dtype=torch.float32, output_loading_info=True, **options
        )
    # transformers fills what is missing with random numbers.
    missing = {
        key.split(".")[0]
        for key in loading["missing_keys"]
        if not any(part in key for part in optional)
    }
    if missing:
        raise ValueError(
            f"{source} lacks weights of {model_class.__name__} "
            f"({', '.join(sorted(missing))}): give a checkpoint of the whole "
            "model."
        )
    return model
