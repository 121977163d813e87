"""The steps of the procedures, each of which trains a Brain.

``emotion_states`` (P1), ``pseudo_labels`` (P2), ``adapt_to_clusters`` (P3),
``adapt_contrastively`` (TAPT), ``fine_tune`` (V-FT, P4) and ``train_head``.
A step takes the experiment, the Brain that it trains, the name of a section of
the yaml, and the results of earlier steps. It is skipped if its result already
exists.
"""

import logging

import numpy as np
from speechbrain.utils.distributed import if_main_process, run_on_main

from ser_brain.clustering import PseudoLabels
from ser_brain.clustering.soft import soft_labels
from ser_brain.corpora import speaker_groups, split_validation
from ser_brain.experiment.chain import (
    adapted_stage,
    classifier_stage,
    clusters_stage,
    states_stage,
)
from ser_brain.experiment.fine_tuned_states import (
    NAME as FINE_TUNED,
    check_same_fold,
)
from ser_brain.experiment.layer_features import layer_features
from ser_brain.experiment.probe import start_from_probe
from ser_brain.experiment.results import POSTERIORS, tested_results
from ser_brain.experiment.state_frames import states_encoder, write_states
from ser_brain.experiment.states_head import save_states_head, states_accuracy
from ser_brain.experiment.training import (
    check_dim,
    class_weights,
    fit,
    throughput,
    what_learns,
    write_predictions,
)
from ser_brain.inference.classifier import save_classifier
from ser_brain.nnet.layer_heads import CrossFitting

LABELS = "pseudo_labels.safetensors"

logger = logging.getLogger(__name__)


def emotion_states(experiment, brain_class, section, folder=None):
    """P1: emotion-state estimation, with wav2vec 1.0 in the paper.

    Arguments
    ---------
    experiment : Experiment
        The run.
    brain_class : type
        ``EmotionStateBrain``, or a subclass.
    section : str
        Section of the yaml that it is trained over.
    folder : Path, optional
        Run folder that holds the result; by default this procedure's own,
        of the adaptation's seed.

    Returns
    -------
    Stage
        ``save/emotion_states`` holds the ``StateEncoder`` and the utterance
        head; its record has ``valid_UA``, the head's unweighted accuracy on
        the validation split, whose speakers are those of the training.
    """
    train = experiment.fold.train
    stage = states_stage(experiment, section, folder)
    if stage.name == FINE_TUNED:
        check_same_fold(experiment, stage)
        return stage

    def work():
        built = experiment.section(section)
        ids, valid = split_validation(
            train, built["valid_fraction"], built["seed"]
        )
        device = experiment.run_opts.device
        weights = class_weights(experiment, ids, device)
        brain = fit(
            brain_class,
            experiment,
            built,
            stage,
            ids,
            valid,
            class_weights=weights,
        )
        encoder = brain.bare("encoder")
        head = brain.bare("utterance_head")
        run_on_main(encoder.save_pretrained, args=[stage.folder])
        run_on_main(save_states_head, args=[stage.folder, head])
        loader = experiment.loader(valid, batch_size=8)
        valid_ua = round(states_accuracy(encoder, head, loader, device), 4)
        logger.info(
            f"{stage.name}: valid_UA {valid_ua} on {len(valid)} clips of the "
            "training speakers."
        )
        return {**throughput(brain), "valid_UA": valid_ua}

    experiment.run_stage(stage, work)
    return stage


def pseudo_labels(experiment, section, states, folder=None, number=1):
    """P2: k-means over the states of the training part.

    Arguments
    ---------
    experiment : Experiment
        The run.
    section : str
        Section of the yaml that has the k-means.
    states : Stage
        As returned by ``emotion_states``.
    folder : Path, optional
        Run folder that holds the result; by default this procedure's own,
        of the adaptation's seed.
    number : int
        Number of the round of clustering and adaptation.

    Returns
    -------
    Stage
        ``save/clusters`` holds the centres and ``pseudo_labels.safetensors``.
    """
    train = experiment.fold.train
    stage = clusters_stage(experiment, section, states, folder, number)

    def work():
        run_on_main(cluster)
        return {"clips": len(train)}

    def cluster():
        built = experiment.section(section)
        ensemble, top = built["ensemble"], built["soft_top"]
        encoder = states_encoder(experiment, states)
        # Both files are deleted with the folder when the stage is done.
        file = write_states(experiment, encoder, stage.checkpoints, train)
        frames = file.open()
        some = file.sample(built["kmeans_share"], ensemble.seed)
        ensemble.fit(some, stage.checkpoints / "kmeans.safetensors")
        ensemble.save(stage.folder)
        ends = np.cumsum(file.counts)[:-1]

        def by_id(array):
            return dict(zip(train, np.split(array, ends)))

        labels, weights = ensemble.predict(frames), None
        if top > 1:
            labels, weights = soft_labels(
                ensemble, frames, top, built["soft_temperature"]
            )
        PseudoLabels(
            n_clusters=ensemble.n_clusters,
            frame_rate=encoder.frame_rate,
            model_key=states.key,
            labels=by_id(labels),
            top=top,
            weights=None if weights is None else by_id(weights),
        ).save(stage.folder / LABELS)

    experiment.run_stage(stage, work)
    return stage


