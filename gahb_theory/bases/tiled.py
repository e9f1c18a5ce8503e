"""Bases of small squares: cosines, and principal components.

block DCT       cosines in each of the s x s squares (Ahmed, Natarajan and Rao 1974): jumps between squares
patch PCA       the eigenvectors of the covariance of the squares of a set of images, in each square
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor

from gahb_theory import validate
from gahb_theory.bases.base import Basis, check_orthonormal
from gahb_theory.bases.dense import check_variances
from gahb_theory.bases.eigen import canonical_sign
from gahb_theory.bases.fourier import DCT
from gahb_theory.bases.squares import cut, paste
from gahb_theory.precision import full_precision, takes_arrays

__all__ = ["BlockDCT", "PatchPCA"]

LARGEST_SIZE, LARGEST_PATCH = 2**14, 64
"""Of a square whose cosines are a matrix of order s, and of one whose principal components are a matrix of order s^2."""


@dataclass(frozen=True)
class BlockDCT(Basis):
    """Discrete cosines in each square of an image.

    The coefficients of a square stand in its place: coefficient (k1, k2) of square (i, j) at row s i + k1 and column
    s j + k2. Each channel is transformed on its own.

    Parameters
    ----------
    size
        Side s of the squares, which divides both sides of the image.

    References
    ----------
    N. Ahmed, T. Natarajan, K. R. Rao, Discrete cosine transform, IEEE Transactions on Computers, 1974.

    Examples
    --------
    >>> import torch
    >>> BlockDCT(2).analysis(torch.ones(1, 1, 2, 4)).round(decimals=4)
    tensor([[2., 0., 2., 0., 0., 0., 0., 0.]])
    """

    size: int = 8

    def __post_init__(self) -> None:
        object.__setattr__(self, "size", validate.integer(self.size, "size", 1, LARGEST_SIZE))

    def analysis(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n k"]:
        """Cosine coefficients of the squares, shape (batch, channels * height * width)."""
        squares = cut(_divisible(validate.images(x, "x"), self.size), self.size, self.size)
        line = _cosine_matrix(self.size, x.dtype, x.device)
        return paste(line @ squares @ line.mT).flatten(1)

    def synthesis(self, c: Float[Tensor, "n k"], shape: Sequence[int] | None = None) -> Float[Tensor, "n c h w"]:
        """Images sum_k c_k e_k; `shape` = (channels, height, width), square and grey if None."""
        layout = _layout(c, shape)
        squares = cut(_divisible(layout, self.size), self.size, self.size)
        line = _cosine_matrix(self.size, c.dtype, c.device)
        return paste(line.mT @ squares @ line)


@dataclass(frozen=True, eq=False)
class PatchPCA(Basis):
    """Principal components of the squares of a set of images, in each square; build it with `PatchPCA.fit`.

    The coefficients of a square stand in its place, row-major in the order of `variances`.

    Parameters
    ----------
    atoms
        Orthonormal rows, shape (s^2, s^2).
    variances
        Variance along each atom, shape (s^2,), descending.
    """

    atoms: Float[Tensor, "p p"]
    variances: Float[Tensor, " p"]

    def __post_init__(self) -> None:
        if validate.coefficients(self.atoms, name="atoms").shape[0] != self.atoms.shape[1]:
            raise ValueError(f"atoms must be a square matrix, got shape {tuple(self.atoms.shape)}")
        full_precision(check_orthonormal)(self.atoms, "atoms")
        if self.size**2 != len(self.atoms):
            raise ValueError(f"atoms must have shape (s^2, s^2) for squares of side s, got {tuple(self.atoms.shape)}")
        check_variances(self.variances, len(self.atoms))

    @classmethod
    @takes_arrays
    def fit(cls, images: Float[Tensor, "n c h w"], size: int = 8) -> "PatchPCA":
        """Principal components of the s x s squares of all images and channels; s divides both sides.

        Examples
        --------
        >>> import torch
        >>> images = torch.rand(20, 1, 8, 8, generator=torch.Generator().manual_seed(0))
        >>> tuple(PatchPCA.fit(images, size=4).atoms.shape)
        (16, 16)
        """
        validate.images(images)
        size = validate.integer(size, "size", 1, LARGEST_PATCH)
        squares = cut(_divisible(images.detach(), size), size, size).reshape(-1, size * size)
        variances, atoms = _principal(squares)
        return cls(atoms.to(images), variances.to(images))

    @property
    def size(self) -> int:
        """Side of the squares."""
        return math.isqrt(self.atoms.shape[0])

    def analysis(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n k"]:
        """Coefficients <x, e_k>, shape (batch, channels * height * width); the mean is not subtracted."""
        return self._turn(validate.images(x, "x"), self.atoms.to(x).mT).flatten(1)

    def synthesis(self, c: Float[Tensor, "n k"], shape: Sequence[int] | None = None) -> Float[Tensor, "n c h w"]:
        """Images sum_k c_k e_k; `shape` = (channels, height, width), square and grey if None."""
        return self._turn(_layout(c, shape), self.atoms.to(c))

    def _turn(self, x: Tensor, matrix: Tensor) -> Tensor:
        squares = cut(_divisible(x, self.size), self.size, self.size)
        return paste((squares.flatten(-2) @ matrix).reshape(squares.shape))


def _principal(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Variances and principal components of vectors, in float64 on the CPU."""
    if len(rows) < 2:
        raise ValueError(f"principal components need at least 2 vectors, got {len(rows)}; add images")
    centred = rows.cpu().double() - rows.cpu().double().mean(dim=0)
    values, vectors = torch.linalg.eigh(centred.mT @ centred / (len(rows) - 1))
    atoms = vectors.mT.flip(0)
    return values.flip(0).clamp(min=0), atoms * canonical_sign(atoms)[:, None]


def _layout(c: Tensor, shape: Sequence[int] | None) -> Tensor:
    validate.coefficients(c)
    return c.reshape(-1, *validate.square_shape(c.shape[1], shape))


def _divisible(x: Tensor, size: int) -> Tensor:
    if x.shape[-2] % size or x.shape[-1] % size:
        raise ValueError(
            f"both sides of the images must be multiples of {size}, got {x.shape[-2]} x {x.shape[-1]}; "
            "crop or pad them, or choose another size"
        )
    return x


@lru_cache(maxsize=64)
def _cosine_matrix(size: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    with torch.inference_mode(False):  # a cached tensor must serve autograd later on
        unit = torch.eye(size, dtype=dtype, device=device)[:, None, None, :]
        return DCT().analysis(unit).mT.contiguous()
