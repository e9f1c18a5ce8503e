"""Exact covariances of image classes, as operators and as matrices.

A stationary field cut out of a torus has Cov(u, u') = C(u - u'), C the Fourier transform of its power spectrum. An
image made of regions with weights m_r, sum_r m_r = 1, and independent fields of the same distribution has, given the regions,

    Cov[x | m] = sum_r diag(m_r) C diag(m_r) + sum_{r,q} M_{rq} m_r m_q^T ,

where M is the covariance of the means of the regions. For one contour these are m m^T o C + (1 - m)(1 - m)^T o C and
the variance of the means, o the product entry by entry.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from gahb_theory import validate
from gahb_theory.stored_results import Result

__all__ = ["RegionCovariance", "StationaryCovariance"]

LARGEST_MATRIX = 96


@dataclass(frozen=True, eq=False, repr=False)
class StationaryCovariance(Result):
    """Covariance of a stationary field on a corner of a torus.

    Parameters
    ----------
    power
        Variance of each frequency on the FFT lattice of the torus; their sum is the variance of a pixel.
    size
        Side of the image in pixels, at most that of the torus.
    """

    batched: ClassVar[bool] = False
    power: Float[Tensor, "side side"]
    size: int

    def apply(self, v: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """Product of the covariance with each image, by FFT."""
        _check(v, self.size)
        side = self.power.shape[0]
        spectrum = torch.fft.fft2(v, s=(side, side)) * self.power.to(v)
        return (torch.fft.ifft2(spectrum).real * side**2)[..., : self.size, : self.size]

    def correlation(self) -> Float[Tensor, "size size"]:
        """C at the offsets (rows, columns) from (0, 0) on; it is symmetric in each."""
        return torch.fft.fft2(self.power).real[: self.size, : self.size]

    def matrix(self) -> Float[Tensor, "d d"]:
        """The whole matrix, pixels in row-major order; for sides up to 96."""
        _small(self.size)
        table = torch.fft.fft2(self.power).real
        pixel = torch.arange(self.size, device=table.device)
        offset = pixel[:, None] - pixel[None, :]
        blocks = table[offset[:, None, :, None], offset[None, :, None, :]]
        return blocks.reshape(self.size**2, self.size**2)


@dataclass(frozen=True, eq=False, repr=False)
class RegionCovariance(Result):
    """Covariance of each image of a batch, given its regions.

    Parameters
    ----------
    weights
        Share of each region in each pixel; they sum to 1.
    field
        Covariance of the field of every region.
    means
        Covariance of the means of the regions.
    """

    weights: Float[Tensor, "n r h w"]
    field: StationaryCovariance
    means: Float[Tensor, "n r r"]

    def apply(self, v: Float[Tensor, "n 1 h w"]) -> Float[Tensor, "n 1 h w"]:
        """Product of the covariance of image i with v[i]."""
        _check(v, self.field.size)
        w = self.weights.to(v)
        within = (w * self.field.apply(w * v)).sum(dim=1, keepdim=True)
        with torch.autocast(v.device.type, enabled=False):
            inner = torch.einsum("nrij,nij->nr", w, v[:, 0])
            between = torch.einsum("nrq,nq,nrij->nij", self.means.to(v), inner, w)
        return within + between[:, None]

    def matrix(self) -> Float[Tensor, "n d d"]:
        """The whole matrices, pixels in row-major order; for sides up to 96."""
        field, w = self.field.matrix(), self.weights.flatten(2).to(self.field.power)
        between = torch.einsum("nri,nrq,nqj->nij", w, self.means.to(w), w)
        return between + sum(w[:, r, :, None] * field * w[:, r, None, :] for r in range(w.shape[1]))


def _small(size: int) -> None:
    if size > LARGEST_MATRIX:
        raise ValueError(
            f"the matrix of a side of {size} pixels would hold {size**4:,} numbers; use apply, or a side up to "
            f"{LARGEST_MATRIX}"
        )


def _check(v: Tensor, size: int) -> None:
    validate.images(v, "v")
    if v.shape[2:] != (size, size):
        raise ValueError(f"v must hold images of {size} x {size} pixels, got {tuple(v.shape)}")
