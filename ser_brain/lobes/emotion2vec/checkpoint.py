"""Reads published checkpoints of emotion2vec without FunASR or fairseq.

They are pickles that hold the weights of data2vec 2.0 under ``model``, beside
options and the state of the training. Only weights are used: all sizes follow
from their shapes, and the rest is the same in every published model.
"""

import re
import zipfile
from pathlib import Path

import torch

from ser_brain.lobes.emotion2vec.model import (
    Emotion2VecConfig,
    Emotion2VecModel,
)
from ser_brain.lobes.fairseq_checkpoint import safe_load

AUDIO = "modality_encoders.AUDIO."
# fairseq's names in the audio part, and those of transformers' data2vec.
FRONT = (
    (r"extra_tokens", "encoder.extra_tokens"),
    (r"alibi_scale", "encoder.alibi_scale"),
    (
        r"local_encoder\.conv_layers\.(\d+)\.0\.",
        r"feature_extractor.conv_layers.\1.conv.",
    ),
    (
        r"local_encoder\.conv_layers\.(\d+)\.2\.1\.",
        r"feature_extractor.conv_layers.\1.layer_norm.",
    ),
    (r"project_features\.1\.", "feature_projection.layer_norm."),
    (r"project_features\.2\.", "feature_projection.projection."),
    (r"context_encoder\.norm\.", "encoder.layer_norm."),
)
# Names of the weights of a layer, beginning with that of the layer.
INSIDE = re.escape(AUDIO)
POSITIONS = re.compile(
    rf"(?P<layer>{INSIDE}relative_positional_encoder\.(\d+))\.0\.(\w+)"
)
BLOCK = re.compile(
    rf"(?P<layer>({INSIDE}context_encoder\.)?blocks\.(\d+))\.(.+)\.(\w+)"
)
IN_BLOCK = {
    "attn.proj": "attention.out_proj",
    "mlp.fc1": "feed_forward.intermediate_dense",
    "mlp.fc2": "feed_forward.output_dense",
    "norm1": "layer_norm",
    "norm2": "final_layer_norm",
}
# Before the names in models that were trained further for classes.
WRAPPERS = ("d2v_model.", "w2v_encoder.w2v_model.")
# Parts of pretraining, and the classes' own layer.
UNUSED = ("_ema", "proj.", "w2v_encoder.proj.", f"{AUDIO}decoder.")
STRIDES = (5, 2, 2, 2, 2, 2, 2)


def read_emotion2vec(path):
    """Read a checkpoint as emotion2vec's authors publish it.

    Arguments
    ---------
    path : str or Path
        ``emotion2vec_base.pt``, or ``model.pt`` of an emotion2vec+ model,
        whose own classes are left out.

    Returns
    -------
    Emotion2VecModel
        fp32, on the CPU. Its sizes are those of the weights, its dropout is
        the published one.

    Raises
    ------
    OSError
        If the file cannot be opened.
    ValueError
        If it holds anything else, or would run code when it is opened.
    """
    config, weights = _config_and_weights(Path(path))
    # Without memory of its own: sizes that do not fit cost none.
    with torch.device("meta"):
        model = Emotion2VecModel(config)
    try:
        model.load_state_dict(_renamed(weights), assign=True)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:300]
        raise ValueError(
            f"{path} holds another kind of emotion2vec than the published "
            f"ones ({reason}): give emotion2vec_base.pt, or the model.pt of "
            "an emotion2vec+ model."
        ) from error
    return model


def emotion2vec_config(path):
    """Sizes of a published checkpoint, without building the model.

    Arguments
    ---------
    path : str or Path
        As for ``read_emotion2vec``, which has the same errors.

    Returns
    -------
    Emotion2VecConfig
    """
    return _config_and_weights(Path(path))[0]


def is_emotion2vec(path):
    """Whether a checkpoint file holds emotion2vec, and not wav2vec 1.0.

    Arguments
    ---------
    path : str or Path
        A file that torch saved.

    Raises
    ------
    OSError
        If the file cannot be opened.
    ValueError
        If it is damaged, or would run code when it is opened.
    """
    # It was published long after torch began to save zip files, unlike
    # wav2vec 1.0, which would have to be read whole.
    if not zipfile.is_zipfile(path):
        return False
    return f"{AUDIO}extra_tokens" in _tensors(Path(path))


