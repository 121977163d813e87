"""What the output of a frozen front-end depends on, as one number."""

import hashlib
import json

# Of the configuration, what changes the CNN's output or its layer norm's.
OPTIONS = (
    "conv_bias",
    "conv_dim",
    "conv_kernel",
    "conv_stride",
    "feat_extract_activation",
    "feat_extract_norm",
    "layer_norm_eps",
)


def front_end_fingerprint(encoder):
    """Hash of the CNN and of the layer norm after it, not of the rest.

    Models that differ in their transformer alone, as before and after P3,
    share it.

    Arguments
    ---------
    encoder : Wav2Vec2
        On any device.

    Returns
    -------
    str
        64 hexadecimal digits.

    Example
    -------
    >>> import torch
    >>> from ser_brain.assets import folder
    >>> from ser_brain.lobes.wav2vec2 import Wav2Vec2
    >>> encoder = Wav2Vec2(folder("nano_wav2vec2"))
    >>> before = front_end_fingerprint(encoder)
    >>> with torch.no_grad():
    ...     for weight in encoder.model.encoder.parameters():
    ...         _ = weight.zero_()
    >>> front_end_fingerprint(encoder) == before
    True
    """
    config = encoder.config.to_dict()
    options = {name: config[name] for name in OPTIONS}
    digest = hashlib.sha256(json.dumps(options, sort_keys=True).encode())
    model = encoder.model
    parts = (model.feature_extractor, model.feature_projection.layer_norm)
    for part in parts:
        for name, weight in sorted(part.state_dict().items()):
            digest.update(name.encode())
            digest.update(weight.detach().float().cpu().numpy().tobytes())
    return digest.hexdigest()
