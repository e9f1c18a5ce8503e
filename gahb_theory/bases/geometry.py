"""The geometry of a bandlet basis: which squares of which subband, and the flow in each."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from jaxtyping import Int
from torch import Tensor

from gahb_theory import validate
from gahb_theory.bases.flows import FlowBank

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Geometry", "Leaf", "subband_corner"]

ORIENTATIONS = ("vertical", "horizontal", "diagonal")
"""The edges that the details at the top right, the bottom left and the bottom right of a level respond to."""


def subband_corner(level: int, orientation: int, height: int, width: int) -> tuple[int, int]:
    """Row and column where a subband begins in the Mallat layout of an image of this size; level 1 is the finest."""
    return (height >> level if orientation > 0 else 0), (width >> level if orientation != 1 else 0)


@dataclass(frozen=True)
class Leaf:
    """One square of one subband."""

    channel: int
    level: int
    """Level of the wavelet transform, 1 the finest: a square of side s covers s 2^level pixels."""
    orientation: str
    """The edges that the subband responds to: "vertical", "horizontal" or "diagonal"."""
    top: int
    left: int
    """Corner inside the subband, in coefficients."""
    size: int
    angle: float | None
    """Direction of the flow in radians, from the direction of a row towards that of a column; None where there is no
    flow, and the coefficients are those of the wavelets."""
    curvature: float


@dataclass(frozen=True, eq=False)
class Geometry:
    """Quadtrees and flows of a batch of images.

    Parameters
    ----------
    image_shape
        (channels, height, width) of the images.
    flows
        For each level (1 the finest) and each size of square, an integer for each square of the three subbands, shape
        (n, channels, 3, rows, columns): -1 where it is no leaf, 0 where it is a leaf without flow, i where it is a leaf
        with flow i - 1 of the bank of its size. Levels whose subbands no size divides are absent: no flow there.
    curvatures, moments
        Of the flow banks.

    Examples
    --------
    >>> import torch
    >>> from gahb_theory.bases import Bandlet
    >>> x = (torch.arange(64.0)[:, None] > 0.4 * torch.arange(64.0) + 19).float()[None, None]
    >>> geometry = Bandlet("db4").at(x, threshold=0.1).geometry
    >>> int(geometry.total_leaves), int(geometry.directional_leaves)
    (48, 16)
    """

    image_shape: tuple[int, int, int]
    flows: dict[int, dict[int, Int[Tensor, "n c 3 _ _"]]]
    curvatures: tuple[float, ...] = (0.0,)
    moments: int = 1

    def __len__(self) -> int:
        """Return the number of images."""
        for grids in self.flows.values():
            for grid in grids.values():
                return grid.shape[0]
        return 1

    def __getitem__(self, index: int) -> "Geometry":
        """Return the geometry of one image of the batch."""
        i = validate.integer(index, "image index", -len(self), len(self) - 1) % len(self)
        one = {level: {size: g[i : i + 1] for size, g in grids.items()} for level, grids in self.flows.items()}
        return Geometry(self.image_shape, one, self.curvatures, self.moments)

    def bank(self, size: int) -> FlowBank:
        """Return the flows of squares of side `size`."""
        return FlowBank(size, self.curvatures, self.moments)

    @property
    def total_leaves(self) -> Int[Tensor, " n"]:
        """Number of squares of each image."""
        return self._sum(lambda size, grid: grid >= 0)

    @property
    def directional_leaves(self) -> Int[Tensor, " n"]:
        """Number of squares of each image that have a flow."""
        return self._sum(lambda size, grid: grid > 0)

    def directional_leaves_of(self, size: int) -> Int[Tensor, " n"]:
        """Return the number of squares of side `size` of each image that have a flow."""
        return self._sum(lambda side, grid: (grid > 0) & (side == size))

    @property
    def splits(self) -> Int[Tensor, " n"]:
        """Number of splits of each image: a quadtree with L leaves has (L - 1) / 3."""
        roots = sum(grids[max(grids)][0].numel() for grids in self.flows.values())
        return (self.total_leaves - roots) // 3

    @property
    def bits(self) -> Int[Tensor, " n"]:
        """Length of a description of each geometry: 1 bit for each leaf and each split, ceil(log2 D) for a flow of D."""
        flows = self._sum(lambda size, grid: (grid > 0) * math.ceil(math.log2(len(self.bank(size)))))
        return self.total_leaves + self.splits + flows

    def leaves(self, image: int = 0) -> Iterator[Leaf]:
        """Yield the squares of one image, from fine to coarse levels, in the order of sizes, rows and columns."""
        for level, grids in sorted(self[image].flows.items()):
            for size, grid in sorted(grids.items()):
                bank = self.bank(size)
                for channel, orientation, row, column in (grid[0] >= 0).nonzero().tolist():
                    flow = int(grid[0, channel, orientation, row, column]) - 1
                    yield Leaf(
                        channel,
                        level,
                        ORIENTATIONS[orientation],
                        row * size,
                        column * size,
                        size,
                        float(bank.angles[flow]) if flow >= 0 else None,
                        float(bank.bends[flow]) if flow >= 0 else 0.0,
                    )

    def draw(
        self, ax: "Axes", *, level: int = 1, orientation: str = "vertical", image: int = 0, colour: str = "#D55E00"
    ) -> "Axes":
        """Draw the quadtree of one subband in the coordinates of the pixels of the image, and the flow of each square.

        Parameters
        ----------
        ax
            Axes that show the image with `imshow`, where pixel (i, j) is centred at x = j, y = i.
        level, orientation, image
            Which subband of which image.
        colour
            Of the flows; squares are grey.
        """
        from gahb_theory.report.draw_geometry import draw_flows

        leaves = [leaf for leaf in self.leaves(image) if (leaf.level, leaf.orientation) == (level, orientation)]
        return draw_flows(leaves, ax, colour)

    def _sum(self, number: Callable[[int, Tensor], Tensor]) -> Tensor:
        """Sum over the squares of each image of `number(size, grid)`."""
        counts = [number(size, g).flatten(1).sum(dim=1) for grids in self.flows.values() for size, g in grids.items()]
        return torch.stack(counts).sum(dim=0) if counts else torch.zeros(1, dtype=torch.int64, device="cpu")
