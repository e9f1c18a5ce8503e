"""The largest eigenpairs of a symmetric operator that is known by its products alone.

Implicitly restarted Lanczos iteration (Lehoucq, Sorensen and Yang, ARPACK Users' Guide, 1998), followed by a
Rayleigh-Ritz step: with the found vectors as the columns of V,

    V^T S V = W diag(theta) W^T,        pairs (theta_k, V w_k),        residuals ||S V w_k - theta_k V w_k|| .

A Krylov space holds one vector of each eigenspace, so that copies of a repeated eigenvalue can be missed although every
residual is small. The answer is therefore checked on the complement: if the largest eigenvalue of S there is above the
smallest one that was kept, what is missing is added (deflation; Parlett, The Symmetric Eigenvalue Problem, 1980,
chapter 13).
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

__all__ = ["RitzPairs", "top_eigenpairs"]

LOOK = 1e-3
"""Precision of the first look at the complement, in units of ||S||; the eigenvalue comes out with about its square."""
ALLOWED = 10.0
"""Eigenvalues that differ by less, in units of tol ||S||, count as equal."""
POWER_STEPS = 6
"""Steps of the power iteration that measures ||S||."""

Apply = Callable[[Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class RitzPairs:
    """Approximate eigenpairs in double precision on the CPU.

    Attributes
    ----------
    values
        Shape (k,), descending.
    vectors
        Orthonormal columns, shape (d, k).
    residuals
        Shape (k,).
    scale
        ||S||, or a little less.
    complete
        False if the iteration stopped early, or could not tell whether larger eigenvalues exist.
    products
        Number of products with S.
    """

    values: Tensor
    vectors: Tensor
    residuals: Tensor
    scale: float
    complete: bool
    products: int


def top_eigenpairs(apply: Apply, dimension: int, k: int, *, tol: float, max_iterations: int | None) -> RitzPairs:
    """The k largest eigenvalues of a symmetric S and their eigenvectors, the same at every call.

    Parameters
    ----------
    apply
        S v for a block of columns, shape (d, m), double precision on the CPU.
    dimension, k
        d and the number of pairs, k at most d / 2.
    tol
        The iteration stops at residuals of about 2 tol ||S||. An eigenvalue counts as missed if it is larger than the
        smallest one kept by more than 10 tol ||S||.
    max_iterations
        Number of restarts after which it gives up; 10 d if None. Vectors that are missing then are filled up with
        random ones, which their residuals show.
    """
    scale = _norm(apply, dimension)
    vectors, count, complete = _lanczos(apply, _start(dimension, 0), k, tol, scale, max_iterations)
    images = apply(vectors)
    products = POWER_STEPS + count + k
    vectors, images, values = _rayleigh_ritz(vectors, images)
    asked, precision, attempt = 1, max(LOOK, tol), 1
    while complete:
        deflated = _deflated(apply, vectors, -2 * scale)
        start = _outside(vectors, _start(dimension, attempt)[:, None])[:, 0]
        extra, count, complete = _lanczos(deflated, start, asked, precision, scale, None)
        extra = torch.linalg.qr(_outside(vectors, extra)).Q
        extra, extra_images, extra_values = _rayleigh_ritz(extra, apply(extra))
        products += count + asked
        if float(extra_values[0]) <= float(values[-1]) + ALLOWED * tol * scale:
            break
        if precision == tol:
            vectors, images, values = _rayleigh_ritz(
                torch.cat([vectors, extra], dim=1), torch.cat([images, extra_images], dim=1)
            )
            vectors, images, values = vectors[:, :k], images[:, :k], values[:k]
        asked, precision, attempt = min(2 * asked, k), tol, attempt + 1
    residuals = torch.linalg.vector_norm(images - vectors * values, dim=0)
    scale = max(scale, float(values.abs().max()))
    return RitzPairs(values, vectors, residuals, scale, complete, products)


def _lanczos(
    apply: Apply, start: Tensor, k: int, tol: float, scale: float, max_iterations: int | None
) -> tuple[Tensor, int, bool]:
    """Orthonormal vectors (d, k), the number of products, and whether all of the vectors converged.

    ARPACK stops at residuals relative to each eigenvalue, which rounding in the products keeps it from reaching near 0.
    It is given S + 2 ||S|| Id instead, whose eigenvalues are all of the size of ||S||; its Krylov spaces are the same.
    """
    import numpy as np
    from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh

    products = 0

    def product(v: np.ndarray) -> np.ndarray:
        nonlocal products
        products += 1
        column = torch.tensor(v).reshape(-1, 1)
        image = (apply(column) + 2 * scale * column)[:, 0]
        return image.numpy()

    d = len(start)
    if scale == 0:  # any vectors will do
        return torch.linalg.qr(torch.stack([_start(d, i) for i in range(k)], dim=1)).Q, products, True
    operator = LinearOperator((d, d), matvec=product, dtype=np.float64)
    # Random restarts of scipy 1.17 and later; older ones have no such argument, and a fixed sequence of their own.
    seeded: dict[str, Any] = {"rng": np.random.default_rng(0)} if "rng" in inspect.signature(eigsh).parameters else {}
    try:
        _, found = eigsh(operator, k, which="LA", v0=start.numpy(), tol=tol, maxiter=max_iterations, **seeded)
    except ArpackNoConvergence as stopped:
        partial = torch.from_numpy(stopped.eigenvectors).reshape(d, -1)
        random = torch.stack([_start(d, i) for i in range(partial.shape[1], k)], dim=1)
        return torch.linalg.qr(torch.cat([partial, random], dim=1)).Q, products, False
    return torch.from_numpy(found), products, True


def _rayleigh_ritz(vectors: Tensor, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Rotate orthonormal `vectors` V and `images` S V to the Ritz vectors; returns them and the values, descending."""
    small = vectors.mT @ images
    values, rotation = torch.linalg.eigh((small + small.mT) / 2)
    values, rotation = values.flip(0), rotation.flip(1)
    return vectors @ rotation, images @ rotation, values


def _outside(vectors: Tensor, x: Tensor) -> Tensor:
    """The part of the columns of `x` that is orthogonal to `vectors`, projected twice against rounding."""
    for _ in range(2):
        x = x - vectors @ (vectors.mT @ x)
    return x


def _deflated(apply: Apply, vectors: Tensor, floor: float) -> Apply:
    """S on the complement of `vectors`, which themselves get the eigenvalue `floor`, out of the way."""

    def product(x: Tensor) -> Tensor:
        inside = vectors @ (vectors.mT @ x)
        return _outside(vectors, apply(x - inside)) + floor * inside

    return product


def _norm(apply: Apply, dimension: int) -> float:
    """||S|| from below, by a few steps of the power iteration."""
    x = _start(dimension, 0)[:, None]
    for _ in range(POWER_STEPS):
        x = apply(x / x.norm().clamp(min=torch.finfo(x.dtype).tiny))
    return float(x.norm())


def _start(dimension: int, seed: int) -> Tensor:
    return torch.randn(dimension, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
