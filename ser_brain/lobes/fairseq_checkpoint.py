"""Reads fairseq's wav2vec 1.0 checkpoints without fairseq, safely.

A fairseq checkpoint is a pickle from the network, and a pickle may name any
callable to be run when it is opened. Only plain containers, tensors,
``argparse.Namespace`` and inert stand-ins for fairseq's training meters are
allowed; anything else is refused before it runs.
"""

import argparse
import ast
import zipfile
from pathlib import Path

import torch

# fairseq up to 0.9 pickled its meters (running averages of the training log)
# beside the weights. They are not needed here and become empty objects.
METERS = [
    f"fairseq.{module}.{name}"
    for module in ("meters", "logging.meters")
    for name in ("AverageMeter", "TimeMeter", "StopwatchMeter")
]
MAX_LAYERS = 1000
MAX_SIZE = 1 << 20  # of a layer; torch takes no number of more than 64 bits


class _Meter:
    """Stand-in for a training meter: holds numbers, does nothing."""


def parse_layers(value):
    """Parse fairseq's notation of convolution layers without ``eval``.

    Arguments
    ---------
    value : str, list or tuple
        ``(dim, kernel, stride)`` triples, or fairseq's text for them, in
        which lists may be added and multiplied by a number.

    Returns
    -------
    list of tuple of int
        ``(dim, kernel, stride)`` of each layer.

    Raises
    ------
    ValueError
        If the value is anything but such triples of positive integers.

    Example
    -------
    >>> parse_layers("[(512, 10, 5)] + [(512, 4, 2)] * 2")
    [(512, 10, 5), (512, 4, 2), (512, 4, 2)]
    """
    try:
        layers = value
        if isinstance(value, str):
            layers = _evaluate(ast.parse(value.strip(), mode="eval").body)
        return [_layer(layer) for layer in _checked_list(layers)]
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ValueError(
            f"convolution layers {str(value)[:80]!r} are not a list of 1 to "
            f"{MAX_LAYERS} (dim, kernel, stride), each a positive integer."
        ) from error


