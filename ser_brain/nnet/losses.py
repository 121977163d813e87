"""Cross-entropies that a step may gather in pieces.

A mean over a batch is not the mean of its parts' means once classes carry
weights, or once each part has its own number of masked frames. So the losses
here answer a sum and the number (or weight) it must be divided by: add up
both over the micro-batches and over the processes, divide once, and the loss
and its gradient are exactly those of the whole batch.
"""

import torch
from torch.nn import functional as F

IGNORED = -100


def inverse_frequency_weights(counts):
    """Class weights proportional to 1 / count, normalised to sum to 1.

    Arguments
    ---------
    counts : sequence of int or torch.Tensor
        Training utterances of each class, shape (classes,).

    Returns
    -------
    weights : torch.Tensor
        float32, shape (classes,), each above 0, sum 1.

    Raises
    ------
    ValueError
        If a class has no training utterance.

    Example
    -------
    >>> inverse_frequency_weights([10, 30])
    tensor([0.7500, 0.2500])
    """
    counts = torch.as_tensor(counts, dtype=torch.float64)
    if counts.numel() == 0 or (counts <= 0).any():
        raise ValueError(
            f"the classes have {counts.tolist()} training utterances: each "
            "needs one at least, so drop the empty class or add clips."
        )
    inverse = counts.reciprocal()
    return (inverse / inverse.sum()).float()


def weighted_cross_entropy_terms(
    logits, targets, weights=None, ignore_index=IGNORED
):
    """Numerator and denominator of a class-weighted mean cross-entropy.

    Their ratio is torch's `cross_entropy(..., reduction="mean")`: with
    targets y and weights w, sum of -w[y] log p(y) over sum of w[y].

    Arguments
    ---------
    logits : torch.Tensor
        Shape (..., classes).
    targets : torch.Tensor
        Class indices, integers of shape (...).
    weights : torch.Tensor, optional
        Weight of each class, shape (classes,); all 1 by default.
    ignore_index : int
        Targets of this value count in neither term.

    Returns
    -------
    numerator : torch.Tensor
        The weighted sum, a scalar in at least float32.
    denominator : torch.Tensor
        The sum of the weights, a scalar; 0 if every target is ignored.

    Example
    -------
    >>> logits = torch.tensor([[0.0, 0.0], [0.0, 0.0]])
    >>> targets, weights = torch.tensor([0, 1]), torch.tensor([0.75, 0.25])
    >>> num, den = weighted_cross_entropy_terms(logits, targets, weights)
    >>> num / den, den
    (tensor(0.6931), tensor(1.))
    """
    n_classes = logits.size(-1)
    flat = logits.reshape(-1, n_classes)
    flat = flat.to(torch.promote_types(flat.dtype, torch.float32))
    targets = targets.reshape(-1)
    if weights is None:
        weights = flat.new_ones(n_classes)
    weights = weights.to(flat)
    numerator = F.cross_entropy(
        flat, targets, weights, ignore_index=ignore_index, reduction="sum"
    )
    kept = targets != ignore_index
    denominator = (weights[targets.where(kept, 0)] * kept).sum()
    return numerator, denominator


def cluster_terms(logits, labels, mask=None):
    """Terms of the cluster prediction loss, summed over the k.

    The cross-entropy at masked frames with labels is averaged for each k,
    then summed over the k (P-TAPT's adaptation, Chen and Rudnicky). The
    frames are the same for every k, so one denominator serves all: the loss is
    `numerators.sum() / denominator`, and `numerators / denominator` are its
    parts, for the log.

    Arguments
    ---------
    logits : list of torch.Tensor
        One of shape (..., k) for each k, as ClusterHeads answers.
    labels : torch.Tensor
        Pseudo-labels, integers of shape (..., number of k). A frame where
        any of them is -100 does not count.
    mask : torch.Tensor, optional
        Booleans, shape (...): which frames were masked. Without it, all.

    Returns
    -------
    numerators : torch.Tensor
        Sum of the cross-entropies for each k, shape (number of k,).
    denominator : torch.Tensor
        Number of frames that count, a scalar of the same type.

    Raises
    ------
    ValueError
        If there are not as many logits as labels a frame.

    Example
    -------
    >>> logits = [torch.zeros(3, 2), torch.zeros(3, 4)]
    >>> labels = torch.tensor([[0, 3], [1, 2], [-100, -100]])
    >>> numerators, denominator = cluster_terms(logits, labels)
    >>> numerators / denominator
    tensor([0.6931, 1.3863])
    """
    if len(logits) != labels.size(-1):
        raise ValueError(
            f"there are {len(logits)} cluster heads but {labels.size(-1)} "
            "pseudo-labels a frame: build both with the same n_clusters."
        )
    counts = (labels != IGNORED).all(dim=-1)
    if mask is not None:
        counts = counts & mask
    targets = labels.where(counts.unsqueeze(-1), IGNORED).unbind(dim=-1)
    numerators = torch.stack(
        [
            weighted_cross_entropy_terms(each, target)[0]
            for each, target in zip(logits, targets, strict=True)
        ]
    )
    return numerators, counts.sum().to(numerators)
