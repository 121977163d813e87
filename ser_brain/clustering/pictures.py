"""Short pictures of frames and centres, which bound their distances.

In an orthonormal basis a squared distance is the sum over the leading
coordinates and over the rest, and the rest is never less than the square of
the difference of its two lengths. So the leading coordinates and one more
number, the length of the rest, give a lower bound on the distance by a short
matrix product. The bounds allow for the rounding errors of that product.
"""

import math
import threading
from dataclasses import dataclass

import numpy as np
import torch

# One leading coordinate is kept per this many coordinates.
SHORTENING = 16
# Columns of bounds are padded to multiples of this width; a power of two.
WIDTH = 64

# Rounding of float32 and float64 numbers, and of a factor in a GPU's float32
# matrix products by the precision that the caller chose for them in torch.
UNIT = {torch.float32: 2**-24, torch.float64: 2**-53}
_TF32 = {"none": 2**-24, "ieee": 2**-24, "tf32": 2**-11}
_SCRATCH = threading.local()


@dataclass
class Picture:
    """Points in shortened form.

    Arguments
    ---------
    points : torch.Tensor
        Shape (n, rank + 3): leading coordinates, length of the rest, its
        maximum error, length of the whole.
    squares : torch.Tensor
        float64, (n, 1): the squared length of the whole.
    """

    points: torch.Tensor
    squares: torch.Tensor

    def __getitem__(self, rows):
        return Picture(self.points[rows], self.squares[rows])


class Basis:
    """The axes along which centres, and frames like them, vary most.

    Arguments
    ---------
    points : torch.Tensor
        Shape (n, dim): the points that the axes are fitted to.
    shortening : int
        One leading axis is kept per this many dimensions.

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
        # Scaled, so that squares of very small or large numbers stay in range.
        centred = centred / centred.abs().max().clamp(min=1e-300)
        _, axes = np.linalg.eigh((centred.T @ centred).cpu().numpy())
        rank = points.size(-1) // shortening
        leading = torch.from_numpy(axes).flip(-1)[:, :rank]
        self.axes = leading.contiguous().to(points.device)

    def centred(self, points):
        """Points (n, dim) about the origin, float64."""
        return points.double() - self.origin

    def picture(self, points, dtype=torch.float64):
        """Return the Picture of points (n, dim), finally rounded to a dtype."""
        centred = self.centred(points)
        leading = product(centred, self.axes)
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
        # An upper bound on the rounding of the factors and of the sum over the
        # dimensions, per unit of the terms: 2 |frame| |centre| and twice
        # |centre| squared.
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
        # Padded to a multiple of the width, by at least one, with centres that
        # are too far away to be the nearest.
        missing = WIDTH - len(factors) % WIDTH
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
            (n, k and padding): plus `frames.squares`, a lower bound on each
            squared distance. On a CPU the thread's next call overwrites it.
        """
        points = frames.points.to(self.factors.dtype)
        ones = points.new_ones(len(points), 1)
        points = torch.cat([points, ones], dim=-1)
        shape = len(points), self.factors.size(-1)
        return product(points, self.factors, _scratch(shape, points))


def product(one, other, out=None):
    """Matrix product; on a CPU numpy's, which was the faster one."""
    if one.is_cuda:
        # The caller's mixed precision must not affect this product.
        with torch.autocast("cuda", enabled=False):
            return one @ other
    out = None if out is None else out.numpy()
    return torch.from_numpy(np.matmul(one.numpy(), other.numpy(), out=out))


def _scratch(shape, like):
    """Memory of this thread for a large product; None on a GPU.

    Newly allocated memory would cost as much time as the product.
    """
    if like.is_cuda:
        return None
    size = math.prod(shape)
    kept = _SCRATCH.__dict__.get(like.dtype)
    if kept is None or len(kept) < size:
        kept = _SCRATCH.__dict__[like.dtype] = like.new_empty(size)
    return kept[:size].view(shape)
