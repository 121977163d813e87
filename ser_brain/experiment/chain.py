"""The stages of the procedures: where each lies and what it depends on.

A stage is known from the outline of a run alone, so that a plan can tell
whether it is finished. ``stages`` does their work.
"""

from ser_brain.experiment.stage import Stage

# Where P1 and P2 of P-TAPT lie, shared with extract_pseudo.py.
SHARED = "pseudo"


def states_stage(outline, section, folder=None):
    """P1, in a run folder; that of the adaptation by default."""
    return outline.stage(
        "emotion_states",
        folder or outline.adaptation_folder,
        outline.key(section, outline.fold.train),
    )


def clusters_stage(outline, section, states, folder=None):
    """P2 after P1."""
    return outline.stage(
        "clusters",
        folder or outline.adaptation_folder,
        outline.key(section, outline.fold.train, states.key),
    )


def adapted_stage(outline, section, clusters=None):
    """P3 after P2, or TAPT after nothing."""
    depends = [] if clusters is None else [clusters.key]
    return outline.stage(
        "adapted",
        outline.adaptation_folder,
        outline.key(section, outline.fold.train, *depends),
    )


def classifier_stage(outline, section, adapted=None):
    """What is tested, after the adaptation if there is one."""
    fold = outline.fold
    depends = [] if adapted is None else [adapted.key]
    return outline.stage(
        "classifier",
        outline.folder,
        outline.key(section, (*fold.train, *fold.test), fold.name, *depends),
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
        states = states_stage(outline, "emotion_states", shared)
        clusters = clusters_stage(outline, "clusters", states, shared)
    if "adaptation" in sections:
        adapted = adapted_stage(outline, "adaptation", clusters)
    stages = [states, clusters, adapted]
    for section in {"fine_tuning", "frozen"} & sections.keys():
        stages.append(classifier_stage(outline, section, adapted))
    return [stage for stage in stages if stage is not None]
