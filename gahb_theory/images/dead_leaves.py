"""Dead leaves: disks of all sizes that hide one another, a model of natural images with occlusion and scale invariance.

    x(u) = grey of the first leaf, in a random order, that covers u .

Leaves are disks with uniform centres and radii of density proportional to r^-3 between two bounds: as many leaves in each
octave as fill the same area (Matheron 1968; Ruderman 1997; Lee, Mumford and Huang 2001). Greys are independent and
uniform on [0, 1]. Two points at the distance d lie on one leaf with the probability

    p(d) = g(d) / (2 g(0) - g(d)),        g(d) = mean area of the part of a leaf that its shift by d covers,

so that Cov(d) = p(d) / 12 exactly (Bordenave, Gousseau and Roueff 2006), in the limit of points.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from gahb_theory import validate
from gahb_theory.images.blocks import draw_images
from gahb_theory.randomness import Component, uniforms

__all__ = ["DeadLeaves"]

COVER = 7.0  # mean number of leaves over a point: exp(-7) of the points see the grey behind them
SAMPLES = 3  # per pixel and direction


@dataclass(frozen=True)
class DeadLeaves:
    """Opaque disks of all sizes, rendered with 3 x 3 samples per pixel.

    Parameters
    ----------
    size
        Height and width in pixels, at least 16.
    smallest, largest
        Bounds of the radii as fractions of the side; at least half a pixel, and at most 1.

    Notes
    -----
    A share exp(-7) of the points, less than one in a thousand, lies under no leaf and has a grey of its own, that of the
    ground. The covariance formula holds but for them, and for the mean over the samples of a pixel.

    Examples
    --------
    >>> DeadLeaves(size=32).sample(2).shape
    torch.Size([2, 1, 32, 32])
    """

    size: int = 64
    smallest: float = 0.03
    largest: float = 0.35

    def __post_init__(self) -> None:
        validate.integer(self.size, "size", 16, 1024)
        validate.positive(self.smallest, "smallest")
        validate.positive(self.largest, "largest")
        if not 0.5 / self.size <= self.smallest < self.largest <= 1:
            raise ValueError(
                f"radii must satisfy 0.5 / size <= smallest < largest <= 1, got smallest {self.smallest:g}, "
                f"largest {self.largest:g}, and 0.5 / size is {0.5 / self.size:g}"
            )

    @property
    def leaves(self) -> int:
        """Number of leaves that are drawn for each image."""
        area = 2 * math.pi * math.log(self.largest / self.smallest) / (self.smallest**-2 - self.largest**-2)
        return math.ceil(COVER * (1 + 2 * self.largest) ** 2 / area)

    @property
    def dimension(self) -> None:
        """The class is not a manifold of known dimension."""
        return None

    @property
    def optimal_slope(self) -> None:
        """Unknown."""
        return None

    def sample(
        self, n: int, seed: int = 0, start: int = 0, dtype: torch.dtype = torch.float32
    ) -> Float[Tensor, "n 1 size size"]:
        """Images start .. start + n - 1, shape (n, 1, size, size)."""
        block = max(1, 2**17 // max(self.leaves, self.size**2))
        return draw_images(
            lambda count, first: self._draw(count, seed, first, dtype),
            n,
            start,
            block,
            (1, self.size, self.size),
            dtype,
        )

    def covariance(self, distance: Float[Tensor, " k"]) -> Float[Tensor, " k"]:
        """Covariance of the greys of two points, at distances given as fractions of the side."""
        log_r = torch.linspace(math.log(self.smallest), math.log(self.largest), 4001, dtype=torch.float64)
        r = log_r.exp()
        ratio = (distance.double()[:, None] / (2 * r)).clamp(0, 1)
        lens = 2 * r**2 * (ratio.acos() - ratio * torch.sqrt(1 - ratio**2))
        shared = torch.trapezoid(lens * r**-2, log_r)  # density r^-3 dr = r^-2 d log r
        whole = torch.trapezoid(math.pi * torch.ones_like(r), log_r)
        return (shared / (2 * whole - shared) / 12).to(distance.dtype)

    def _draw(self, n: int, seed: int, start: int, dtype: torch.dtype) -> Tensor:
        count, side = self.leaves, SAMPLES * self.size
        u = uniforms(n, 4 * count + 1, seed=seed, start=start, component=Component.PARAMETERS, dtype=dtype)
        row, column, sizes, grey = u[:, : 4 * count].reshape(n, 4, count).unbind(dim=1)
        low, high = self.largest**-2, self.smallest**-2
        radius = side * torch.rsqrt(low + (high - low) * sizes)
        row, column = (side * ((1 + 2 * self.largest) * c - self.largest) for c in (row, column))
        first = torch.full((n, side * side + 1), count)  # number of the first leaf over each sample
        octave = torch.log2(radius).ceil().long()
        image, leaf = torch.arange(n)[:, None].expand(n, count), torch.arange(count).expand(n, count)
        for level in range(int(octave.min()), int(octave.max()) + 1):
            chosen = octave == level
            _cover(first, image[chosen], leaf[chosen], row[chosen], column[chosen], radius[chosen], 2**level, side)
        greys = torch.cat([grey, u[:, 4 * count :]], dim=1).gather(1, first[:, :-1])
        fine = greys.reshape(n, self.size, SAMPLES, self.size, SAMPLES)
        return fine.mean(dim=(2, 4))[:, None]


def _cover(
    first: Tensor, image: Tensor, leaf: Tensor, row: Tensor, column: Tensor, radius: Tensor, reach: int, side: int
) -> None:
    """Enter leaves of radius at most `reach` at the samples they cover, where none in front of them is entered."""
    span = torch.arange(-reach, reach + 1)
    pieces = max(1, 2**20 // (2 * reach + 1) ** 2)
    width = first.shape[1]
    for part in range(0, len(leaf), pieces):
        cut = slice(part, part + pieces)
        i, j = (c[cut].floor().long()[:, None] + span for c in (row, column))
        down, across = ((p + 0.5 - c[cut, None]) ** 2 for p, c in ((i, row), (j, column)))
        inside = down[:, :, None] + across[:, None, :] <= (radius[cut] ** 2)[:, None, None]
        inside &= ((i >= 0) & (i < side))[:, :, None] & ((j >= 0) & (j < side))[:, None, :]
        which, a, b = np.nonzero(inside.numpy())
        place = image[cut][which] * width + i[which, a] * side + j[which, b]
        first.view(-1).scatter_reduce_(0, place, leaf[cut][which], reduce="amin")
