"""Labels updated as their centres move.

From one iteration of k-means to the next most centres move little, and most
frames keep their label. A frame whose second nearest centre was far away needs
no search: by the triangle inequality a centre has come nearer by no more than
the distance that it moved (Hamerly, "Making k-means even faster", 2010). A few
centres often move much farther than the others; they would spoil the bound for
all frames, so every frame is compared again with these movers, and the other
centres give the bound.
"""

import torch

from ser_brain.clustering.nearest import (
    NearestCentres,
    Search,
    distances,
    rounding_of,
)
from ser_brain.clustering.pictures import UNIT

# There is one mover per this many centres.
MOVERS = 16


class Follower:
    """Keep the labels of frames correct as the centres of one set move.

    Arguments
    ---------
    centres : torch.Tensor
        float32, shape (k, dim), on the device to work on.
    basis : Basis
        The basis of the pictures passed to ``follow``.
    before : torch.Tensor, optional
        The centres for which the labels were correct; if not given, labels and
        bounds are computed from scratch.

    Example
    -------
    >>> from ser_brain.clustering.pictures import Basis
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
        self.moved = self.movers = None
        if before is None:
            return
        moved = distances(centres, before, torch.float64)
        movers = moved.topk(len(centres) // MOVERS).indices
        moved[movers] = 0
        self.moved = moved.max().item()
        if len(movers):
            picture = self.nearest.picture
            self.movers = Search(centres, picture, among=movers)

    def follow(self, frames, picture, labels, others):
        """Correct the labels in place.

        Arguments
        ---------
        frames : torch.Tensor
            float32, shape (n, dim).
        picture : Picture
            Of these frames.
        labels : torch.Tensor
            Integers, shape (n,): the labels for the previous centres;
            overwritten.
        others : torch.Tensor
            float32, shape (n,): lower bounds on the distances to any other of
            the previous centres; overwritten.
        """
        if self.moved is None:
            labels[:], others[:] = self.nearest(frames, picture)
            return
        label = labels.long()
        others -= self.moved
        # The rounding of this subtraction, so that the bound is not too high.
        others *= 1 - 4 * UNIT[torch.float32]
        own = distances(frames, self.centres[label])
        sure = others > own * (1 + rounding_of(frames))
        rows = sure.nonzero().squeeze(-1)
        if self.movers is not None and len(rows):
            # Here only a mover can have come nearer than their own.
            guess = label[rows], own[rows]
            found, bounds, sure[rows] = self.movers(
                frames[rows], picture[rows], guess
            )
            labels[rows] = found.to(labels.dtype)
            others[rows] = torch.minimum(others[rows], bounds)
        rows = (~sure).nonzero().squeeze(-1)
        if len(rows):
            guess = label[rows], own[rows]
            found, others[rows] = self.nearest(
                frames[rows], picture[rows], guess
            )
            labels[rows] = found.to(labels.dtype)
