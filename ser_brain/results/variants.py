"""Variants of a procedure as separate procedures, for comparison."""

import dataclasses

# Parts of a scale's name that are not variants.
OTHERS = ("share", "debug")


def split_variant(scale):
    """Split the scale of a run into scale and variant.

    Arguments
    ---------
    scale : str
        As in metrics.json: ``nano-iterated-share0.5``.

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
    """Procedure and scale, with the variant in the procedure's name.

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
    """Turn the variants of runs into separate procedures.

    Arguments
    ---------
    runs : list of Run
        As returned by ``find_runs``.

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
    """Like ``runs_by_variant``, for the plans of the runs."""
    return [
        dataclasses.replace(plan, **named(plan.procedure, plan.scale))
        for plan in plans
    ]
