"""The stages of the procedures: where each lies and what it depends on.

A stage is known from the outline of a run alone, so that a plan can tell
whether it is finished. ``stages`` does their work.
"""

from ser_brain.experiment.stage import Stage

# Where P1 and P2 of P-TAPT lie, shared with extract_pseudo.py.
SHARED = "pseudo"


def states_stage(outline, folder=None):
    """P1, in a run folder; that of the adaptation by default."""
    return outline.stage(
        "emotion_states",
        folder or outline.adaptation_folder,
        outline.key("emotion_states", outline.fold.train),
    )


def clusters_stage(outline, states, folder=None):
    """P2 after P1."""
    return outline.stage(
        "clusters",
        folder or outline.adaptation_folder,
        outline.key("clusters", outline.fold.train, states.key),
    )


def adapted_stage(outline, clusters=None):
    """P3 after P2, or TAPT after nothing."""
    depends = [] if clusters is None else [clusters.key]
    return outline.stage(
        "adapted",
        outline.adaptation_folder,
        outline.key("adaptation", outline.fold.train, *depends),
    )


def classifier_stage(outline, adapted=None):
    """Fine-tuning, after the adaptation if there is one."""
    fold = outline.fold
    depends = [] if adapted is None else [adapted.key]
    return outline.stage(
        "classifier",
        outline.folder,
        outline.key(
            "fine_tuning", (*fold.train, *fold.test), fold.name, *depends
        ),
    )


def frozen_stage(outline):
    """The head over a frozen encoder's layers."""
    fold = outline.fold
    return outline.stage(
        "classifier",
        outline.folder,
        outline.key("frozen", (*fold.train, *fold.test), fold.name),
    )


def chain(outline) -> list[Stage]:
    """The stages of a run in order, as the sections of its yaml say.

    Arguments
    ---------
    outline : Outline
        With its fold chosen.

    Returns
    -------
    list of Stage
        The last one is the classifier, but for pseudo-labels alone.
    """
    sections = outline.settings.tree
    states = clusters = adapted = None
    if "emotion_states" in sections:
        shared = outline.folder_of(SHARED)
        states = states_stage(outline, shared)
        clusters = clusters_stage(outline, states, shared)
    if "adaptation" in sections:
        adapted = adapted_stage(outline, clusters)
    stages = [states, clusters, adapted]
    if "fine_tuning" in sections:
        stages.append(classifier_stage(outline, adapted))
    if "frozen" in sections:
        stages.append(frozen_stage(outline))
    return [stage for stage in stages if stage is not None]
