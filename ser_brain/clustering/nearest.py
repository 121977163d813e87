"""The nearest centre of each frame, exactly, without most of the distances.

Nearly all the work of k-means is distances to centres that are far too
distant to win. Emotion states lie close to a few directions, so a short
picture of frame and centre rules these out:

- In an orthonormal basis a squared distance is the sum over the leading
  coordinates and over the rest, and the rest is never less than the square
  of the difference of its two lengths. So the leading coordinates and one
  more number, the length of the rest, give a lower bound on the distance:
  a short matrix product.
- The centre with the lowest bound gets its true distance, then the one with
  the next bound, until that bound is above the best distance: the label is
  certain, mostly after one or two.
- A frame that takes many is compared to all centres in float64.

The bounds carry the rounding errors of their float32 products, so labels are
those of a search through all centres in float64, whatever the basis.
"""

from dataclasses import dataclass

import numpy as np
import torch

# One leading coordinate for each so many coordinates.
SHORTENING = 16
# Centres of the lowest bounds whose true distances are taken.
ROUNDS = 64
# Fewer frames than one of so many are looked at in another way sooner.
FEW = 20
# Bounds whose least is known together; a power of two.
WIDTH = 64

# Rounding of float32 and float64 numbers, and of a factor in a GPU's float32
# matrix products by the precision that the caller chose for them in torch.
UNIT = {torch.float32: 2**-24, torch.float64: 2**-53}
_TF32 = {"none": 2**-24, "ieee": 2**-24, "tf32": 2**-11}


@dataclass
class Picture:
    """Points in short.

    Arguments
    ---------
    points : torch.Tensor
        Shape (n, rank + 3): leading coordinates, length of the rest, the
        error that this may have, length of the whole.
    squares : torch.Tensor
        float64, (n, 1): of the length of the whole.
    """

    points: torch.Tensor
    squares: torch.Tensor

    def __getitem__(self, rows):
        return Picture(self.points[rows], self.squares[rows])


class Basis:
    """The axes along which some centres, and frames like them, vary most.

    Arguments
    ---------
    points : torch.Tensor
        Shape (n, dim): what the axes are fitted to.
    shortening : int
        One leading axis is kept for each so many dimensions.

    Example
    -------
    >>> basis = Basis(torch.tensor([[0.0, 1.0], [4.0, 1.0]]), shortening=2)
    >>> basis.picture(torch.tensor([[2.0, 4.0]])).points[:, :2]
    tensor([[0., 3.]], dtype=torch.float64)
    """

    def __init__(self, points, shortening=SHORTENING):
        points = points.double()
        # Distances do not change with the origin; rounding errors do.
        self.origin = points.mean(dim=0)
        centred = points - self.origin
        # Scaled, lest squares of very small or large numbers leave the range.
        centred = centred / centred.abs().max().clamp(min=1e-300)
        _, axes = np.linalg.eigh((centred.T @ centred).cpu().numpy())
        rank = points.size(-1) // shortening
        leading = torch.from_numpy(axes).flip(-1)[:, :rank]
        self.axes = leading.contiguous().to(points.device)

    def centred(self, points):
        """Points (n, dim) about the origin, float64."""
        return points.double() - self.origin

    def picture(self, points, dtype=torch.float64):
        """The Picture of points (n, dim), rounded to a dtype at the end."""
        centred = self.centred(points)
        leading = _product(centred, self.axes)
        squares = centred.square().sum(dim=-1, keepdim=True)
        rest = squares - leading.square().sum(dim=-1, keepdim=True)
        rest = rest.clamp(min=0).sqrt()
        # An error of a square is twice the root times the root's error.
        error = 2 * (points.size(-1) + 4) * UNIT[torch.float64] * squares
        error = error / torch.maximum(rest, error.sqrt()).clamp(min=1e-300)
        parts = [leading, rest, error, squares.sqrt()]
        return Picture(torch.cat(parts, dim=-1).to(dtype), squares)


