"""The stages of the procedures, their folders and dependencies.

A stage is defined by the outline of a run, so that a plan can check whether it
is finished. ``stages`` runs them.
"""

from ser_brain.corpora import manifest_key
from ser_brain.experiment.fine_tuned_states import fine_tuned_stage, states_run
from ser_brain.experiment.stage import Stage, in_round

# Folder of P1 and P2 of P-TAPT, shared with extract_pseudo.py.
SHARED = "pseudo"


def states_stage(outline, section, folder=None):
    """P1, in a run folder; that of the adaptation by default.

    The finished classifier of a V-FT run, if it replaces P1.
    """
    run = states_run(outline)
    if run is not None:
        return fine_tuned_stage(run)
    return outline.stage(
        "emotion_states",
        folder or outline.adaptation_folder,
        outline.key(section, outline.fold.train),
    )


def clusters_stage(outline, section, states, folder=None, number=1):
    """P2 after P1; in further rounds, after the adaptation before."""
    depends = [states.key]
    if states.name != "emotion_states":
        depends.append(f"depth {outline.settings.get('cluster_depth')}")
    return outline.stage(
        in_round("clusters", number),
        folder or outline.adaptation_folder,
        outline.key(section, outline.fold.train, *depends),
    )


def adapted_stage(outline, section, clusters=None, number=1):
    """P3 after P2, or TAPT after nothing."""
    depends = [] if clusters is None else [clusters.key]
    return outline.stage(
        in_round("adapted", number),
        outline.adaptation_folder,
        outline.key(section, outline.fold.train, *depends),
    )


def text_key(outline, ids):
    """Keys of the texts that a procedure reads; of transcripts none.

    These depend on the audio and on the recogniser, which is a setting.
    """
    settings = outline.settings
    if "text_encoder" not in settings.tree or settings.get("asr") is not None:
        return ()
    texts = {key: outline.manifest[key].get("text") for key in ids}
    return (manifest_key(texts),)


def classifier_stage(outline, section, adapted=None):
    """What is tested, after the adaptation, and texts, if there are any."""
    fold = outline.fold
    depends = [] if adapted is None else [adapted.key]
    ids = (*fold.train, *fold.test)
    depends = [fold.name, *depends, *text_key(outline, ids)]
    key = outline.key(section, ids, *depends)
    return outline.stage("classifier", outline.folder, key)


def chain(outline) -> list[Stage]:
    """Return the stages of a run in order, from the sections of its yaml.

    Arguments
    ---------
    outline : Outline
        With its fold chosen.

    Returns
    -------
    list of Stage
        The last one is the classifier, except for pseudo-labels only.
    """
    sections = outline.settings.tree
    states = clusters = adapted = None
    if "emotion_states" in sections:
        shared = outline.folder_of(SHARED)
        states = states_stage(outline, "emotion_states", shared)
        clusters = clusters_stage(outline, "clusters", states, shared)
    if "adaptation" in sections:
        adapted = adapted_stage(outline, "adaptation", clusters)
    own = None if states_run(outline) else states
    stages = [own, clusters, adapted]
    for number in outline.further_rounds:
        clusters = clusters_stage(outline, "clusters", adapted, number=number)
        adapted = adapted_stage(outline, "adaptation", clusters, number)
        stages += [clusters, adapted]
    for section in {"fine_tuning", "frozen"} & sections.keys():
        stages.append(classifier_stage(outline, section, adapted))
    return [stage for stage in stages if stage is not None]
