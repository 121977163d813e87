"""The nearest centre of each frame, exactly, without most of the distances.

Nearly all the work of k-means is spent on distances to centres that are far
too distant to be the nearest. Emotion states vary mostly along a few
directions, so short pictures of frames and centres (``pictures.py``) bound
most of these distances from below:

- The true distance is computed for the centre with the lowest bound, then for
  the one with the next bound, until that bound exceeds the best distance. The
  label is then certain, mostly after one or two centres.
- A frame that needs many is compared to all centres in float64.

The bounds allow for the rounding errors of their float32 products, so the
labels are those of a search through all centres in float64, whatever the
basis.
"""

import torch

from ser_brain.clustering.pictures import UNIT, WIDTH, Bounds, product

# Number of centres, by ascending bound, whose true distances are computed.
ROUNDS = 64
# If fewer frames than one in this many are left, the search ends early.
FEW = 20


def distances(frames, centres, dtype=torch.float32):
    """Distances between frames and centres, row by row, both (n, dim)."""
    difference = frames.to(dtype) - centres.to(dtype)
    return torch.linalg.vector_norm(difference, dim=-1)


def rounding_of(frames, dtype=torch.float32):
    """Upper bound on the relative rounding error of `distances`."""
    return 2 * (frames.size(-1) + 4) * UNIT[dtype]


class Search:
    """Compute true distances in the order of their bounds.

    The search ends when the next bound exceeds the best distance: then the
    label is certain.

    Arguments
    ---------
    centres : torch.Tensor
        float32, shape (k, dim), on the device to work on.
    picture : Picture
        Of these centres, in the basis of the frames' pictures.
    dtype : torch.dtype
        Of the bounds.
    among : torch.Tensor, optional
        int64: the centres to search besides the guess; all if not given.

    Example
    -------
    >>> from ser_brain.clustering.pictures import Basis
    >>> centres = torch.tensor([[0.0], [2.0], [8.0]])
    >>> basis = Basis(centres)
    >>> picture = basis.picture(centres)
    >>> search = Search(centres, picture, among=torch.tensor([2]))
    >>> frames = torch.tensor([[4.0], [7.0]])
    >>> guess = torch.tensor([1, 1]), torch.tensor([2.0, 5.0])
    >>> labels, others, sure = search(frames, basis.picture(frames), guess)
    >>> labels, sure
    (tensor([1, 2]), tensor([True, True]))
    """

    def __init__(self, centres, picture, dtype=torch.float32, among=None):
        self.centres = centres
        if among is None:
            among = torch.arange(len(centres), device=centres.device)
        self._bounds = Bounds(picture[among], dtype)
        # Centre of a column, any for those too far to win, and column of a
        # centre, such a one for those not looked at.
        columns = self._bounds.factors.size(-1)
        self._centre = among.new_zeros(columns)
        self._centre[: len(among)] = among
        self._column = among.new_full((len(centres),), len(among))
        self._column[among] = torch.arange(len(among), device=among.device)

    def __call__(self, frames, picture, guess=None):
        """Labels, bounds on the distance to other centres, and certainty.

        Arguments
        ---------
        frames : torch.Tensor
            float32, shape (n, dim), on the centres' device.
        picture : Picture
            Of these frames.
        guess : tuple of torch.Tensor, optional
            As for `NearestCentres`.

        Returns
        -------
        labels, others : torch.Tensor
            As returned by `NearestCentres`.
        sure : torch.Tensor
            Bool, (n,): false for frames that are not certain after `ROUNDS`,
            or whose two nearest centres only float64 can tell apart. What
            overflowed to NaN is never certain.
        """
        lower = self._bounds(picture)
        if guess is None:
            guess = self._centre[_argmin(lower)]
            guess = guess, distances(frames, self.centres[guess])
        labels, best = (each.clone() for each in guess)
        lower.scatter_(-1, self._column[labels].unsqueeze(-1), torch.inf)
        slack = 1 + 2 * rounding_of(frames)
        # The distances of the centres searched, and a bound on all others.
        seen = torch.full_like(best, torch.inf)
        unseen = seen.clone()
        ascending = _Ascending(lower)
        rows = torch.arange(len(frames), device=frames.device)
        for _ in range(ROUNDS):
            column, bound = ascending.next(rows)
            bound = as_distance(bound + picture.squares[rows, 0])
            unseen[rows] = bound
            so_far = best[rows]
            is_open = (~(bound > so_far * slack)).nonzero().squeeze(-1)
            rows, centre = rows[is_open], self._centre[column[is_open]]
            so_far = so_far[is_open]
            if FEW * len(rows) <= len(frames):
                break
            found = distances(frames[rows], self.centres[centre])
            labels[rows] = torch.where(found < so_far, centre, labels[rows])
            best[rows] = torch.minimum(so_far, found)
            farther = torch.maximum(so_far, found)
            seen[rows] = torch.minimum(seen[rows], farther)
        others = torch.minimum(seen * (1 - rounding_of(frames)), unseen)
        return labels, others, others > best * slack