class Bounds:
    """Lower bounds on the squared distances from frames to centres.

    Arguments
    ---------
    centres : Picture
        Of k centres.
    dtype : torch.dtype
        Of the matrix product.

    Example
    -------
    >>> basis = Basis(torch.tensor([[0.0, 1.0], [4.0, 1.0]]))
    >>> bounds = Bounds(basis.picture(torch.tensor([[2.0, 0.0]])))
    >>> frames = basis.picture(torch.tensor([[2.0, 5.0]]))
    >>> (bounds(frames)[:, 0] + frames.squares[0]).round()
    tensor([9.], dtype=torch.float64)
    """

    def __init__(self, centres, dtype=torch.float32):
        points, squares = centres.points, centres.squares
        leading, error, length = points.tensor_split([-2, -1], dim=-1)
        # At most the rounding of the factors and of the sum over the
        # dimensions, and some more, for each unit of terms: these are
        # 2 |frame| |centre| and, twice, |centre| squared.
        rounding = (points.size(-1) + 16) * UNIT[dtype]
        if dtype == torch.float32 and points.is_cuda:
            rounding += 3 * _TF32[torch.backends.cuda.matmul.fp32_precision]
        columns = [
            -2 * leading,
            -2 * length,
            -2 * (error + rounding * length),
            (1 - 2 * rounding) * squares,
        ]
        factors = torch.cat(columns, dim=-1)
        # Filled up to whole widths with centres that are too far to win.
        missing = -len(factors) % WIDTH
        far = factors.new_zeros(missing, factors.size(-1))
        far[:, -1] = torch.inf
        self.factors = torch.cat([factors, far]).T.contiguous().to(dtype)

    def __call__(self, frames):
        """Bounds for frames.

        Arguments
        ---------
        frames : Picture
            Of n frames, in the centres' basis.

        Returns
        -------
        lower : torch.Tensor
            (n, k and some more): no squared distance is less than that, plus
            `frames.squares`.
        """
        points = frames.points.to(self.factors.dtype)
        ones = points.new_ones(len(points), 1)
        return _product(torch.cat([points, ones], dim=-1), self.factors)


def distances(frames, centres, dtype=torch.float32):
    """Each frame's distance to its centre, both (n, dim)."""
    difference = frames.to(dtype) - centres.to(dtype)
    return torch.linalg.vector_norm(difference, dim=-1)


def rounding_of(frames, dtype=torch.float32):
    """Relative rounding error of `distances`, at most."""
    return 2 * (frames.size(-1) + 4) * UNIT[dtype]


