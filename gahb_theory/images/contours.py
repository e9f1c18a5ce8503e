"""Contours of exact Hoelder regularity, as functions: points, normals and curvature at any place.

With the Gaussian series s of regularity alpha and variance 1 (`gahb_theory.images.fields`), a contour is a graph

    row = C(t) = h + p (t - 1/2) + 0.13 s(t),        column = t,        0 <= t <= 1,

or a closed curve around a centre c, star-shaped and so without self-intersection,

    (row, column) = c + r(t) (sin 2 pi t, cos 2 pi t),        r(t) = r_0 exp(0.2 s(2 t)),        0 <= t < 1 .

Lengths are fractions of the side of the image, rows count downwards. The series are those of the image: their
frequencies end at its resolution. Normals have a limit as the size grows if alpha > 1, the curvature if alpha > 2.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from gahb_theory.stored_results import Result

__all__ = ["ClosedContours", "GraphContours"]


@dataclass(frozen=True, repr=False)
class GraphContours(Result):
    """Contours that cross the image from left to right, `c` of them in each image."""

    height: Float[Tensor, "n c"]
    tilt: Float[Tensor, "n c"]
    coefficients: Float[Tensor, "n c k 2"]
    """Of cos(pi k t) and sin(pi k t), k = 1, 2, ..."""

    def points(self, t: Float[Tensor, " p"]) -> Float[Tensor, "n c p 2"]:
        """Row and column at the parameters t in [0, 1]."""
        rows = self.height[..., None] + self.tilt[..., None] * (t - 0.5) + _series(self.coefficients, t, 0)
        return torch.stack([rows, t.expand_as(rows)], dim=-1)

    def normals(self, t: Float[Tensor, " p"]) -> Float[Tensor, "n c p 2"]:
        """Unit vectors (row, column) across the contour, pointing down."""
        slope = self.tilt[..., None] + _series(self.coefficients, t, 1)
        return torch.stack([torch.ones_like(slope), -slope], dim=-1) / torch.sqrt(1 + slope**2)[..., None]

    def curvature(self, t: Float[Tensor, " p"]) -> Float[Tensor, "n c p"]:
        """Curvature C'' / (1 + C'^2)^(3/2), in units of 1 / side; positive where the contour bends downwards."""
        slope = self.tilt[..., None] + _series(self.coefficients, t, 1)
        return _series(self.coefficients, t, 2) / (1 + slope**2) ** 1.5


@dataclass(frozen=True, repr=False)
class ClosedContours(Result):
    """Closed contours, `c` of them in each image."""

    centre: Float[Tensor, "n c 2"]
    radius: Float[Tensor, "n c"]
    coefficients: Float[Tensor, "n c k 2"]
    """Of the logarithm of the radius, with cos(2 pi k t) and sin(2 pi k t), k = 1, 2, ..."""

    def points(self, t: Float[Tensor, " p"]) -> Float[Tensor, "n c p 2"]:
        """Row and column at the parameters t in [0, 1]."""
        along, _ = _directions(t)
        return self.centre[:, :, None] + self._radius(t)[..., None] * along

    def normals(self, t: Float[Tensor, " p"]) -> Float[Tensor, "n c p 2"]:
        """Unit vectors (row, column) across the contour, pointing outwards."""
        along, across = _directions(t)
        r, first = self._radius(t), self._radius(t) * _series(self.coefficients, 2 * t, 1) / torch.pi
        vector = r[..., None] * along - first[..., None] * across
        return vector / torch.linalg.vector_norm(vector, dim=-1, keepdim=True)

    def curvature(self, t: Float[Tensor, " p"]) -> Float[Tensor, "n c p"]:
        """Curvature in units of 1 / side: 1 / r on a circle, negative where the region is not convex."""
        r = self._radius(t)
        g, h = (_series(self.coefficients, 2 * t, m) / torch.pi**m for m in (1, 2))  # of log r, by the angle
        first, second = r * g, r * (h + g**2)
        return (r**2 + 2 * first**2 - r * second) / (r**2 + first**2) ** 1.5

    def _radius(self, t: Tensor) -> Tensor:
        return self.radius[..., None] * torch.exp(_series(self.coefficients, 2 * t, 0))


def _directions(t: Tensor) -> tuple[Tensor, Tensor]:
    """Unit vectors (row, column) from the centre, and those a quarter of a turn ahead."""
    angle = 2 * torch.pi * t
    sine, cosine = angle.sin(), angle.cos()
    return torch.stack([sine, cosine], dim=-1), torch.stack([cosine, -sine], dim=-1)


def _series(coefficients: Tensor, u: Tensor, order: int) -> Tensor:
    """A derivative of sum_k a_k cos(pi k u) + b_k sin(pi k u) by u, shape (n, c, p)."""
    k = torch.pi * torch.arange(1, coefficients.shape[-2] + 1, dtype=coefficients.dtype, device=u.device)
    phase = k[:, None] * u + order * torch.pi / 2
    waves = torch.stack([phase.cos(), phase.sin()], dim=1) * k[:, None, None] ** order
    with torch.autocast(coefficients.device.type, enabled=False):
        return torch.einsum("nckj,kjp->ncp", coefficients, waves.to(coefficients))