class NearestCentres:
    """Find the nearest of a set of centres for any frames.

    Arguments
    ---------
    centres : torch.Tensor
        float32, shape (k, dim), on the device to work on.
    basis : Basis
        It affects the speed, never a label.

    Example
    -------
    >>> from ser_brain.clustering.pictures import Basis
    >>> centres = torch.tensor([[0.0], [2.0]])
    >>> nearest = NearestCentres(centres, Basis(centres))
    >>> labels, others = nearest(torch.tensor([[0.5], [9.0], [1.0]]))
    >>> labels
    tensor([0, 1, 0])
    """

    def __init__(self, centres, basis):
        self.basis = basis
        self.picture = basis.picture(centres)
        self._search = Search(centres, self.picture)
        self._precise = Search(centres, self.picture, torch.float64)
        self._centred = basis.centred(centres)
        self._squares = self._centred.square().sum(dim=-1)

    def __call__(self, frames, picture=None, guess=None):
        """Labels, and lower bounds on the distance to any other centre.

        Arguments
        ---------
        frames : torch.Tensor
            float32, shape (n, dim), on the centres' device. Memory grows with
            n times k: pass a block at a time.
        picture : Picture, optional
            Of these frames, in the basis.
        guess : tuple of torch.Tensor, optional
            Likely labels (int64, shape (n,)) and the `distances` to their
            centres: a good guess makes the search faster.

        Returns
        -------
        labels : torch.Tensor
            int64, shape (n,). The lowest index wins a tie.
        others : torch.Tensor
            float32, shape (n,): a lower bound on the distance to the second
            nearest centre.
        """
        if picture is None:
            picture = self.basis.picture(frames)
        labels, others, sure = self._search(frames, picture, guess)
        for again in (self._in_float64, self._exact):
            rows = (~sure).nonzero().squeeze(-1)
            if not len(rows):
                break
            labels[rows], others[rows], sure[rows] = again(frames[rows])
        return labels, others

    def _in_float64(self, frames):
        """Search in float64 the frames that rounding leaves uncertain."""
        return self._precise(frames, self.basis.picture(frames))

    def _exact(self, frames):
        """Labels and others by a search through all centres in float64."""
        frames = self.basis.centred(frames)
        squares = frames.square().sum(dim=-1, keepdim=True)
        found = self._squares - 2 * product(frames, self._centred.T)
        longest = self._squares.max().sqrt()
        rounding = rounding_of(frames, torch.float64)
        slack = rounding * longest * (squares.sqrt() + longest)
        limit = found.amin(dim=-1, keepdim=True) + 2 * slack
        # argmax returns the first of equal maxima: the lowest index wins a
        # tie.
        labels = (found <= limit).int().argmax(dim=-1)
        found.scatter_(-1, labels.unsqueeze(-1), torch.inf)
        second = found.amin(dim=-1, keepdim=True) + squares - slack
        sure = torch.ones_like(labels, dtype=torch.bool)
        return labels, as_distance(second).squeeze(-1), sure


class _Ascending:
    """Take the first few values of each row in ascending order.

    Column c is in group c modulo `WIDTH`, whose least value is known, so the
    next value is found among `WIDTH` values and those of one group.

    Arguments
    ---------
    values : torch.Tensor
        Shape (n, a multiple of WIDTH); overwritten.
    """

    def __init__(self, values):
        self.values = values.view(len(values), -1, WIDTH)
        self.least = self.values.amin(dim=1)

    def next(self, rows):
        """Column and value of the next one in each of the given rows."""
        group = self.least[rows].argmin(dim=-1)
        values = self.values[rows, :, group]
        value, place = values.min(dim=-1)
        self.values[rows, place, group] = torch.inf
        values.scatter_(-1, place.unsqueeze(-1), torch.inf)
        self.least[rows, group] = values.amin(dim=-1)
        return place * WIDTH + group, value


def as_distance(squares):
    """Distances from lower bounds (float64) on their squares, as float32."""
    rounded = squares.clamp(min=0).sqrt() * (1 - 4 * UNIT[torch.float32])
    return rounded.float()


def _argmin(values):
    """Index of each row's minimum; as in `product`, numpy is faster."""
    if values.is_cuda:
        return values.argmin(dim=-1)
    return torch.from_numpy(values.numpy().argmin(axis=-1))