def adapt_to_clusters(experiment, brain_class, section, states, clusters):
    """P3: wav2vec 2.0 predicts the clusters of masked frames.

    Further rounds (``rounds``) cluster the adapted encoder's own frames and
    adapt the pretrained encoder to them.

    Arguments
    ---------
    experiment : Experiment
        The run.
    brain_class : type
        ``ClusterBrain``, or a subclass.
    section : str
        Section of the yaml that it is trained over.
    states, clusters : Stage
        Results of P1 and P2.

    Returns
    -------
    Stage
        Stage of the last round, with the encoder in transformers' format.
    """
    stage = adapted_stage(experiment, section, clusters)
    predict_clusters(experiment, brain_class, section, states, clusters, stage)
    for number in experiment.further_rounds:
        states = stage
        clusters = pseudo_labels(experiment, "clusters", states, number=number)
        stage = adapted_stage(experiment, section, clusters, number)
        predict_clusters(
            experiment, brain_class, section, states, clusters, stage
        )
    return stage


def predict_clusters(experiment, brain_class, section, states, clusters, stage):
    """Run one adaptation to pseudo-labels."""
    train = experiment.fold.train

    def work():
        built = experiment.section(section)
        labels = PseudoLabels.load(
            clusters.folder / LABELS,
            model_key=states.key,
            n_clusters=built["modules"]["heads"].n_clusters,
        )
        labels.check_frame_rate(built["modules"]["encoder"].frame_rate)
        learning = what_learns(built)
        brain = fit(
            brain_class,
            experiment,
            built,
            stage,
            train,
            pseudo_labels=labels,
        )
        encoder = brain.bare("encoder")
        run_on_main(encoder.save_pretrained, args=[stage.folder])
        return {**throughput(brain), **learning}

    experiment.run_stage(stage, work)


def adapt_contrastively(experiment, brain_class, section):
    """TAPT: wav2vec 2.0 continues its own pretraining.

    Arguments
    ---------
    experiment : Experiment
        The run.
    brain_class : type
        ``ContrastiveBrain``, or a subclass.
    section : str
        Section of the yaml that it is trained over.

    Returns
    -------
    Stage
        ``save/adapted`` holds the model in transformers' format.
    """
    train = experiment.fold.train
    stage = adapted_stage(experiment, section)

    def work():
        built = experiment.section(section)
        brain = fit(brain_class, experiment, built, stage, train)
        objective = brain.bare("objective")
        run_on_main(objective.save_pretrained, args=[stage.folder])
        return throughput(brain)

    experiment.run_stage(stage, work)
    return stage


def fine_tune(experiment, brain_class, section, adapted=None):
    """V-FT or P4: train the classifier, test it, and write the results.

    Arguments
    ---------
    experiment : Experiment
        The run.
    brain_class : type
        ``UtteranceBrain``, or a subclass.
    section : str
        Section of the yaml that it is trained over.
    adapted : Stage, optional
        The adaptation whose encoder is fine-tuned; none in V-FT.

    Returns
    -------
    dict
        The content of metrics.json, on the main process.
    """
    fold = experiment.fold
    stage = classifier_stage(experiment, section, adapted)

    def work():
        built = experiment.section(section)
        device = experiment.run_opts.device
        weights = class_weights(experiment, fold.train, device)
        if built["head_start"] == "probe":
            check_dim(experiment, built["modules"]["encoder"], stage)
            start_from_probe(experiment, built, fold.train)
        learning = what_learns(built)
        brain = fit(
            brain_class,
            experiment,
            built,
            stage,
            fold.train,
            class_weights=weights,
        )
        encoder, head = brain.bare("encoder"), brain.bare("head")
        loader = experiment.loader(
            fold.test, batch_size=built["test_batch_size"]
        )
        test_and_save(experiment, stage, brain, loader, encoder, head)
        return {**throughput(brain), **learning}

    experiment.run_stage(stage, work)
    return tested_results(experiment, stage)


def test_and_save(experiment, stage, brain, loader, encoder, head):
    """Compute posteriors of the test part, and save the classifier."""
    path = stage.folder / POSTERIORS
    write_predictions(experiment, brain, loader, encoder, path)
    if if_main_process():
        save_classifier(
            stage.folder,
            encoder,
            head,
            experiment.classes,
            speeds=brain.hparams.test_speeds,
            **experiment.describe(),
        )


def train_head(experiment, brain_class, section):
    """Train a head over the layers of a frozen encoder and test it.

    Arguments
    ---------
    experiment : Experiment
        The run.
    brain_class : type
        ``FrozenBrain``, or a subclass.
    section : str
        Section of the yaml that it is trained over.

    Returns
    -------
    dict
        The content of metrics.json, on the main process.
    """
    fold = experiment.fold
    stage = classifier_stage(experiment, section)

    def work():
        built = experiment.section(section)
        device = experiment.run_opts.device
        encoder = built["encoder"]
        head = built["head"](dim=encoder.dim, n_layers=encoder.n_layers)
        groups = speaker_groups(experiment.manifest, fold.train)
        heads = CrossFitting(head, 1 + max(groups.values()))
        built.update(modules={"heads": heads})
        built.setdefault("prefix", "head_")
        features = layer_features(experiment, built, head)
        heads.measure([features(key, built["speeds"][0]) for key in fold.train])
        brain = fit(
            brain_class,
            experiment,
            built,
            stage,
            fold.train,
            class_weights=class_weights(experiment, fold.train, device),
            layer_features=features,
            groups=groups,
        )
        loader = experiment.loader(fold.test, batch_size=32, decodes=False)
        head = brain.bare("heads").head
        test_and_save(experiment, stage, brain, loader, encoder, head)
        weights = [round(each, 4) for each in head.layer_weights.tolist()]
        return {**throughput(brain), "layer_weights": weights}

    experiment.run_stage(stage, work)
    return tested_results(experiment, stage)
