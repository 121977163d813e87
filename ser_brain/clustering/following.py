"""Labels that follow centres as these move.

From one iteration of k-means to the next most centres move little, and most
frames stay with theirs. A frame whose second nearest centre was far away
needs no search: by the triangle inequality a centre that moved by some
distance has come nearer by that at most (Hamerly, "Making k-means even
faster", 2010). A few centres often move much farther than the others; they
would spoil the bound for all frames, so these movers' distances are bounded
anew, and the rest of the centres gives the bound.
"""

import torch

from ser_brain.clustering.nearest import (
    UNIT,
    Bounds,
    NearestCentres,
    as_distance,
    distances,
    rounding_of,
)

# One mover for each so many centres.
MOVERS = 32


class Follower:
    """Keeps the labels of frames right as the centres of one set move.

    Arguments
    ---------
    centres : torch.Tensor
        float32, shape (k, dim), on the device to work on.
    basis : Basis
        Of the pictures that are given.
    before : torch.Tensor, optional
        The centres for which the labels were right; labels and bounds are
        found afresh if not given.

    Example
    -------
    >>> from ser_brain.clustering.nearest import Basis
    >>> centres = torch.tensor([[0.0], [2.0]])
    >>> frames = torch.tensor([[0.5], [1.2]])
    >>> basis = Basis(centres)
    >>> labels, others = torch.zeros(2, dtype=torch.int64), torch.zeros(2)
    >>> picture = basis.picture(frames)
    >>> Follower(centres, basis).follow(frames, picture, labels, others)
    >>> labels
    tensor([0, 1])
    >>> moved = torch.tensor([[0.8], [2.0]])
    >>> follower = Follower(moved, basis, centres)
    >>> follower.follow(frames, picture, labels, others)
    >>> labels
    tensor([0, 0])
    """

    def __init__(self, centres, basis, before=None):
        self.centres = centres
        self.nearest = NearestCentres(centres, basis)
        self.movers = None
        if before is None:
            return
        moved = distances(centres, before, torch.float64)
        count = len(centres) // MOVERS
        self.movers = moved.topk(count).indices
        moved[self.movers] = 0
        self.moved = moved.max().item()
        self.mover_of = torch.full_like(moved, -1, dtype=torch.int64)
        self.mover_of[self.movers] = torch.arange(count, device=moved.device)
        if count:
            self.bounds = Bounds(basis.picture(centres[self.movers]))

    def follow(self, frames, picture, labels, others):
        """Puts labels right, in place.

        Arguments
        ---------
        frames : torch.Tensor
            float32, shape (n, dim).
        picture : Picture
            Of these frames.
        labels : torch.Tensor
            Integers, shape (n,): of the centres before; overwritten.
        others : torch.Tensor
            float32, shape (n,): lower bounds on the distances to any other
            of the centres before; overwritten.
        """
        if self.movers is None:
            labels[:], others[:] = self.nearest(frames, picture)
            return
        label = labels.long()
        others -= self.moved
        # The rounding of this subtraction, lest the bound be too high.
        others *= 1 - 4 * UNIT[torch.float32]
        if len(self.movers):
            movers = self._nearest_mover(picture, label)
            torch.minimum(others, movers, out=others)
        own = distances(frames, self.centres[label])
        sure = others > own * (1 + rounding_of(frames))
        unsure = (~sure).nonzero().squeeze(-1)
        if len(unsure):
            guess = label[unsure], own[unsure]
            found, bounds = self.nearest(frames[unsure], picture[unsure], guess)
            labels[unsure] = found.to(labels.dtype)
            others[unsure] = bounds

    def _nearest_mover(self, picture, label):
        """How near a mover may be that is not the frame's own centre."""
        lower = self.bounds(picture)
        own = self.mover_of[label]
        rows = (own >= 0).nonzero().squeeze(-1)
        lower[rows, own[rows]] = torch.inf
        nearest = lower.amin(dim=-1).double() + picture.squares[:, 0]
        return as_distance(nearest)
