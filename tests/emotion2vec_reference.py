"""Tiny random checkpoints of emotion2vec, and what FunASR makes of them.

``emotion2vec.json`` holds the output of FunASR 1.4.16 in double precision for
``tiny_state`` and ``clip``. Where FunASR is installed, this file writes it
again:

    python tests/emotion2vec_reference.py
"""

import json
from pathlib import Path

import torch

GOLDEN = Path(__file__).with_name("emotion2vec.json")
DIM, HEADS, TOKENS, HIDDEN = 24, 6, 3, 40
CONVS = [(8, kernel) for kernel in (10, 3, 3, 3, 3, 2, 2)]
PRENET, DEPTH = 2, 1
POSITIONS, KERNEL, GROUPS = 3, 5, 4
AUDIO = "modality_encoders.AUDIO."


def shapes():
    """fairseq's names of all weights, and their shapes."""
    found = {
        f"{AUDIO}extra_tokens": (1, TOKENS, DIM),
        f"{AUDIO}alibi_scale": (1, 1, HEADS, 1, 1),
        f"{AUDIO}project_features.1.weight": (CONVS[-1][0],),
        f"{AUDIO}project_features.1.bias": (CONVS[-1][0],),
        f"{AUDIO}project_features.2.weight": (DIM, CONVS[-1][0]),
        f"{AUDIO}project_features.2.bias": (DIM,),
        f"{AUDIO}context_encoder.norm.weight": (DIM,),
        f"{AUDIO}context_encoder.norm.bias": (DIM,),
    }
    width = 1
    for layer, (channels, kernel) in enumerate(CONVS):
        name = f"{AUDIO}local_encoder.conv_layers.{layer}."
        found[f"{name}0.weight"] = (channels, width, kernel)
        found[f"{name}2.1.weight"] = found[f"{name}2.1.bias"] = (channels,)
        width = channels
    for layer in range(1, POSITIONS + 1):
        name = f"{AUDIO}relative_positional_encoder.{layer}.0."
        found[f"{name}weight"] = (DIM, DIM // GROUPS, KERNEL)
        found[f"{name}bias"] = (DIM,)
    blocks = [f"{AUDIO}context_encoder.blocks.{i}." for i in range(PRENET)]
    blocks += [f"blocks.{i}." for i in range(DEPTH)]
    for name in blocks:
        for part, out, into in (
            ("attn.qkv", 3 * DIM, DIM),
            ("attn.proj", DIM, DIM),
            ("mlp.fc1", HIDDEN, DIM),
            ("mlp.fc2", DIM, HIDDEN),
        ):
            found[f"{name}{part}.weight"] = (out, into)
            found[f"{name}{part}.bias"] = (out,)
        for norm in ("norm1", "norm2"):
            found[f"{name}{norm}.weight"] = (DIM,)
            found[f"{name}{norm}.bias"] = (DIM,)
    return found


def tiny_state():
    """Random weights by fairseq's names, the same in every process."""
    generator = torch.Generator().manual_seed(0)
    state = {}
    for name, shape in sorted(shapes().items()):
        noise = torch.randn(shape, generator=generator)
        is_gain = "norm" in name or ".1." in name
        scale = max(noise[0].numel(), 4) ** -0.5
        state[name] = noise * scale + (is_gain and name.endswith("weight"))
    # One head below zero: its distances count for nothing.
    state[f"{AUDIO}alibi_scale"][0, 0, :, 0, 0] = torch.tensor(
        [-1.0, 0.5, 1.0, 2.0, 4.0, 8.0]
    )
    return state


def clip():
    """Half a second at 16 kHz, shape (1, 8000)."""
    generator = torch.Generator().manual_seed(1)
    return 0.1 * torch.randn(1, 8000, generator=generator) + 0.02


def options():
    """FunASR's ``model_conf`` of these weights."""
    audio = {
        "type": "AUDIO",
        "prenet_depth": PRENET,
        "prenet_layerdrop": 0.0,
        "prenet_dropout": 0.0,
        "start_drop_path_rate": 0.0,
        "end_drop_path_rate": 0.0,
        "num_extra_tokens": TOKENS,
        "init_extra_token_zero": True,
        "use_alibi_encoder": True,
        "num_alibi_heads": HEADS,
        "alibi_scale": 1.0,
        "learned_alibi": False,
        "learned_alibi_scale": True,
        "learned_alibi_scale_per_head": True,
        "learned_alibi_scale_per_layer": False,
        "model_depth": DEPTH,
        "local_grad_mult": 1.0,
        "extractor_mode": "layer_norm",
        "feature_encoder_spec": str(
            [
                (*conv, stride)
                for conv, stride in zip(CONVS, (5, 2, 2, 2, 2, 2, 2))
            ]
        ),
        "conv_pos_width": KERNEL * POSITIONS,
        "conv_pos_groups": GROUPS,
        "conv_pos_depth": POSITIONS,
        "conv_pos_pre_ln": False,
        "decoder": None,
    }
    return {
        "depth": DEPTH,
        "start_drop_path_rate": 0.0,
        "end_drop_path_rate": 0.0,
        "num_heads": HEADS,
        "norm_eps": 1e-5,
        "norm_affine": True,
        "encoder_dropout": 0.0,
        "post_mlp_drop": 0.0,
        "attention_dropout": 0.0,
        "activation_dropout": 0.0,
        "dropout_input": 0.0,
        "layerdrop": 0.0,
        "embed_dim": DIM,
        "mlp_ratio": HIDDEN / DIM,
        "layer_norm_first": False,
        "end_of_block_targets": False,
        "modalities": {"audio": audio},
        "normalize": True,
    }


def main():
    """Write FunASR's output for these weights."""
    from funasr.models.emotion2vec.model import Emotion2vec

    model = Emotion2vec(model_conf=options()).double().eval()
    model.load_state_dict(tiny_state())
    wavs = clip().double()
    wavs = torch.nn.functional.layer_norm(wavs, wavs.shape)
    with torch.no_grad():
        frames = model.extract_features(wavs)["x"][0]
    rows = [[round(value, 6) for value in row] for row in frames.tolist()]
    text = ",\n".join(json.dumps(row) for row in rows)
    GOLDEN.write_text(f"[\n{text}\n]\n", encoding="utf-8")


if __name__ == "__main__":
    main()
