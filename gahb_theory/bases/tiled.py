"""Bases of small squares: block cosines, lapped cosines, and principal components of patches or of rows and columns.

block DCT       cosines in each of the s x s squares (Ahmed, Natarajan and Rao 1974): jumps between squares
lapped          w(i) sqrt(2/s) cos(pi/s (i + 1/2 + s/2)(k + 1/2)),  i = 0 .. 2s - 1,  w(i) = sin(pi (i + 1/2) / 2s):
twice as long, with half overlap, and orthonormal all the same (Princen and Bradley 1987, Malvar 1990)
patch PCA       the eigenvectors of the covariance of the squares of a set of images, in each square
separable PCA   products of the eigenvectors of the covariance of columns and of that of rows
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
from gahb_theory.precision import without_autocast

__all__ = ["BlockDCT", "LappedTransform", "PatchPCA", "SeparablePCA"]

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


@dataclass(frozen=True)
class LappedTransform(Basis):
    """Local cosines that overlap by half, continued periodically; the layout is that of `BlockDCT`.

    Parameters
    ----------
    size
        Distance s of the windows, even; both sides of the image are multiples of s, and at least 2 s.

    References
    ----------
    J. Princen, A. Bradley, Analysis/synthesis filter bank design based on time domain aliasing cancellation, IEEE Trans.
    Acoustics, Speech and Signal Processing, 1986.
    H. S. Malvar, Lapped transforms for efficient transform/subband coding, IEEE Trans. ASSP, 1990.

    Examples
    --------
    >>> import torch
    >>> x = torch.rand(1, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    >>> basis = LappedTransform(4)
    >>> bool(torch.allclose(basis.synthesis(basis.analysis(x)), x, atol=1e-5))
    True
    """

    size: int = 8

    def __post_init__(self) -> None:
        object.__setattr__(self, "size", validate.integer(self.size, "size", 2, LARGEST_SIZE))
        if self.size % 2:
            raise ValueError(f"size must be even, got {self.size}")

    def analysis(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n k"]:
        """Coefficients of the local cosines, shape (batch, channels * height * width)."""
        validate.images(x, "x")
        rows, columns = self._lines(x)
        return (rows @ x @ columns.mT).flatten(1)

    def synthesis(self, c: Float[Tensor, "n k"], shape: Sequence[int] | None = None) -> Float[Tensor, "n c h w"]:
        """Images sum_k c_k e_k; `shape` = (channels, height, width), square and grey if None."""
        layout = _layout(c, shape)
        rows, columns = self._lines(layout)
        return rows.mT @ layout @ columns

    def _lines(self, x: Tensor) -> tuple[Tensor, Tensor]:
        if min(_divisible(x, self.size).shape[-2:]) < 2 * self.size:
            raise ValueError(f"both sides must be at least 2 * size = {2 * self.size}, got {tuple(x.shape[-2:])}")
        rows, columns = (_lapped_matrix(side, self.size, x.dtype, x.device) for side in x.shape[-2:])
        return rows, columns


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
        _check_square(self.atoms, "atoms")
        if self.size**2 != len(self.atoms):
            raise ValueError(f"atoms must have shape (s^2, s^2) for squares of side s, got {tuple(self.atoms.shape)}")
        check_variances(self.variances, len(self.atoms))

    @classmethod
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


@dataclass(frozen=True, eq=False)
class SeparablePCA(Basis):
    """Products of principal components along the two axes; build it with `SeparablePCA.fit`.

    It needs far fewer images than `PCA`: two covariances of the order of a side instead of one of the order of the
    number of pixels.

    Parameters
    ----------
    rows, columns
        Orthonormal rows, shapes (height, height) and (width, width): coefficient (k1, k2) belongs to the product of row
        k1 of the first, along the height, with row k2 of the second, along the width.
    """

    rows: Float[Tensor, "h h"]
    columns: Float[Tensor, "w w"]

    def __post_init__(self) -> None:
        _check_square(self.rows, "rows")
        _check_square(self.columns, "columns")

    @classmethod
    def fit(cls, images: Float[Tensor, "n c h w"]) -> "SeparablePCA":
        """Principal components of all columns and of all rows of the images, around their means.

        Examples
        --------
        >>> import torch
        >>> images = torch.rand(5, 1, 4, 6, generator=torch.Generator().manual_seed(0))
        >>> tuple(SeparablePCA.fit(images).analysis(images).shape)
        (5, 24)
        """
        validate.images(images)
        x = images.detach()
        _, rows = _principal(x.transpose(2, 3).reshape(-1, x.shape[2]))
        _, columns = _principal(x.reshape(-1, x.shape[3]))
        return cls(rows.to(images), columns.to(images))

    def analysis(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n k"]:
        """Coefficients <x, e_k>, shape (batch, channels * height * width); the mean is not subtracted."""
        self._check(validate.images(x, "x"))
        return (self.rows.to(x) @ x @ self.columns.to(x).mT).flatten(1)

    def synthesis(self, c: Float[Tensor, "n k"], shape: Sequence[int] | None = None) -> Float[Tensor, "n c h w"]:
        """Images sum_k c_k e_k; `shape` = (channels, height, width), one channel of the fitted size if None."""
        layout = _layout(c, (1, len(self.rows), len(self.columns)) if shape is None else shape)
        self._check(layout)
        return self.rows.to(c).mT @ layout @ self.columns.to(c)

    def _check(self, x: Tensor) -> None:
        if tuple(x.shape[-2:]) != (len(self.rows), len(self.columns)):
            raise ValueError(
                f"this basis was fitted to images of {len(self.rows)} x {len(self.columns)} pixels, "
                f"got images of {x.shape[-2]} x {x.shape[-1]}"
            )


def _check_square(matrix: Tensor, name: str) -> None:
    """Refuse what is no orthogonal matrix."""
    if validate.coefficients(matrix, name=name).shape[0] != matrix.shape[1]:
        raise ValueError(f"{name} must be a square matrix, got shape {tuple(matrix.shape)}")
    without_autocast(check_orthonormal)(matrix, name)


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


@lru_cache(maxsize=64)
def _lapped_matrix(side: int, size: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """The orthogonal matrix of a periodic line: row s j + k is cosine k of window j."""
    with torch.inference_mode(False):
        i = torch.arange(2 * size, dtype=torch.float64, device="cpu")
        k = torch.arange(size, dtype=torch.float64, device="cpu")[:, None]
        window = torch.sin(torch.pi * (i + 0.5) / (2 * size))
        waves = window * math.sqrt(2 / size) * torch.cos(torch.pi / size * (i + 0.5 + size / 2) * (k + 0.5))
        first = torch.nn.functional.pad(waves, (0, side - 2 * size))
        return torch.cat([first.roll(size * j, dims=1) for j in range(side // size)]).to(dtype).to(device)