def _evaluate(node):
    """Value of a list expression: literals, list + list and list * int."""
    if not isinstance(node, ast.BinOp):
        return ast.literal_eval(node)
    left, right = _evaluate(node.left), _evaluate(node.right)
    if isinstance(node.op, ast.Add):
        return _checked_list(left) + _checked_list(right)
    if not isinstance(node.op, ast.Mult):
        raise ValueError("only + and * join lists")
    items, times = (right, left) if type(left) is int else (left, right)
    few = range(1, MAX_LAYERS // len(_checked_list(items)) + 1)
    if type(times) is not int or times not in few:
        raise ValueError("a list is repeated a few times")
    return items * times


def _checked_list(layers):
    if not isinstance(layers, (list, tuple)) or not 0 < len(layers):
        raise ValueError("a list of layers")
    if len(layers) > MAX_LAYERS:
        raise ValueError("too many layers")
    return list(layers)


def _layer(layer):
    if not isinstance(layer, (list, tuple)) or len(layer) != 3:
        raise ValueError("a layer has three sizes")
    if not all(type(size) is int and 0 < size <= MAX_SIZE for size in layer):
        raise ValueError("a layer's sizes are positive integers")
    return tuple(layer)


def read_fairseq_checkpoint(path):
    """Read a wav2vec 1.0 checkpoint in fairseq's official format.

    Arguments
    ---------
    path : str or Path
        File that fairseq saved, such as ``wav2vec_large.pt``.

    Returns
    -------
    options : dict
        The model's options as the checkpoint holds them (``args`` of old
        checkpoints, ``cfg["model"]`` of new ones), with
        ``conv_feature_layers`` and ``conv_aggregator_layers`` as lists of
        ``(dim, kernel, stride)``.
    state_dict : dict
        Parameter name in fairseq to tensor, on the CPU, as stored.

    Raises
    ------
    OSError
        If the file cannot be opened.
    ValueError
        If it is not a checkpoint, holds another kind of model, or would run
        code when it is opened.

    Example
    -------
    >>> import argparse, tempfile
    >>> args = argparse.Namespace(
    ...     arch="wav2vec", conv_feature_layers="[(8, 10, 5)] * 2"
    ... )
    >>> model = {"feature_aggregator.conv_layers.0.1.bias": torch.zeros(8)}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     torch.save({"args": args, "model": model}, f"{folder}/w.pt")
    ...     options, state_dict = read_fairseq_checkpoint(f"{folder}/w.pt")
    >>> options["conv_feature_layers"]
    [(8, 10, 5), (8, 10, 5)]
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"there is no checkpoint {path}: give the path of a file such as "
            "wav2vec_large.pt."
        )
    checkpoint = safe_load(path)
    weights = checkpoint.get("model") if isinstance(checkpoint, dict) else None
    if not isinstance(weights, dict) or not all(
        isinstance(name, str) and isinstance(value, torch.Tensor)
        for name, value in weights.items()
    ):
        raise ValueError(
            f"{path} is not a fairseq checkpoint: it has no 'model' with "
            "named weights. Give a wav2vec 1.0 checkpoint such as "
            "wav2vec_large.pt."
        )
    options = _model_options(checkpoint, path)
    _check_kind(options, weights, path)
    for key in ("conv_feature_layers", "conv_aggregator_layers"):
        if options.get(key) is not None:
            options[key] = _parsed(options[key], key, path)
    return options, dict(weights)


def safe_load(path, kind="wav2vec 1.0"):
    """Open a checkpoint without running code in it.

    Arguments
    ---------
    path : Path
        File that torch saved.
    kind : str
        What it should hold, for error messages.

    Returns
    -------
    object
        On the CPU; training meters are empty objects. Tensors of torch's zip
        format are read from the file when they are used.

    Raises
    ------
    OSError
        If the file cannot be opened.
    ValueError
        If it is damaged, or would run code.
    """
    allowed = [argparse.Namespace, *((_Meter, name) for name in METERS)]
    try:
        with torch.serialization.safe_globals(allowed):
            mapped = zipfile.is_zipfile(path)
            return torch.load(
                path, map_location="cpu", weights_only=True, mmap=mapped
            )
    except OSError:
        raise
    except Exception as error:
        # torch has no error class of its own for a damaged file: it may raise
        # struct.error, AssertionError or nearly anything else.
        reason = str(error)
        if "omegaconf" in reason:
            raise ValueError(
                f"{path} holds its options as an omegaconf object, which is "
                "not read: where fairseq is installed, replace its 'cfg' by "
                "OmegaConf.to_container(cfg, resolve=True, enum_to_str=True) "
                "and save it again."
            ) from error
        if "GLOBAL" in reason or "weights_only" in reason.lower():
            raise ValueError(
                f"{path} asks for code to be run when it is opened, which no "
                f"{kind} checkpoint needs: it was refused; download it "
                "again from where it is published."
            ) from error
        raise ValueError(
            f"{path} is damaged or no torch checkpoint: download it again."
        ) from error


def _model_options(checkpoint, path):
    options = checkpoint.get("args")
    if options is None and isinstance(checkpoint.get("cfg"), dict):
        options = checkpoint["cfg"].get("model")
    if isinstance(options, argparse.Namespace):
        options = vars(options)
    if not isinstance(options, dict):
        raise ValueError(
            f"{path} does not say how its model is built: it has neither "
            "'args' nor 'cfg' with a 'model'. Give a checkpoint as fairseq "
            "saves it."
        )
    return dict(options)


def _check_kind(options, weights, path):
    name = str(options.get("arch") or options.get("_name") or "unnamed")
    is_wav2vec = any(key.startswith("feature_aggregator.") for key in weights)
    if name.startswith("wav2vec2") or not is_wav2vec:
        raise ValueError(
            f"{path} holds a model '{name}', but wav2vec 1.0 (architecture "
            "'wav2vec', with a feature aggregator) is expected: give "
            "wav2vec_large.pt, or load wav2vec 2.0 in transformers' format."
        )
    if options.get("vq_type") not in (None, "none"):
        raise ValueError(
            f"{path} holds vq-wav2vec (vq_type '{options['vq_type']}'), "
            "whose quantizer is not supported: give a wav2vec 1.0 checkpoint "
            "such as wav2vec_large.pt."
        )


def _parsed(value, key, path):
    try:
        return parse_layers(value)
    except ValueError as error:
        raise ValueError(f"{path}, option {key}: {error}") from error
