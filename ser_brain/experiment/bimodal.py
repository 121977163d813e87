"""The step of the procedures that read text beside the audio."""

from ser_brain.errors import InputError
from ser_brain.experiment.chain import classifier_stage
from ser_brain.experiment.layer_features import layer_features
from ser_brain.experiment.results import tested_results
from ser_brain.experiment.stages import test_and_save
from ser_brain.experiment.texts import corpus_texts, text_features
from ser_brain.experiment.training import class_weights, fit, throughput


def bimodal_head(section):
    """The head of a section, for the encoders beside it.

    Raises
    ------
    InputError
        If one of its settings cannot be.
    """
    encoder, text_encoder = section["encoder"], section["text_encoder"]
    try:
        return section["head"](
            dim=encoder.dim, text_dim=text_encoder.dim, depth=encoder.n_layers
        )
    except ValueError as error:
        raise InputError(str(error)) from error


def train_bimodal_head(experiment, brain_class, section):
    """Train and test a head on two frozen encoders, of audio and text.

    Arguments
    ---------
    experiment : Experiment
        The run.
    brain_class : type
        The ``sb.Brain`` that is trained.
    section : str
        Of the yaml.

    Returns
    -------
    dict
        The content of metrics.json, on the main process.
    """
    fold = experiment.fold
    stage = classifier_stage(experiment, section)

    def work():
        built = experiment.section(section)
        texts = corpus_texts(experiment, built)
        text = text_features(experiment, built, texts)
        head = bimodal_head(built)
        audio = layer_features(experiment, built, head)
        speed = built["speeds"][0]
        head.measure(
            [audio(key, speed)[:, 0] for key in fold.train],
            [text(key) for key in fold.train],
        )
        built.update(modules={"head": head})
        brain = fit(
            brain_class,
            experiment,
            built,
            stage,
            fold.train,
            class_weights=class_weights(
                experiment, fold.train, experiment.run_opts.device
            ),
            layer_features=audio,
            text_features=text,
            groups={},
        )
        loader = experiment.loader(fold.test, batch_size=32, decodes=False)
        parts = built["encoder"], brain.bare("head")
        test_and_save(experiment, stage, brain, loader, *parts)
        return throughput(brain)

    experiment.run_stage(stage, work)
    return tested_results(experiment, stage)
