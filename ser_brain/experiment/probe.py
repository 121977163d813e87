"""A head that starts from a linear probe of its encoder.

With a random head and a high learning rate, a good encoder is damaged before
the head has learned anything. The remedy is linear probing, then fine-tuning
(Kumar et al., ICLR 2022).
"""

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression, Ridge

from ser_brain.bars import passing_bar
from ser_brain.dataio.audio import played, sample_count
from ser_brain.errors import InputError


def start_from_probe(experiment, section, ids):
    """Set the head to a logistic regression on the unchanged encoder.

    Utterances are cropped and played as in training, without masks; classes
    have equal weight; pooled vectors are standardised.

    Arguments
    ---------
    experiment : Experiment
        The run.
    section : dict
        The instantiated section: ``modules`` with encoder and head, speeds,
        max_seconds, and probe_c, scikit-learn's inverse regularisation.
    ids : sequence of str
        The training part.

    Raises
    ------
    InputError
        If the pooling has its own weights, which a probe cannot set, or the
        head is not linear.
    """
    encoder, head = section["modules"]["encoder"], section["modules"]["head"]
    _check_head(head)
    vectors, labels = pooled_vectors(experiment, section, ids)
    mean, scale = vectors.mean(0), vectors.std(0).clip(min=1e-5)
    probe = LogisticRegression(
        C=float(section["probe_c"]), class_weight="balanced", max_iter=1000
    ).fit((vectors - mean) / scale, labels)
    weight, bias = np.asarray(probe.coef_), np.asarray(probe.intercept_)
    if len(probe.classes_) == 2:
        # One logit for the second class becomes two of half its size.
        weight = np.concatenate([-weight, weight]) / 2
        bias = np.concatenate([-bias, bias]) / 2
    head.start_from(mean, scale, weight, bias)
    encoder.cpu()


def start_from_ridge(experiment, section, ids, target_mean, target_scale):
    """Set the head to a ridge regression on the utterances' targets.

    Arguments
    ---------
    experiment, section, ids
        As for ``start_from_probe``; ``probe_c`` is the inverse of the ridge's
        penalty, on standardised vectors and targets.
    target_mean, target_scale : array
        Mean and scale of the targets, shape (targets,).

    Raises
    ------
    InputError
        As for ``start_from_probe``.
    """
    encoder, head = section["modules"]["encoder"], section["modules"]["head"]
    _check_head(head)
    vectors, targets = pooled_vectors(experiment, section, ids, "target")
    mean, scale = vectors.mean(0), vectors.std(0).clip(min=1e-5)
    probe = Ridge(alpha=1 / float(section["probe_c"])).fit(
        (vectors - mean) / scale, (targets - target_mean) / target_scale
    )
    head.start_from(mean, scale, probe.coef_, probe.intercept_)
    encoder.cpu()


def _check_head(head):
    """Refuse a head that cannot be set to a linear probe."""
    if any(True for _ in head.pooling.parameters()):
        raise InputError(
            f"--head_start probe needs a pooling without weights, and this "
            f"is {type(head.pooling).__name__}: give --head_start random."
        )
    if head.hidden or head.relu_pooled or not head.standardize:
        raise InputError(
            "--head_start probe needs a linear head with relu_pooled off and "
            "standardize on: give --relu_pooled False --standardize True."
        )


@torch.no_grad()
def pooled_vectors(experiment, section, ids, wanted="label"):
    """Compute the encoder's pooled output for utterances at each speed.

    Arguments
    ---------
    experiment, section, ids
        As for ``start_from_probe``.
    wanted : str
        Attribute of the utterances to return: label or target.

    Returns
    -------
    tuple of numpy.ndarray
        Vectors (speeds * utterances, pooled), float64, and the attribute.
    """
    device = experiment.run_opts.device
    encoder = section["modules"]["encoder"].to(device).eval()
    pooling = section["modules"]["head"].pooling
    longest = sample_count(section["max_seconds"])
    vectors, labels = [], []
    for (utterance,) in passing_bar(experiment.loader(ids), "probe"):
        for speed in section["speeds"]:
            signal = played(utterance.signal, speed)[:longest].to(device)
            vector = pooling(encoder(signal[None]))[0]
            vectors.append(vector.double().cpu().numpy())
            labels.append(np.asarray(getattr(utterance, wanted)))
    return np.stack(vectors), np.array(labels)
