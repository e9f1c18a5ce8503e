"""Bases that are a matrix of atoms: drawn at random, tangent to a manifold, or given by a covariance.

random        uniformly distributed over all orthonormal bases: Q of Z = Q R, Z Gaussian, R with a positive diagonal
(Stewart 1980). The null of every comparison: it knows nothing.
tangent       the k tangent directions of a manifold at an image first, then any completion. For noise well below the
radius of curvature the optimal denoiser keeps the first k and nothing else, with risk k sigma^2
(Kadkhodaie, Guth, Simoncelli, Mallat, ICLR 2024, section 3.2).
conditional   the eigenvectors of the covariance of images given their contour. Where b_1 and b_2 are fields of
covariance C_1 and C_2 with means of covariance V, and m the coverage, x = m b_1 + (1 - m) b_2 has

Cov = m m^T o C_1 + (1 - m)(1 - m)^T o C_2 + sum_ij V_ij m_i m_j^T,    m_1 = m,  m_2 = 1 - m

(o the product entry by entry). No linear denoiser that knows the contour does better than the
gains s / (s + sigma^2) in this basis, and no denoiser at all if the fields and the means are Gaussian (Wiener 1949).
It is no bound on denoisers that are not linear otherwise, nor on those for images of other distributions.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from gahb_theory import validate
from gahb_theory.bases.base import MatrixBasis, check_orthonormal
from gahb_theory.bases.eigen import canonical_sign
from gahb_theory.precision import full_precision, takes_arrays
from gahb_theory.randomness import Component, normals

__all__ = ["ConditionalKLT", "DenseBasis", "RandomBasis", "Tangent", "check_variances"]

LARGEST_MATRIX = 2**30


@dataclass(frozen=True, eq=False, repr=False)
class DenseBasis(MatrixBasis):
    """Any orthonormal set of images, given as a matrix.

    Parameters
    ----------
    atoms
        Orthonormal rows, shape (k, d).
    image_shape
        (channels, height, width) of the atoms, d numbers in all.

    See Also
    --------
    gahb_theory.Basis, gahb_theory.compare

    Examples
    --------
    >>> import torch
    >>> basis = DenseBasis(torch.eye(4)[:2], (1, 2, 2))
    >>> basis.analysis(torch.arange(4.0).reshape(1, 1, 2, 2))
    tensor([[0., 1.]])
    """

    atoms: Float[Tensor, "k d"]
    image_shape: tuple[int, int, int]

    def __post_init__(self) -> None:
        self._check_shape()
        full_precision(check_orthonormal)(self.atoms)


@dataclass(frozen=True, eq=False, repr=False)
class RandomBasis(DenseBasis):
    """A basis drawn uniformly from all orthonormal bases; build it with `RandomBasis.draw`."""

    @classmethod
    def draw(cls, shape: Sequence[int], components: int | None = None, *, seed: int = 0) -> "RandomBasis":
        """Draw a basis of images of the given (channels, height, width), or k = `components` of its atoms.

        The result is in float32 and a function of (shape, components, seed) alone.

        Examples
        --------
        >>> import torch
        >>> basis = RandomBasis.draw((1, 4, 4), components=3)
        >>> bool(torch.allclose(basis.atoms @ basis.atoms.mT, torch.eye(3), atol=1e-6))
        True
        """
        dimension = _volume(shape)
        count = dimension if components is None else validate.integer(components, "components", 1, dimension)
        _matrix(count, dimension)
        seed = validate.seed(seed)
        z = normals(count, dimension, seed=seed, component=Component.RANDOM_BASIS, dtype=torch.float64)
        q, r = torch.linalg.qr(z.mT)
        atoms = (q * torch.where(r.diagonal() < 0, -1.0, 1.0)).mT
        return cls(atoms.contiguous().float(), validate.square_shape(dimension, shape))


@dataclass(frozen=True, eq=False, repr=False)
class Tangent(DenseBasis):
    """Tangent directions of a manifold of images at one image, completed to a basis; build it with `Tangent.complete`.

    Parameters
    ----------
    atoms, image_shape
        As for `DenseBasis`.
    dimension
        Number of tangent directions; they are the first atoms.
    """

    dimension: int

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "dimension", validate.integer(self.dimension, "dimension", 1, len(self.atoms)))

    @classmethod
    @takes_arrays
    def complete(cls, tangent: Float[Tensor, "k d"], shape: Sequence[int]) -> "Tangent":
        """Complete k linearly independent directions to a basis.

        Parameters
        ----------
        tangent
            Directions as rows, shape (k, d), such as one entry of `Disks().scene(...).tangent`.
        shape
            (channels, height, width) of the images.

        Examples
        --------
        >>> from gahb_theory.images import Disks
        >>> scene = Disks(size=16).scene(1)
        >>> basis = Tangent.complete(scene.tangent[0], (1, 16, 16))
        >>> basis.dimension, tuple(basis.atoms.shape)
        (5, (256, 256))
        """
        dimension = _volume(shape)
        count = validate.coefficients(tangent, dimension, "tangent").shape[0]
        _matrix(dimension, dimension)
        q, r = torch.linalg.qr(tangent.detach().cpu().double().mT, mode="complete")
        diagonal = r.diagonal()[:count].abs()
        if count > tangent.shape[1] or float(diagonal.min()) <= 1e-9 * float(diagonal.max()):
            raise ValueError(f"the {count} directions of tangent must be linearly independent")
        signs = torch.ones_like(q[0])
        signs[:count] = torch.where(r.diagonal()[:count] < 0, -1.0, 1.0)
        atoms = (q * signs).mT.to(tangent.dtype).to(tangent.device).contiguous()
        return cls(atoms, validate.square_shape(tangent.shape[1], shape), count)


@dataclass(frozen=True, eq=False, repr=False)
class ConditionalKLT(DenseBasis):
    """Eigenvectors of a covariance that is known, such as that of images given their contour.

    Build it with `from_covariance` or `given_contour`. Atoms have the sign that makes their largest entry positive.

    Parameters
    ----------
    atoms, image_shape
        As for `DenseBasis`, in the order of `variances`.
    variances
        Eigenvalues of the covariance, shape (k,), descending: the gains of the best linear denoiser are
        s / (s + sigma^2), and `gaussian_mse(variances, sigma)` is its risk.
    """

    variances: Float[Tensor, " k"]

    def __post_init__(self) -> None:
        super().__post_init__()
        check_variances(self.variances, len(self.atoms))

    @classmethod
    @takes_arrays
    def from_covariance(
        cls,
        covariance: Float[Tensor, "d d"] | Callable[[Float[Tensor, "m d"]], Float[Tensor, "m d"]],
        shape: Sequence[int],
        components: int | None = None,
    ) -> "ConditionalKLT":
        """Diagonalise a covariance, in float64.

        Parameters
        ----------
        covariance
            A symmetric matrix, shape (d, d), or a function that multiplies rows, shape (m, d), by it; it is called with
            float64 rows.
        shape
            (channels, height, width) of the images, d numbers in all.
        components
            Number of eigenvectors to keep; all if None.

        Examples
        --------
        >>> import torch
        >>> basis = ConditionalKLT.from_covariance(torch.diag(torch.tensor([1.0, 3.0])), (1, 1, 2))
        >>> basis.variances, basis.atoms
        (tensor([3., 1.]), tensor([[0., 1.],
                [1., 0.]]))
        """
        dimension = _volume(shape)
        _matrix(dimension, dimension)
        if isinstance(covariance, Tensor):
            given = validate.coefficients(covariance, name="covariance").detach()
            dtype = given.dtype
        elif callable(covariance):
            rows = torch.eye(dimension, dtype=torch.float64, device="cpu")
            given = validate.coefficients(covariance(rows), name="what covariance returned").detach()
            dtype = torch.float32
        else:
            raise TypeError(f"covariance must be a tensor (d, d) or a function, got {type(covariance).__name__}")
        if given.shape != (dimension, dimension):
            raise ValueError(f"covariance must have shape ({dimension}, {dimension}), got {tuple(given.shape)}")
        matrix = given.cpu().double()
        if float((matrix - matrix.mT).abs().max()) > 1e-5 * float(matrix.abs().max()):
            raise ValueError(
                "covariance must be symmetric; use (covariance + covariance.T) / 2 if it is so up to rounding"
            )
        count = dimension if components is None else validate.integer(components, "components", 1, dimension)
        values, vectors = torch.linalg.eigh((matrix + matrix.mT) / 2)
        if float(values[0]) < -1e-5 * float(values[-1].abs()):
            raise ValueError(f"covariance must have no negative eigenvalue, got {float(values[0]):g}")
        atoms = vectors.mT.flip(0)[:count]
        atoms = atoms * canonical_sign(atoms)[:, None]
        variances = values.flip(0)[:count].clamp(min=0)
        atoms, variances = (result.to(dtype).to(given.device) for result in (atoms, variances))
        return cls(atoms, validate.square_shape(dimension, shape), variances)

    @classmethod
    @takes_arrays
    def given_contour(
        cls,
        coverage: Float[Tensor, "1 1 h w"],
        background: Float[Tensor, "d d"],
        means: Float[Tensor, "2 2"],
        other_background: Float[Tensor, "d d"] | None = None,
        components: int | None = None,
    ) -> "ConditionalKLT":
        """Diagonalise the covariance of two regions with known contour.

        Parameters
        ----------
        coverage
            Part m of each pixel that belongs to the first region, shape (1, 1, height, width).
        background
            Covariance C_1 of the field of the first region around its mean, shape (d, d).
        means
            Covariance V of the two means, shape (2, 2), which are independent of the fields.
        other_background
            Covariance C_2 of the second region; that of the first if None.
        components
            Number of eigenvectors to keep; all if None.

        Examples
        --------
        >>> import torch
        >>> m = torch.tensor([[[[1.0, 1.0], [0.0, 0.0]]]])
        >>> basis = ConditionalKLT.given_contour(m, 0.01 * torch.eye(4), torch.eye(2))
        >>> basis.variances.round(decimals=3)
        tensor([2.0100, 2.0100, 0.0100, 0.0100])
        """
        validate.one_image(coverage, "coverage")
        d = coverage.numel()
        second = background if other_background is None else other_background
        for name, matrix, size in (("background", background, d), ("other_background", second, d), ("means", means, 2)):
            if tuple(validate.coefficients(matrix, name=name).shape) != (size, size):
                raise ValueError(f"{name} must have shape ({size}, {size}), got {tuple(matrix.shape)}")
        inside = coverage.detach().flatten()
        parts = torch.stack([inside, 1 - inside])
        covariance = parts.mT @ means.to(parts) @ parts
        for part, field in zip(parts, (background, second), strict=True):
            covariance = covariance + torch.outer(part, part) * field.to(parts)
        return cls.from_covariance(covariance, tuple(coverage.shape[1:]), components)


def check_variances(variances: Float[Tensor, " k"], count: int) -> None:
    """Refuse variances that are not one finite number of at least 0 for each of `count` atoms."""
    if not isinstance(variances, Tensor):
        raise TypeError(f"variances must be a torch tensor of shape ({count},), got {type(variances).__name__}")
    if variances.shape != (count,):
        raise ValueError(
            f"variances must hold one number for each of the {count} atoms, got shape {tuple(variances.shape)}"
        )
    validate.coefficients(variances[None], name="variances")
    if bool((variances < 0).any()):
        raise ValueError(
            f"variances must not be below 0, got {float(variances.detach().min()):g}; small negative eigenvalues are "
            "rounding, use variances.clamp(min=0)"
        )


def _volume(shape: Sequence[int]) -> int:
    return math.prod(validate.sizes(shape, 3))


def _matrix(rows: int, columns: int) -> None:
    if rows * columns > LARGEST_MATRIX:
        raise ValueError(
            f"shape and components would make a matrix of {rows} x {columns} numbers, and at most {LARGEST_MATRIX} are "
            "allowed; take smaller images, or fewer components"
        )
