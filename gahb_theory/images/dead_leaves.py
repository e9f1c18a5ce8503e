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
from gahb_theory.images.base import Drawn, keep
from gahb_theory.randomness import Component, uniforms
from gahb_theory.stored_results import Result

__all__ = ["DeadLeaves", "DeadLeavesScene"]

COVER = 7.0  # mean number of leaves over a point: exp(-7) of the points see the grey behind them
SAMPLES = 3  # per pixel and direction


@dataclass(frozen=True, repr=False)
class DeadLeavesScene(Result):
    """Images of dead leaves, and the leaves."""

    images: Float[Tensor, "n 1 size size"]
    leaves: Float[Tensor, "n l 4"]
    """Row, column and radius as fractions of the side, and grey; each leaf hides those after it."""


@dataclass(frozen=True)
class DeadLeaves(Drawn[DeadLeavesScene]):
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
        keep(self, "size", validate.integer(self.size, "size", 16, 1024))
        keep(self, "smallest", validate.positive(self.smallest, "smallest"))
        keep(self, "largest", validate.positive(self.largest, "largest"))
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

    def covariance(self, distance: Float[Tensor, " k"]) -> Float[Tensor, " k"]:
        """Covariance of the greys of two points, at distances given as fractions of the side."""
        if validate.real_array(distance, "distance", 1).min() < 0:
            raise ValueError("distance must not be negative; it counts in sides of the image")
        log_r = torch.linspace(math.log(self.smallest), math.log(self.largest), 4001, dtype=torch.float64, device="cpu")
        r = log_r.exp()
        ratio = (distance.double()[:, None] / (2 * r)).clamp(0, 1)
        lens = 2 * r**2 * (ratio.acos() - ratio * torch.sqrt(1 - ratio**2))
        shared = torch.trapezoid(lens * r**-2, log_r)  # density r^-3 dr = r^-2 d log r
        whole = torch.trapezoid(math.pi * torch.ones_like(r), log_r)
        return (shared / (2 * whole - shared) / 12).to(distance.dtype)

    @property
    def _block(self) -> int:
        return max(1, 2**17 // max(self.leaves, self.size**2))

    @property
    def _scene_shape(self) -> tuple[int, ...]:
        return (self.size**2 + 4 * self.leaves,)

    def _draw(self, n: int, seed: int, start: int, dtype: torch.dtype) -> DeadLeavesScene:
        count, side = self.leaves, SAMPLES * self.size
        u = uniforms(n, 4 * count + 1, seed=seed, start=start, component=Component.PARAMETERS, dtype=dtype)
        row, column, sizes, grey = u[:, : 4 * count].reshape(n, 4, count).unbind(dim=1)
        low, high = self.largest**-2, self.smallest**-2
        radius = torch.rsqrt(low + (high - low) * sizes)
        row, column = ((1 + 2 * self.largest) * c - self.largest for c in (row, column))
        leaves = torch.stack([row, column, radius, grey], dim=2)
        first = _first_leaves((side * leaves[:, :, :3]).numpy(), side)
        greys = torch.cat([grey, u[:, 4 * count :]], dim=1).gather(1, torch.from_numpy(first))
        fine = greys.reshape(n, self.size, SAMPLES, self.size, SAMPLES)
        return DeadLeavesScene(fine.mean(dim=(2, 4))[:, None], leaves)


def _first_leaves(leaves: np.ndarray, side: int) -> np.ndarray:
    """Number of the first leaf over each sample, that of the ground where there is none; shape (n, side^2).

    Leaves of about the same radius are entered together, from the last to the first, so that the first stays.
    """
    n, count, _ = leaves.shape
    first = np.full(n * side**2, count)
    level = np.ceil(2 * np.log2(leaves[:, :, 2])).astype(int)
    for k in range(level.min(), level.max() + 1):
        image, leaf = np.nonzero(level == k)
        image, leaf = image[::-1], leaf[::-1]
        reach = math.ceil(2 ** (k / 2))
        span = np.arange(-reach, reach + 1)
        entered = np.full(n * side**2, count)
        pieces = max(1, 2**19 // len(span) ** 2)
        for part in range(0, len(leaf), pieces):
            cut = slice(part, part + pieces)
            row, column, radius = leaves[image[cut], leaf[cut]].T
            i, j = (np.floor(c).astype(int)[:, None] + span for c in (row, column))
            # beyond the image the distance is infinite
            down = np.where((i >= 0) & (i < side), (i + 0.5 - row[:, None]) ** 2, np.inf)
            across = np.where((j >= 0) & (j < side), (j + 0.5 - column[:, None]) ** 2, np.inf)
            which, a, b = np.nonzero(down[:, :, None] + across[:, None, :] <= (radius**2)[:, None, None])
            entered[(image[cut][which] * side + i[which, a]) * side + j[which, b]] = leaf[cut][which]
        np.minimum(first, entered, out=first)
    return first.reshape(n, side**2)
