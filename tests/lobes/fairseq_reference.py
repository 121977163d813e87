"""fairseq's wav2vec 1.0 written a second time, plainly, for one clip.

Weights carry fairseq's own names; nothing of ser_brain is used, so that the
tests compare two implementations.
"""

import argparse
import math

import torch
import torch.nn.functional as F

EXTRACTOR = "[(12, 10, 5), (12, 8, 4)] + [(12, 4, 2)] * 3"
LARGE = {
    "conv_feature_layers": EXTRACTOR + " + [(12, 1, 1)] * 2",
    "conv_aggregator_layers": str([(12, k, 1) for k in range(2, 14)]),
    "skip_connections_agg": True,
    "log_compression": True,
    "agg_zero_pad": True,
}
BASE = {
    "conv_feature_layers": EXTRACTOR,
    "conv_aggregator_layers": "[(12, 3, 1)] * 9",
    "skip_connections_agg": False,
    "log_compression": False,
}
DEFAULTS = {
    "arch": "wav2vec",
    "skip_connections_feat": False,
    "agg_zero_pad": False,
    "no_conv_bias": False,
    "non_affine_group_norm": False,
    "residual_scale": 0.5,
    "activation": "relu",
    "aggregator": "cnn",
    "gru_dim": 20,
    "dropout": 0.0,
    "dropout_features": 0.0,
    "dropout_agg": 0.0,
    "project_features": "none",
    "vq_type": "none",
    "prediction_steps": 12,
    "num_negatives": 10,
    "offset": "auto",
}
VARIANTS = {
    "large": LARGE,
    "base": BASE,
    "replicate": {**LARGE, "agg_zero_pad": False},
    "no bias, not affine": {
        **LARGE,
        "no_conv_bias": True,
        "non_affine_group_norm": True,
    },
    "residual extractor": {
        **BASE,
        "skip_connections_feat": True,
        "residual_scale": 0.3,
        "log_compression": True,
    },
    "gelu, plain": {
        **LARGE,
        "activation": "gelu",
        "skip_connections_agg": False,
        "log_compression": False,
    },
    "widening": {
        **LARGE,
        "conv_aggregator_layers": "[(12, 3, 1), (16, 3, 1), (16, 4, 1)]",
    },
    "gru": {**LARGE, "aggregator": "gru"},
}


def options_of(variant):
    """All of fairseq's options for a variant."""
    return {**DEFAULTS, **VARIANTS[variant]}


def random_weights(options, seed=0):
    """Random weights by fairseq's names, those of the objective included."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape, scale=1.0):
        return torch.randn(*shape, generator=generator) * scale

    weights = {}

    def block(name, conv, n_in, dim, kernel, bias):
        scale = 1 / math.sqrt(n_in * kernel)
        weights[f"{name}.{conv}.weight"] = draw(dim, n_in, kernel, scale=scale)
        if bias:
            weights[f"{name}.{conv}.bias"] = draw(dim)
        if not options["non_affine_group_norm"]:
            weights[f"{name}.{conv + 2}.weight"] = 1 + draw(dim, scale=0.1)
            weights[f"{name}.{conv + 2}.bias"] = draw(dim, scale=0.1)

    n_in = 1
    for i, (dim, kernel, _) in enumerate(eval(options["conv_feature_layers"])):
        name = f"feature_extractor.conv_layers.{i}"
        block(name, 0, n_in, dim, kernel, bias=False)
        n_in = dim
    if options["aggregator"] == "gru":
        wide = options["gru_dim"]
        for kind, columns in (("ih", n_in), ("hh", wide)):
            name = f"feature_aggregator.1.%s_{kind}_l0"
            weights[name % "weight"] = draw(3 * wide, columns, scale=0.2)
            weights[name % "bias"] = draw(3 * wide, scale=0.2)
        weights["wav2vec_predictions.project_to_steps.bias"] = draw(12)
        return weights
    layers = eval(options["conv_aggregator_layers"])
    for i, (dim, kernel, _) in enumerate(layers):
        name = f"feature_aggregator.conv_layers.{i}"
        block(name, 1, n_in, dim, kernel, not options["no_conv_bias"])
        if options["skip_connections_agg"] and dim != n_in:
            name = f"feature_aggregator.residual_proj.{i}.weight"
            weights[name] = draw(dim, n_in, 1, scale=0.3)
        n_in = dim
    weights["wav2vec_predictions.project_to_steps.bias"] = draw(12)
    return weights


def _block(x, weights, name, conv, stride, options):
    get = weights.get
    x = F.conv1d(
        x,
        weights[f"{name}.{conv}.weight"],
        get(f"{name}.{conv}.bias"),
        stride,
    )
    norm = f"{name}.{conv + 2}"
    x = F.group_norm(x, 1, get(f"{norm}.weight"), get(f"{norm}.bias"))
    return F.gelu(x) if options["activation"] == "gelu" else F.relu(x)


def extract(wav, weights, options):
    """z, (1, dim, frames), of one clip, (samples,)."""
    x = wav[None, None]
    scale = math.sqrt(options["residual_scale"])
    layers = eval(options["conv_feature_layers"])
    for i, (_, _, stride) in enumerate(layers):
        old = x
        name = f"feature_extractor.conv_layers.{i}"
        x = _block(x, weights, name, 0, stride, options)
        if options["skip_connections_feat"] and old.shape[1] == x.shape[1]:
            step = old.shape[2] // x.shape[2]
            x = (x + old[..., ::step][..., : x.shape[2]]) * scale
    return (x.abs() + 1).log() if options["log_compression"] else x


def aggregate(z, weights, options):
    """c, (1, dim, frames), of z, (1, dim, frames)."""
    if options["aggregator"] == "gru":
        gru = torch.nn.GRU(z.shape[1], options["gru_dim"])
        prefix = "feature_aggregator.1."
        gru.load_state_dict(
            {
                name.removeprefix(prefix): value
                for name, value in weights.items()
                if name.startswith(prefix)
            }
        )
        # As fairseq: (batch, frames, dim) to a GRU that takes time first.
        return gru(z.transpose(1, 2))[0].transpose(1, 2)
    scale = math.sqrt(options["residual_scale"])
    mode = "constant" if options["agg_zero_pad"] else "replicate"
    x = z
    layers = eval(options["conv_aggregator_layers"])
    for i, (_, kernel, stride) in enumerate(layers):
        old = x
        name = f"feature_aggregator.conv_layers.{i}"
        x = F.pad(x, (kernel - 1, 0), mode=mode)
        x = _block(x, weights, name, 1, stride, options)
        if options["skip_connections_agg"]:
            widen = weights.get(f"feature_aggregator.residual_proj.{i}.weight")
            old = old if widen is None else F.conv1d(old, widen)
            x = (x + old) * scale
    return x


def write_checkpoint(path, options, weights, new_style=False, **other):
    """Saves a checkpoint in fairseq's old (args) or new (cfg) form."""
    args = None if new_style else argparse.Namespace(**options)
    model = {**options, "_name": options["arch"]}
    cfg = {"_name": None, "model": model} if new_style else None
    torch.save(
        {
            "args": args,
            "cfg": cfg,
            "model": weights,
            "optimizer_history": [
                {
                    "criterion_name": "BinaryCrossEntropyCriterion",
                    "num_updates": 1,
                }
            ],
            "extra_state": {"epoch": 3, "val_loss": 0.25, **other},
            "last_optimizer_state": {"state": {0: {"step": 1}}},
        },
        path,
    )
    return path