def _tensors(path):
    """All tensors of the model, by fairseq's names."""
    found = safe_load(path, "emotion2vec")
    state = found.get("model") if isinstance(found, dict) else None
    state = state if isinstance(state, dict) else {}
    return {
        _bare(str(name)): value
        for name, value in state.items()
        if isinstance(value, torch.Tensor)
    }


def _config_and_weights(path):
    """The configuration, and the weights that are used, by fairseq's names."""
    weights = {
        name: value
        for name, value in _tensors(path).items()
        if not name.startswith(UNUSED)
    }
    try:
        return _config(weights), weights
    except (LookupError, ValueError, ZeroDivisionError) as error:
        raise ValueError(
            f"{path} holds no emotion2vec ({error}): give emotion2vec_base.pt, "
            "the model.pt of an emotion2vec+ model, or a folder in "
            "transformers' format."
        ) from error


def _bare(name):
    """The name of a weight without what wraps the encoder."""
    for wrapper in WRAPPERS:
        name = name.removeprefix(wrapper)
    return name


def _config(weights):
    """The sizes that the weights' shapes tell."""
    _, tokens, dim = weights[f"{AUDIO}extra_tokens"].shape
    scale = weights[f"{AUDIO}alibi_scale"]
    heads = scale.numel()
    if scale.shape != (1, 1, heads, 1, 1) or dim % heads:
        raise ValueError(
            f"alibi_scale has shape {tuple(scale.shape)}, not one number per "
            "head"
        )
    convs = [
        weights[f"{AUDIO}local_encoder.conv_layers.{layer}.0.weight"]
        for layer in range(len(STRIDES))
    ]
    position = weights[f"{AUDIO}relative_positional_encoder.1.0.weight"]
    return Emotion2VecConfig(
        num_extra_tokens=tokens,
        hidden_size=dim,
        num_attention_heads=heads,
        num_hidden_layers=len(_layers(BLOCK, weights)),
        intermediate_size=len(weights["blocks.0.mlp.fc1.weight"]),
        conv_dim=[len(weight) for weight in convs],
        conv_kernel=[weight.shape[2] for weight in convs],
        conv_stride=list(STRIDES),
        num_conv_pos_embeddings=len(_layers(POSITIONS, weights)),
        conv_pos_kernel_size=position.shape[2],
        num_conv_pos_embedding_groups=dim // position.shape[1],
    )


def _layers(pattern, weights):
    """Names of the layers that have weights of a kind."""
    matches = filter(None, map(pattern.fullmatch, weights))
    return {match["layer"] for match in matches}


def _renamed(weights):
    """The weights in fp32, by the names of ``Emotion2VecModel``."""
    first = sum(layer.startswith(AUDIO) for layer in _layers(BLOCK, weights))
    renamed = {}
    for name, value in weights.items():
        # Not the file's own bytes, which may change.
        value = value.to(torch.float32, copy=True)
        block, place = BLOCK.fullmatch(name), POSITIONS.fullmatch(name)
        if block:
            _, context, number, part, kind = block.groups()
            layer = int(number) + (0 if context else first)
            renamed |= _block(f"encoder.layers.{layer}.", part, kind, value)
        elif place:
            layer, kind = int(place.group(2)) - 1, place.group(3)
            renamed[f"encoder.pos_conv_embed.layers.{layer}.conv.{kind}"] = (
                value
            )
        else:
            renamed[_front(name)] = value
    renamed["encoder.alibi_scale"] = renamed["encoder.alibi_scale"][0]
    return renamed


def _block(layer, part, kind, value):
    """Weights of a part of a block; query, key and value are one in fairseq."""
    if part != "attn.qkv":
        return {f"{layer}{IN_BLOCK.get(part, part)}.{kind}": value}
    names = (f"{layer}attention.{one}_proj.{kind}" for one in "qkv")
    return {name: one.clone() for name, one in zip(names, value.chunk(3))}


def _front(name):
    """Our name of a weight before the blocks."""
    name = name.removeprefix(AUDIO)
    for pattern, ours in FRONT:
        name = re.sub(f"^{pattern}", ours, name)
    return name
