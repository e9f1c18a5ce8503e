"""Random convex polygons with k corners: a manifold of dimension 2 k + 2, rendered by exact area coverage.

    x = b + (a - b) m,        m = area of the convex hull of c_1, ..., c_k in each pixel .

The corners are those of a uniform random convex polygon (Valtr 1995: random steps that sum to zero, in the order of
their directions), scaled and placed at random. They fill an open set of the 2 k coordinates.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from gahb_theory import validate
from gahb_theory.images.base import Manifold, keep, two_intensities
from gahb_theory.images.raster import area_inside, own_pixels, polygon_pieces, subdivided

__all__ = ["Polygons"]


@dataclass(frozen=True)
class Polygons(Manifold):
    """One convex polygon per image: its corners and two intensities are random.

    The parameters of a scene are the rows and columns of the corners in pixels, (row, column) after (row, column), then
    the intensities inside and outside.

    Parameters
    ----------
    size
        Height and width in pixels, at least 16.
    corners
        Number of corners, 3 to 12.
    jump
        Smallest difference of the two intensities, in (0, 1).

    Examples
    --------
    >>> scene = Polygons(size=32, corners=4).scene(2, seed=0)
    >>> scene.tangent.shape
    torch.Size([2, 10, 1024])
    """

    size: int = 64
    corners: int = 5
    jump: float = 0.2

    def __post_init__(self) -> None:
        keep(self, "size", validate.integer(self.size, "size", 16, 4096))
        keep(self, "corners", validate.integer(self.corners, "corners", 3, 12))
        keep(self, "jump", validate.number(self.jump, "jump", above=0.0, below=1.0))

    @property
    def dimension(self) -> int:
        """Dimension of the manifold: two coordinates for each corner, and two intensities."""
        return 2 * self.corners + 2

    @property
    def uniform_count(self) -> int:  # type: ignore[override]
        """Uniform numbers that one image is made of."""
        return 5 * self.corners + 6

    def placed(self, u: Float[Tensor, "n u"]) -> Float[Tensor, "n p"]:
        """Parameters as a function of independent uniform numbers."""
        k = self.corners
        numbers, place = u[:, : 5 * k].reshape(-1, 5, k), u[:, 5 * k :]
        down, right = _steps(numbers[:, 0], numbers[:, 1]), _steps(numbers[:, 2], numbers[:, 3])
        right = right.gather(1, numbers[:, 4].argsort(dim=1))
        order = torch.atan2(down, right).argsort(dim=1, descending=True)
        corners = torch.stack([down.gather(1, order), right.gather(1, order)], dim=2).cumsum(dim=1)
        low, high = corners.amin(dim=1, keepdim=True), corners.amax(dim=1, keepdim=True)
        return self.arranged((corners - low) / (high - low), place)

    def arranged(self, shape: Float[Tensor, "n k 2"], place: Float[Tensor, "n 6"]) -> Float[Tensor, "n p"]:
        """Parameters of polygons whose corners lie in the unit square and touch its four sides.

        The uniform numbers are those of the extent, the place, and the two intensities.
        """
        extent = self.size * (0.4 + 0.4 * place[:, :1, None])
        corners = extent * shape + (self.size - extent) * place[:, None, 1:3]
        inside, outside = two_intensities(place[:, 3:], self.jump)
        return torch.cat([corners.flatten(1), inside[:, None], outside[:, None]], dim=1)

    def _paint(self, parameters: Tensor) -> Tensor:
        a, b = parameters[:, -2, None, None], parameters[:, -1, None, None]
        return (b + (a - b) * self._shape(parameters))[:, None]

    def _shape(self, parameters: Tensor) -> Tensor:
        corners = parameters[:, :-2].reshape(-1, self.corners, 2)
        return area_inside(subdivided(corners, self.size), self.size)

    def _derivatives(self, parameters: Tensor) -> Tensor:
        """A corner carries its two edges along, each point by its share of the way to the other end."""
        n, k = len(parameters), self.corners
        shape = self._shape(parameters)[:, None]
        corners = parameters[:, :-2].reshape(n, k, 2)
        row, column, rise, run, middle = polygon_pieces(subdivided(corners, self.size))
        part = torch.arange(self.size, dtype=middle.dtype, device="cpu").repeat_interleave(3).repeat(k)
        place = (part + middle) / self.size  # on the whole edge
        edge = torch.arange(k, device="cpu").repeat_interleave(3 * self.size)
        corner = torch.arange(k, device="cpu")[:, None]
        share = torch.where(
            edge == corner, 1 - place[:, None], torch.where((edge + 1) % k == corner, place[:, None], 0.0)
        )
        # area gained when the contour moves by one row or one column: the run, or the rise, that it sweeps
        turning = torch.sign(
            (corners * torch.stack([-corners.roll(-1, 1)[..., 1], corners.roll(-1, 1)[..., 0]], -1)).sum((1, 2))
        )
        swept = torch.stack([-share * run[:, None], share * rise[:, None]], dim=2).flatten(1, 2)
        moves = own_pixels(row, column, turning[:, None, None] * swept, self.size)
        contrast = (parameters[:, -2] - parameters[:, -1])[:, None, None, None]
        return torch.cat([contrast * moves, shape, 1 - shape], dim=1)


def _steps(points: Tensor, coins: Tensor) -> Tensor:
    """Steps that sum to zero: from the least of k points up to the largest along some of them, and down along the rest."""
    ordered = points.sort(dim=1).values
    least, most, inner = ordered[:, :1], ordered[:, -1:], ordered[:, 1:-1]
    up = coins[:, 1:-1] < 0.5
    steps = []
    for chosen, sign in ((up, 1.0), (~up, -1.0)):
        reached = torch.cat([least, torch.where(chosen, inner, least)], dim=1).cummax(dim=1).values
        steps.append(torch.where(chosen, sign * (inner - reached[:, :-1]), 0.0))
        steps.append(sign * (most - reached[:, -1:]))
    return torch.cat([steps[0] + steps[2], steps[1], steps[3]], dim=1)
