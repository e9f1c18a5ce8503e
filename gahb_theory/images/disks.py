"""Disks: a manifold of dimension 5 with an analytic tangent space.

    x(u) = b + (a - b) Phi((r - ||u - c||) / w),        Phi the standard normal distribution function,

with centre c, radius r, intensities a inside and b outside, and an edge of width w: a sharp disk blurred across its
contour, differentiable in all five parameters. For sigma well below the radius of curvature of this manifold the
optimal denoiser projects on the tangent space at x: its risk is 5 sigma^2 and its PSNR slope 1 (Kadkhodaie et al.
2024, section 3.2).
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from gahb_theory import validate
from gahb_theory.randomness import Component, uniforms

__all__ = ["Disks", "DisksScene"]


@dataclass(frozen=True)
class DisksScene:
    """Disk images, their parameters and the tangent space at each."""

    images: Float[Tensor, "n 1 size size"]
    parameters: Float[Tensor, "n 5"]
    """Centre row, centre column and radius in pixels, intensity inside, intensity outside."""
    tangent: Float[Tensor, "n 5 d"]
    """Orthonormal rows that span the derivatives of the image by its parameters."""


@dataclass(frozen=True)
class Disks:
    """One disk per image: centre, radius and two intensities are random.

    Parameters
    ----------
    size
        Height and width in pixels, at least 16.
    edge
        Width w of the edge in pixels, at least 0.5 (below, the pixels alias).
    jump
        Smallest difference of the two intensities, in (0, 1); they are uniform where they differ by more.

    Examples
    --------
    >>> scene = Disks(size=32).scene(2, seed=0)
    >>> scene.tangent.shape
    torch.Size([2, 5, 1024])
    """

    size: int = 64
    edge: float = 1.0
    jump: float = 0.2

    def __post_init__(self) -> None:
        validate.integer(self.size, "size", 16, 4096)
        if not 0.5 <= self.edge <= self.size / 16:
            raise ValueError(f"edge must lie in [0.5, size / 16] = [0.5, {self.size / 16:g}] pixels, got {self.edge}")
        if not 0 < self.jump < 1:
            raise ValueError(f"jump must lie in (0, 1), got {self.jump}")

    @property
    def dimension(self) -> int:
        """Dimension of the manifold."""
        return 5

    @property
    def optimal_slope(self) -> float:
        """PSNR slope of the optimal denoiser on a manifold, at small noise."""
        return 1.0

    def sample(
        self, n: int, seed: int = 0, start: int = 0, dtype: torch.dtype = torch.float32
    ) -> Float[Tensor, "n 1 size size"]:
        """Images start .. start + n - 1, shape (n, 1, size, size)."""
        parameters = self._parameters(n, seed, start, dtype)
        inside, _, _ = self._profile(parameters)
        return _paint(parameters, inside)

    def scene(self, n: int, seed: int = 0, start: int = 0, dtype: torch.dtype = torch.float32) -> DisksScene:
        """Images with their parameters and orthonormal tangent spaces."""
        parameters = self._parameters(n, seed, start, dtype)
        inside, slope, (down, right) = self._profile(parameters)
        contrast = (parameters[:, 3] - parameters[:, 4])[:, None, None]
        derivatives = torch.stack(
            [contrast * slope * down, contrast * slope * right, contrast * slope, inside, 1 - inside], dim=1
        )
        q, _ = torch.linalg.qr(derivatives.flatten(2).mT)
        return DisksScene(_paint(parameters, inside), parameters, q.mT.contiguous())

    def _parameters(self, n: int, seed: int, start: int, dtype: torch.dtype) -> Float[Tensor, "n 5"]:
        validate.integer(n, "n", 1)
        u = uniforms(n, 6, seed=seed, start=start, component=Component.PARAMETERS, dtype=dtype)
        radius = self.size * (0.1 + 0.25 * u[:, 0])
        margin = radius + 3 * self.edge
        row = margin + (self.size - 2 * margin) * u[:, 1]
        column = margin + (self.size - 2 * margin) * u[:, 2]
        # uniform on the part of the unit square where the intensities differ by at least `jump`
        gap = self.jump + (1 - self.jump) * (1 - torch.sqrt(1 - u[:, 3]))
        low = (1 - gap) * u[:, 4]
        inside = torch.where(u[:, 5] < 0.5, low, low + gap)
        outside = torch.where(u[:, 5] < 0.5, low + gap, low)
        return torch.stack([row, column, radius, inside, outside], dim=1)

    def _profile(self, parameters: Tensor) -> tuple[Tensor, Tensor, tuple[Tensor, Tensor]]:
        """Phi((r - rho) / w), its derivative by r, and the direction cosines from the centre."""
        centre = torch.arange(self.size, dtype=parameters.dtype) + 0.5
        down = centre[None, :, None] - parameters[:, 0, None, None]
        right = centre[None, None, :] - parameters[:, 1, None, None]
        rho = torch.hypot(down, right)
        t = (parameters[:, 2, None, None] - rho) / self.edge
        slope = torch.exp(-(t**2) / 2) / (math.sqrt(2 * math.pi) * self.edge)
        away = rho.clamp(min=1e-6)
        return torch.special.ndtr(t), slope, (down / away, right / away)


def _paint(parameters: Tensor, inside: Tensor) -> Tensor:
    a, b = parameters[:, 3, None, None], parameters[:, 4, None, None]
    return (b + (a - b) * inside)[:, None]
