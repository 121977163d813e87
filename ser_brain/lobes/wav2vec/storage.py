"""Model folders: config.json and model.safetensors, no pickle."""

import json
import os
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file


def save_folder(folder, config, module, dtype=torch.float32):
    """Write a module's weights and its configuration.

    Arguments
    ---------
    folder : str or Path
        Created if missing.
    config : dict
        JSON-compatible; its "format" names the kind of model.
    module : torch.nn.Module
        The module whose state is written.
    dtype : torch.dtype
        float32, or float16 at half the size.

    Example
    -------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_folder(folder, {"format": "demo"}, torch.nn.Linear(2, 1))
    ...     config, state = load_folder(folder, "demo")
    >>> sorted(state)
    ['bias', 'weight']
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    state = {
        name: value.detach().to("cpu", dtype).contiguous()
        for name, value in module.state_dict().items()
    }
    text = json.dumps(config, indent=2) + "\n"
    _replace(folder / "model.safetensors", lambda to: save_file(state, to))
    _replace(folder / "config.json", lambda to: to.write_text(text))


def _replace(path, write):
    """Let `write` fill a temporary file, then move it to `path`."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        write(partial)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def load_folder(folder, expected):
    """Read a folder that ``save_folder`` wrote.

    Arguments
    ---------
    folder : str or Path
        The folder with config.json and model.safetensors.
    expected : str
        The "format" that the configuration must name.

    Returns
    -------
    config : dict
        The configuration.
    state : dict
        Parameter name to fp32 tensor, on the CPU.

    Raises
    ------
    OSError
        If the folder or one of its two files is missing.
    ValueError
        If it holds another kind of model, or a file is damaged.
    """
    folder = Path(folder)
    config_path = folder / "config.json"
    weights_path = folder / "model.safetensors"
    for path in (config_path, weights_path):
        if not path.is_file():
            raise FileNotFoundError(
                f"there is no {path}: give a folder that save_pretrained "
                "wrote, with config.json and model.safetensors."
            )
    try:
        config = json.loads(config_path.read_text(encoding="utf-8"))
        found = config.get("format", config.get("model_type"))
    except (ValueError, AttributeError, RecursionError) as error:
        raise ValueError(
            f"{config_path} is not a model's configuration: save the model "
            "again."
        ) from error
    if found != expected:
        raise ValueError(
            f"{folder} holds a model of format '{found}', not '{expected}': "
            "give fairseq's wav2vec_large.pt (wav2vec 1.0), or a folder that "
            "save_pretrained wrote."
        )
    try:
        state = load_file(weights_path)
    except SafetensorError as error:
        raise ValueError(
            f"{weights_path} is damaged ({error}): copy or save it again."
        ) from error
    return config, {name: value.float() for name, value in state.items()}


def load_state(module, state, source):
    """Load a module's weights, all of them and no others.

    Raises
    ------
    ValueError
        If names or shapes differ; the message names ``source``.
    """
    try:
        module.load_state_dict(state)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:300]
        raise ValueError(
            f"the weights of {source} do not fit the options beside them: "
            f"{reason}."
        ) from error
