"""Losses that can be accumulated over parts of a batch.

A mean over a batch is not the mean of its parts' means if classes have
weights, or if parts have different numbers of masked frames. The losses here
therefore return a sum and the number (or weight) to divide it by: add up both
over the micro-batches and the processes, divide once, and the loss and its
gradient are exactly those of the whole batch.
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
        Targets with this value are ignored in both terms.

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


def soft_cross_entropy_sum(logits, shares, weights):
    r"""Numerator of a class-weighted cross-entropy with soft targets.

    .. math:: -\sum_i \sum_c w_c q_{ic} \log p_{ic}

    Its divisor is :math:`\sum_i \sum_c w_c q_{ic}`. If each utterance has a
    single class, it equals ``weighted_cross_entropy_terms``.

    Arguments
    ---------
    logits : torch.Tensor
        Shape (batch, classes).
    shares : torch.Tensor
        Share of each class in each utterance, as rated; same shape.
    weights : torch.Tensor
        Weight of each class, shape (classes,).

    Returns
    -------
    numerator : torch.Tensor
        A scalar in at least float32.

    Example
    -------
    >>> soft_cross_entropy_sum(
    ...     torch.zeros(1, 2), torch.tensor([[0.5, 0.5]]), torch.ones(2)
    ... )
    tensor(0.6931)
    """
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    weighted = shares.to(logits) * weights.to(logits)
    return -(weighted * logits.log_softmax(dim=-1)).sum()


def cluster_terms(logits, labels, mask=None):
    """Terms of the cluster prediction loss, summed over all k.

    The cross-entropy at masked frames with labels is averaged for each k, then
    summed over all k (P-TAPT's adaptation, Chen and Rudnicky). The
    frames are the same for every k, so one denominator serves all: the loss is
    `numerators.sum() / denominator`, and `numerators / denominator` are its
    parts, for the log.

    Arguments
    ---------
    logits : list of torch.Tensor
        One of shape (..., k) per k, as returned by ClusterHeads.
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
        If the number of logits differs from that of labels per frame.

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


def soft_cluster_terms(logits, labels, shares):
    r"""Terms of the cluster prediction loss with soft pseudo-labels.

    .. math:: -\sum_j q_j \log p(c_j)

    for each frame and k, over the clusters :math:`c_j` that share the frame.
    With one cluster of share 1 it equals ``cluster_terms``.

    Arguments
    ---------
    logits : list of torch.Tensor
        One of shape (frames, k) per k, as returned by ClusterHeads.
    labels : torch.Tensor
        Pseudo-labels, integers of shape (frames, number of k * top): the
        ``top`` clusters of the first k, then those of the next. A frame where
        any of them is -100 does not count.
    shares : torch.Tensor
        Share of each cluster in the frame, in the shape of the labels; those
        of one frame and k sum to 1.

    Returns
    -------
    numerators : torch.Tensor
        Sum of the cross-entropies for each k, shape (number of k,).
    denominator : torch.Tensor
        Number of frames that count, a scalar of the same type.

    Raises
    ------
    ValueError
        If the labels cannot be divided evenly among all k.

    Example
    -------
    >>> labels, shares = torch.tensor([[0, 1]]), torch.tensor([[0.75, 0.25]])
    >>> soft_cluster_terms([torch.zeros(1, 4)], labels, shares)
    (tensor([1.3863]), tensor(1.))
    """
    if labels.size(-1) % len(logits):
        raise ValueError(
            f"there are {len(logits)} cluster heads but {labels.size(-1)} "
            "pseudo-labels a frame: build both with the same n_clusters."
        )
    top = labels.size(-1) // len(logits)
    counts = (labels != IGNORED).all(dim=-1)
    shares = shares.float() * counts.unsqueeze(-1)
    parts = zip(
        logits,
        labels.clamp(min=0).split(top, dim=-1),
        shares.split(top, dim=-1),
        strict=True,
    )
    numerators = []
    for each, clusters, share in parts:
        each = each.to(torch.promote_types(each.dtype, torch.float32))
        found = each.log_softmax(dim=-1).gather(-1, clusters)
        numerators.append(-(share * found).sum())
    return torch.stack(numerators), counts.sum().to(numerators[0])


def concordance_loss(outputs, targets, eps=1e-8):
    r"""1 - the concordance correlation of each target over a batch.

    .. math:: 1 - \frac{2 \sigma_{op}}
        {\sigma_o^2 + \sigma_t^2 + (\mu_o - \mu_t)^2}

    Arguments
    ---------
    outputs, targets : torch.Tensor
        Shape (batch, targets). A batch of one has a loss of 1 and no
        gradient.
    eps : float
        Keeps the ratio finite if nothing varies.

    Returns
    -------
    losses : torch.Tensor
        Shape (targets,), each from 0 to 2, in at least float32.

    Example
    -------
    >>> ratings = torch.tensor([[1.0], [2.0], [4.0]])
    >>> concordance_loss(ratings, ratings).round(decimals=4)
    tensor([0.])
    """
    outputs = outputs.to(torch.promote_types(outputs.dtype, torch.float32))
    targets = targets.to(outputs)
    means = outputs.mean(dim=0), targets.mean(dim=0)
    centred = outputs - means[0], targets - means[1]
    covariance = (centred[0] * centred[1]).mean(dim=0)
    spread = sum(each.square().mean(dim=0) for each in centred)
    distance = (means[0] - means[1]).square()
    return 1 - 2 * covariance / (spread + distance + eps)
