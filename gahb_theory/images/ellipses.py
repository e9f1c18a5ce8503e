"""Ellipses: a manifold of dimension 7, rendered by exact area coverage.

    x = b + (a - b) m,        m = area of {c + p cos t e_1 + q sin t e_2} in each pixel,

with a centre c, half-axes p and q, a direction e_1 and two intensities. The derivative of the area by a parameter is the
integral along the contour of the speed at which it moves across itself.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from gahb_theory import validate
from gahb_theory.images.base import Manifold, keep, two_intensities
from gahb_theory.images.raster import area_of_ellipses, ellipse_arcs, own_pixels

__all__ = ["Ellipses"]


@dataclass(frozen=True)
class Ellipses(Manifold):
    """One ellipse per image: centre, half-axes, direction and two intensities are random.

    The parameters of a scene are: row and column of the centre, half-axes p > q in pixels, angle from the row axis to
    the first, intensities inside and outside. The half-axes lie between 0.08 and 0.35 of the side, q below 0.9 p (on a
    circle the direction would have no meaning).

    Parameters
    ----------
    size
        Height and width in pixels, at least 16.
    jump
        Smallest difference of the two intensities, in (0, 1).

    See Also
    --------
    gahb_theory.Disks, gahb_theory.CAlpha

    Examples
    --------
    >>> scene = Ellipses(size=32).scene(2, seed=0)
    >>> scene.tangent.shape
    torch.Size([2, 7, 1024])
    """

    size: int = 64
    jump: float = 0.2

    def __post_init__(self) -> None:
        keep(self, "size", validate.integer(self.size, "size", 16, 4096))
        keep(self, "jump", validate.number(self.jump, "jump", above=0.0, below=1.0))

    uniform_count = 8

    @property
    def dimension(self) -> int:
        """Dimension of the manifold."""
        return 7

    def placed(self, u: Float[Tensor, "n u"]) -> Float[Tensor, "n 7"]:
        """Parameters as a function of independent uniform numbers."""
        p = self.size * (0.12 + 0.23 * u[:, 0])
        smallest = 0.08 * self.size
        q = smallest + (0.9 * p - smallest) * u[:, 1]
        angle = torch.pi * u[:, 2]
        margin = p + 1
        row, column = (margin + (self.size - 2 * margin) * u[:, d] for d in (3, 4))
        inside, outside = two_intensities(u[:, 5:], self.jump)
        return torch.stack([row, column, p, q, angle, inside, outside], dim=1)

    def _paint(self, parameters: Tensor) -> Tensor:
        a, b = parameters[:, 5, None, None], parameters[:, 6, None, None]
        return (b + (a - b) * area_of_ellipses(parameters[:, :5], self.size))[:, None]

    def _derivatives(self, parameters: Tensor) -> Tensor:
        shape = area_of_ellipses(parameters[:, :5], self.size)[:, None]
        first, last, row, column = ellipse_arcs(parameters[:, :5], self.size)
        p, q, f = (parameters[:, d : d + 1] for d in (2, 3, 4))
        sine, cosine = last.sin() - first.sin(), first.cos() - last.cos()  # integrals of cos and sin
        turn, mixed = (last - first) / 2, (last.sin() * last.cos() - first.sin() * first.cos()) / 2
        along, beside = q * sine, p * cosine  # contour moved along its own axes
        speeds = torch.stack(
            [
                f.cos() * along - f.sin() * beside,
                f.sin() * along + f.cos() * beside,
                q * (turn + mixed),
                p * (turn - mixed),
                (p**2 - q**2) * (last.sin() ** 2 - first.sin() ** 2) / 2,
            ],
            dim=1,
        )
        contrast = (parameters[:, 5] - parameters[:, 6])[:, None, None, None]
        return torch.cat([contrast * own_pixels(row, column, speeds, self.size), shape, 1 - shape], dim=1)
