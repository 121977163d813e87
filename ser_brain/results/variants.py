"""Variants of a procedure as procedures of their own, to be compared."""

import dataclasses

# Parts of a scale's name that are no variant.
OTHERS = ("share", "debug")


def split_variant(scale):
    """The scale of a run and the variant in it.

    Arguments
    ---------
    scale : str
        As metrics.json has it: ``nano-iterated-share0.5``.

    Returns
    -------
    tuple of str
        The scale without the variant, and the variant; empty without one.

    Example
    -------
    >>> split_variant("nano-iterated-share0.5"), split_variant("nano")
    (('nano-share0.5', 'iterated'), ('nano', ''))
    """
    base, *parts = scale.split("-")
    variants = [one for one in parts if not one.startswith(OTHERS)]
    others = [one for one in parts if one.startswith(OTHERS)]
    return "-".join([base, *others]), "-".join(variants)


def named(procedure, scale):
    """A procedure and its scale, the variant told by the procedure.

    Example
    -------
    >>> named("ptapt", "nano-iterated")
    {'procedure': 'ptapt-iterated', 'scale': 'nano'}
    """
    scale, variant = split_variant(scale)
    if variant:
        procedure = f"{procedure}-{variant}"
    return {"procedure": procedure, "scale": scale}


def runs_by_variant(runs):
    """Runs whose variants are procedures of their own.

    Arguments
    ---------
    runs : list of Run
        As ``find_runs`` gives them.

    Returns
    -------
    list of Run
        In the same order.
    """
    return [
        dataclasses.replace(
            run,
            metrics={
                **run.metrics,
                **named(run.procedure, run.metrics["scale"]),
            },
        )
        for run in runs
    ]


def plans_by_variant(plans):
    """As ``runs_by_variant``, of the plans that the runs belong to."""
    return [
        dataclasses.replace(plan, **named(plan.procedure, plan.scale))
        for plan in plans
    ]
