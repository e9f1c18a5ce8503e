"""The image class: one of the four nouns.

An image class is a law p(x) one can sample, together with the truth about it: what theory says of its optimal denoising
(`optimal_slope`, the asymptotic slope of output against input PSNR; `dimension`, where it is a manifold) and, through
`scene`, the ground truth of each image. Image i is a pure function of (class, seed, i).
"""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = ["ImageClass", "ManifoldScene", "Scene", "orthonormal_rows", "two_intensities"]


@runtime_checkable
class Scene(Protocol):
    """Images together with the truth about them; every class adds fields of its own."""

    images: Tensor


@runtime_checkable
class ImageClass(Protocol):
    """What the library asks of an image class.

    Only `sample` is indispensable: any object that has it can be trained and tested on. `dimension` and
    `optimal_slope` are None where unknown. `gahb_theory.testing.check_image_class` tells whether an object keeps the
    promises.
    """

    def sample(self, n: int, seed: int = 0, start: int = 0) -> Float[Tensor, "n c h w"]:
        """Images start .. start + n - 1 of the stream named by `seed`, float32, intensities about [0, 1]."""
        ...


@dataclass(frozen=True)
class ManifoldScene:
    """Images of a manifold of dimension k, their parameters, and the tangent space at each."""

    images: Float[Tensor, "n c h w"]
    parameters: Float[Tensor, "n k"]
    """What they mean stands in the class."""
    tangent: Float[Tensor, "n k d"]
    """Orthonormal rows that span the derivatives of the image by its parameters."""


def orthonormal_rows(derivatives: Float[Tensor, "n k *pixels"]) -> Float[Tensor, "n k d"]:
    """Orthonormalise the derivatives of each image by its k parameters."""
    q, _ = torch.linalg.qr(derivatives.flatten(2).mT)
    return q.mT.contiguous()


def two_intensities(u: Float[Tensor, "n 3"], jump: float) -> tuple[Float[Tensor, " n"], Float[Tensor, " n"]]:
    """Two intensities, uniform on the part of the unit square where they differ by at least `jump`."""
    gap = jump + (1 - jump) * (1 - torch.sqrt(1 - u[:, 0]))
    low = (1 - gap) * u[:, 1]
    return torch.where(u[:, 2] < 0.5, low, low + gap), torch.where(u[:, 2] < 0.5, low + gap, low)
