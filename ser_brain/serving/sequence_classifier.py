"""Conversion of a model to one of transformers' classifiers, if possible."""

import copy

import torch
from transformers import (
    MODEL_FOR_AUDIO_CLASSIFICATION_MAPPING as CLASSIFIERS,
    Wav2Vec2FeatureExtractor,
)

from ser_brain.dataio.audio import SAMPLE_RATE
from ser_brain.lobes.wav2vec2.family import Wav2Vec2Family
from ser_brain.nnet.heads import UtteranceHead
from ser_brain.nnet.pooling import AveragePooling


def obstacle(recognizer):
    """Explain why transformers has no such classifier.

    Its classifiers are a linear projection of the last layer's frames, their
    mean, and a linear layer.

    Arguments
    ---------
    recognizer : EmotionRecognizer
        The model.

    Returns
    -------
    str or None
        The end of a sentence; None if it has one.

    Example
    -------
    >>> from ser_brain.assets import folder
    >>> from ser_brain.inference import EmotionRecognizer
    >>> from ser_brain.lobes import load_encoder
    >>> encoder = load_encoder(folder("nano_wav2vec2"))
    >>> head = UtteranceHead(encoder.dim, 2, relu_pooled=False)
    >>> obstacle(EmotionRecognizer(encoder, head, ["calm", "sad"]))
    >>> head = UtteranceHead(encoder.dim, 2)
    >>> obstacle(EmotionRecognizer(encoder, head, ["calm", "sad"]))
    'its head has a ReLU after the pooling'
    """
    head = recognizer.head
    if not isinstance(recognizer.encoder, Wav2Vec2Family):
        return "transformers pads every clip of a Whisper encoder to 30 s"
    if type(recognizer.encoder.config) not in CLASSIFIERS:
        return f"transformers has no classifier with {recognizer.encoder.name}"
    if not isinstance(head, UtteranceHead):
        return "its head reads all layers, each standardised by itself"
    reasons = {
        "it averages over several playing speeds": recognizer.speeds != (1.0,),
        "its head does not pool by the mean": not isinstance(
            head.pooling, AveragePooling
        ),
        "its head has a hidden layer": head.hidden is not None,
        "its head has a ReLU before the pooling": head.relu_frames,
        "its head has a ReLU after the pooling": head.relu_pooled,
        "its head leaves out the last frame": head.drop_last_frame,
    }
    return next((text for text, holds in reasons.items() if holds), None)


@torch.no_grad()
def sequence_classifier(recognizer):
    """Convert a model to ``…ForSequenceClassification``.

    Arguments
    ---------
    recognizer : EmotionRecognizer
        One without an :func:`obstacle`.

    Returns
    -------
    model : transformers.PreTrainedModel
        Its posteriors of a single clip equal those of the recognizer.
    extractor : transformers.Wav2Vec2FeatureExtractor
        From 16 kHz waveforms to its input.
    """
    encoder, head = recognizer.encoder, recognizer.head
    config = copy.deepcopy(encoder.config)
    config.id2label = dict(enumerate(recognizer.classes))
    config.label2id = {name: n for n, name in config.id2label.items()}
    config.classifier_proj_size = head.dim
    config.use_weighted_layer_sum = False
    model = CLASSIFIERS[type(config)](config)
    backbone = getattr(model, model.base_model_prefix)
    backbone.load_state_dict(encoder.model.state_dict())
    # Standardising before the mean equals standardising the mean.
    scale = torch.ones(head.dim)
    mean = torch.zeros(head.dim)
    if head.standardize:
        scale, mean = head.scale, head.mean
    model.projector.weight.copy_(torch.diag(1 / scale))
    model.projector.bias.copy_(-mean / scale)
    model.classifier.load_state_dict(head.classifier.state_dict())
    extractor = Wav2Vec2FeatureExtractor(
        sampling_rate=SAMPLE_RATE,
        do_normalize=encoder.normalizes_clips,
        return_attention_mask=encoder.normalizes_clips,
    )
    return model.eval(), extractor