class NearestCentres:
    """The nearest of some centres, for any frames.

    Arguments
    ---------
    centres : torch.Tensor
        float32, shape (k, dim), on the device to work on.
    basis : Basis
        It changes the speed, never a label.

    Example
    -------
    >>> centres = torch.tensor([[0.0], [2.0]])
    >>> nearest = NearestCentres(centres, Basis(centres))
    >>> labels, others = nearest(torch.tensor([[0.5], [9.0], [1.0]]))
    >>> labels
    tensor([0, 1, 0])
    """

    def __init__(self, centres, basis):
        self.centres = centres
        self.basis = basis
        points = basis.picture(centres)
        self._bounds = {dtype: Bounds(points, dtype) for dtype in UNIT}
        self._centred = basis.centred(centres)
        self._squares = self._centred.square().sum(dim=-1)

    def __call__(self, frames, picture=None, guess=None):
        """Labels, and how near any other centre may be.

        Arguments
        ---------
        frames : torch.Tensor
            float32, shape (n, dim), on the centres' device. Memory goes with
            n times k: give some at a time.
        picture : Picture, optional
            Of these frames, in the basis.
        guess : tuple of torch.Tensor, optional
            What the labels may be (int64, shape (n,)), and the `distances`
            to these centres: it is faster to know.

        Returns
        -------
        labels : torch.Tensor
            int64, shape (n,). Of equal distances, the lowest index.
        others : torch.Tensor
            float32, shape (n,): a lower bound on the distance to the second
            nearest centre.
        """
        if picture is None:
            picture = self.basis.picture(frames)
        labels, others, sure = self._decide(
            frames, torch.float32, picture, guess
        )
        for again in (self._decide_in_float64, self._exact):
            rows = (~sure).nonzero().squeeze(-1)
            if not len(rows):
                break
            labels[rows], others[rows], sure[rows] = again(frames[rows])
        return labels, others

    def _decide_in_float64(self, frames):
        """As `_decide`, for frames whose bounds rounding has blurred."""
        return self._decide(frames, torch.float64, self.basis.picture(frames))

    def _decide(self, frames, dtype, picture, guess=None):
        """Takes true distances in the order of their bounds.

        Until the next bound is above the best distance: then labels and
        others are certain. Comparisons are written so that what overflowed
        to NaN is never certain.

        Returns
        -------
        labels, others : torch.Tensor
            As `__call__` gives them.
        sure : torch.Tensor
            Bool, (n,): false for frames that are not certain after `ROUNDS`,
            or whose two nearest centres only float64 can tell apart.
        """
        lower = self._bounds[dtype](picture)
        if guess is None:
            guess = _argmin(lower)
            guess = guess, distances(frames, self.centres[guess])
        labels, best = (each.clone() for each in guess)
        lower.scatter_(-1, labels.unsqueeze(-1), torch.inf)
        slack = 1 + 2 * rounding_of(frames)
        # The distances of those seen, and a bound on those not seen.
        seen = torch.full_like(best, torch.inf)
        unseen = seen.clone()
        ascending = _Ascending(lower)
        rows = torch.arange(len(frames), device=frames.device)
        for _ in range(ROUNDS):
            centre, bound = ascending.next(rows)
            bound = as_distance(bound + picture.squares[rows, 0])
            unseen[rows] = bound
            so_far = best[rows]
            is_open = (~(bound > so_far * slack)).nonzero().squeeze(-1)
            rows, centre = rows[is_open], centre[is_open]
            so_far = so_far[is_open]
            if FEW * len(rows) <= len(frames):
                break
            found = distances(frames[rows], self.centres[centre])
            labels[rows] = torch.where(found < so_far, centre, labels[rows])
            best[rows] = torch.minimum(so_far, found)
            farther = torch.maximum(so_far, found)
            seen[rows] = torch.minimum(seen[rows], farther)
        others = torch.minimum(seen * (1 - rounding_of(frames)), unseen)
        sure = others > best * slack
        sure[rows] = False
        return labels, others, sure

    def _exact(self, frames):
        """Labels and others by a search through all centres in float64."""
        frames = self.basis.centred(frames)
        squares = frames.square().sum(dim=-1, keepdim=True)
        found = self._squares - 2 * _product(frames, self._centred.T)
        longest = self._squares.max().sqrt()
        rounding = rounding_of(frames, torch.float64)
        slack = rounding * longest * (squares.sqrt() + longest)
        limit = found.amin(dim=-1, keepdim=True) + 2 * slack
        # Of equal maxima argmax gives the first: the lowest index of a tie.
        labels = (found <= limit).int().argmax(dim=-1)
        found.scatter_(-1, labels.unsqueeze(-1), torch.inf)
        second = found.amin(dim=-1, keepdim=True) + squares - slack
        sure = torch.ones_like(labels, dtype=torch.bool)
        return labels, as_distance(second).squeeze(-1), sure


class _Ascending:
    """Takes the values of each row in ascending order, the first few.

    Column c is in group c modulo `WIDTH`, whose least value is known: then
    the next one is found among `WIDTH` values and those of one group.

    Arguments
    ---------
    values : torch.Tensor
        Shape (n, a multiple of WIDTH); overwritten.
    """

    def __init__(self, values):
        self.values = values.view(len(values), -1, WIDTH)
        self.least = self.values.amin(dim=1)

    def next(self, rows):
        """Column and value of the next one in each of some rows."""
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


def _product(one, other):
    """Matrix product; on a processor numpy's, which was the faster one."""
    if one.is_cuda:
        # Mixed precision around the caller must not reach this product.
        with torch.autocast("cuda", enabled=False):
            return one @ other
    return torch.from_numpy(one.numpy() @ other.numpy())


def _argmin(values):
    """Where each row is least; as in `_product`, numpy is faster."""
    if values.is_cuda:
        return values.argmin(dim=-1)
    return torch.from_numpy(values.numpy().argmin(axis=-1))
