"""Frozen layers and layer-wise learning rates."""

import math


def train_last_layers(encoder, count):
    """Freeze an encoder except for its last layers.

    Arguments
    ---------
    encoder : ser_brain.lobes.encoder.Encoder
        Changed in place; its layers are in ``layer_stack``.
    count : int
        How many of the last layers are trained.

    Raises
    ------
    ValueError
        If the encoder does not have that many layers.

    Example
    -------
    >>> import torch
    >>> encoder = torch.nn.Module()
    >>> encoder.layer_stack = torch.nn.ModuleList(
    ...     torch.nn.Linear(1, 1, bias=False) for _ in range(3)
    ... )
    >>> train_last_layers(encoder, 1)
    >>> [weight.requires_grad for weight in encoder.parameters()]
    [False, False, True]
    """
    layers = list(encoder.layer_stack)
    check_last_layers(count, len(layers))
    encoder.requires_grad_(False)
    for layer in layers[-count:]:
        layer.requires_grad_(True)


def check_last_layers(count, layers):
    """Refuse a number of last layers that an encoder does not have.

    Arguments
    ---------
    count : int
        How many of the last layers are to be trained.
    layers : int
        How many the encoder has.

    Raises
    ------
    ValueError
        If ``count`` is not a whole number from 1 to ``layers``.
    """
    if type(count) is not int or not 1 <= count <= layers:
        raise ValueError(
            f"{count} of the encoder's {layers} layers cannot learn: give a "
            f"number from 1 to {layers}, or null for the whole encoder."
        )


def layer_groups(modules, encoder, decay, head_factor=1.0):
    r"""Group parameters, with learning rates that fall from the top downwards.

    .. math:: \mathrm{lr}_l = \mathrm{lr} \cdot \mathrm{decay}^{L + 1 - l}

    for layer l of L, counted from 1 upwards; trained parameters below the
    encoder's first layer count as layer 0. Everything outside of the encoder,
    the head, has the full rate times ``head_factor``.

    Arguments
    ---------
    modules : torch.nn.Module
        All trained modules.
    encoder : ser_brain.lobes.encoder.Encoder
        A part of it, with its layers in ``layer_stack``.
    decay : float
        Above 0 and at most 1.
    head_factor : float
        The head's rate, as a multiple of the learning rate; above 0.

    Returns
    -------
    list of dict
        For a torch optimizer: ``params``, and ``scale``, the factor of the
        group's learning rate. The first group is the head's. Frozen
        parameters are in none.

    Raises
    ------
    ValueError
        If the decay or the factor is out of range.

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
    check_rates(decay, head_factor)
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
    return [{"params": head, "scale": head_factor}] + [
        {"params": groups[number], "scale": decay ** (top - number)}
        for number in sorted(groups)
    ]


def check_rates(decay, head_factor=1.0):
    """Refuse a decay or a factor that is out of range.

    Raises
    ------
    ValueError
        If the decay is not above 0 and at most 1, or the factor not above 0.

    Example
    -------
    >>> check_rates(0.75, head_factor=10)
    """
    if not 0 < decay <= 1:
        raise ValueError(
            f"lr_decay is {decay}: give a number above 0 and at most 1, "
            "where 1 is the same learning rate for every layer."
        )
    if not 0 < head_factor < math.inf:
        raise ValueError(
            f"head_lr_factor is {head_factor}: give a number above 0, where "
            "1 is the encoder's learning rate for the head, too."
        )
