"""Layer-wise learning rates: what lies deeper changes more slowly."""


def layer_groups(modules, encoder, decay):
    r"""Parameters in groups whose rates fall from the head downwards.

    .. math:: \mathrm{lr}_l = \mathrm{lr} \cdot \mathrm{decay}^{L + 1 - l}

    for layer l of L, counted from 1 upwards. Everything outside of the
    encoder, the head, has the whole rate; what lies below the encoder's
    first layer and learns is taken for layer 0.

    Arguments
    ---------
    modules : torch.nn.Module
        All that learns.
    encoder : ser_brain.lobes.encoder.Encoder
        A part of it, with its layers in ``layer_stack``.
    decay : float
        Above 0 and at most 1.

    Returns
    -------
    list of dict
        For a torch optimizer: ``params``, and ``scale``, the factor of the
        group's learning rate. The first group is the head's. Frozen
        parameters are in none.

    Raises
    ------
    ValueError
        If the decay is out of range.

    Example
    -------
    >>> import torch
    >>> encoder = torch.nn.Module()
    >>> encoder.layer_stack = torch.nn.ModuleList(
    ...     torch.nn.Linear(1, 1) for _ in range(2)
    ... )
    >>> modules = torch.nn.ModuleList([encoder, torch.nn.Linear(1, 1)])
    >>> [group["scale"] for group in layer_groups(modules, encoder, 0.5)]
    [1.0, 0.25, 0.5]
    """
    check_decay(decay)
    layers = list(encoder.layer_stack)
    level = {id(weight): 0 for weight in encoder.parameters()}
    for number, layer in enumerate(layers, 1):
        level |= {id(weight): number for weight in layer.parameters()}
    top = len(layers) + 1
    groups = {}
    for weight in modules.parameters():
        if weight.requires_grad:
            groups.setdefault(level.get(id(weight), top), []).append(weight)
    head = groups.pop(top, [])
    return [{"params": head, "scale": 1.0}] + [
        {"params": groups[number], "scale": decay ** (top - number)}
        for number in sorted(groups)
    ]


def check_decay(decay):
    """Refuses a decay that is out of range.

    Raises
    ------
    ValueError
        If it is not above 0 and at most 1.

    Example
    -------
    >>> check_decay(0.75)
    """
    if not 0 < decay <= 1:
        raise ValueError(
            f"lr_decay is {decay}: give a number above 0 and at most 1, "
            "where 1 is the same learning rate for every layer."
        )
