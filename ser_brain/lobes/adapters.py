"""Parameter-efficient fine-tuning: LoRA and similar, through peft.

Adapters are part of the encoder during training and are merged into its
weights afterwards, so that an ordinary encoder is saved.
"""


def add_adapters(encoder, config):
    """Freeze an encoder and add adapters to its linear layers.

    Arguments
    ---------
    encoder : ser_brain.lobes.encoder.Encoder
        Changed in place: only its adapters are trained.
    config : peft.PeftConfig
        As ``peft.LoraConfig(r=8, target_modules=["q_proj", "v_proj"])``. Any
        kind that peft can merge into the weights: LoRA, DoRA, LoHa, LoKr, IA3,
        OFT and others.

    Returns
    -------
    int
        Number of trainable weights of the encoder.

    Raises
    ------
    ValueError
        If peft finds no layer to adapt, or this kind cannot be merged.

    Example
    -------
    >>> import peft
    >>> from ser_brain.assets import folder
    >>> from ser_brain.lobes import load_encoder
    >>> encoder = load_encoder(folder("nano_wav2vec2"))
    >>> config = peft.LoraConfig(r=2, target_modules=["q_proj", "v_proj"])
    >>> add_adapters(encoder, config)  # 4 layers x 2 maps x 2 x (384 + 384)
    12288
    >>> merge_adapters(encoder)
    8
    """
    import peft

    kind = type(config).__name__
    if getattr(config, "is_prompt_learning", False):
        raise ValueError(
            f"peft's {kind} learns prompts, which cannot be merged into an "
            "encoder of audio: give one that adapts layers, as LoraConfig."
        )
    try:
        peft.inject_adapter_in_model(config, encoder.model)
    except ValueError as error:
        reason = " ".join(str(error).split())[:200]
        raise ValueError(
            f"peft's {kind} does not fit {encoder.name} ({reason}): name "
            "layers of it in target_modules, as q_proj."
        ) from error
    return sum(
        weight.numel()
        for weight in encoder.parameters()
        if weight.requires_grad
    )


def merge_adapters(encoder):
    """Merge adapters into the weights, and remove them.

    Arguments
    ---------
    encoder : ser_brain.lobes.encoder.Encoder
        An encoder with adapters; changed in place.

    Returns
    -------
    int
        Number of layers that had an adapter; 0 if there were none.
    """
    # Encoders that are no transformers have no model of that name.
    if not hasattr(getattr(encoder, "model", None), "peft_config"):
        return 0
    from peft.tuners.tuners_utils import BaseTunerLayer

    adapted = [
        (name, module)
        for name, module in encoder.model.named_modules()
        if isinstance(module, BaseTunerLayer)
    ]
    for name, module in adapted:
        module.merge()
        parent, _, child = name.rpartition(".")
        owner = encoder.model.get_submodule(parent)
        setattr(owner, child, module.get_base_layer())
    del encoder.model.peft_config
    return len(adapted)
