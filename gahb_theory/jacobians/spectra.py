"""Eigenvalues and singular values of a denoiser's Jacobian.

The eigenvectors of the symmetric part,

    S = (J + J^T) / 2 = sum_k lambda_k e_k e_k^T,        lambda_1 >= lambda_2 >= ...,

are the basis in which the denoiser shrinks (Kadkhodaie, Guth, Simoncelli and Mallat, ICLR 2024, equation 6). They do
not see the antisymmetric part, which is not small for trained networks: the result states its size, and the singular
vectors of J see both (Mohan, Kadkhodaie, Simoncelli and Fernandez-Granda, ICLR 2020).

All pairs, or more than an eighth of them, come from the dense matrix, d products; fewer by Lanczos iteration on
products with J and J^T, where J is never formed. Every residual is measured.
"""

import math
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from gahb_theory import validate
from gahb_theory.bases.eigen import Eigenbasis, canonical_sign
from gahb_theory.jacobians.lanczos import RitzPairs, top_eigenpairs
from gahb_theory.jacobians.linear_operator import LinearOperator, check_operator
from gahb_theory.precision import full_precision
from gahb_theory.scalars import kind_of
from gahb_theory.stored_results import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["SVD", "eigenbasis", "svd"]

ALLOWED = 10.0
"""Largest residual of a converged pair, in units of the `tol` that was asked for."""
DEVICE_BLOCK = 16
"""Directions in one product on an accelerator, which one direction does not fill."""
SMALL = 256
"""Up to this dimension the dense matrix costs no more than a Lanczos iteration."""


@dataclass(frozen=True, eq=False, repr=False)
class SVD(Result):
    """The k largest singular values of a Jacobian and their vectors, J = sum_k values[k] left[k] right[k]^T.

    Attributes
    ----------
    left
        Orthonormal rows u_k, shape (k, d_out).
    values
        Singular values s_k, shape (k,), descending.
    right
        Orthonormal rows v_k, shape (k, d_in); in each, the first of the largest entries in magnitude is positive.
    residuals
        The larger of ||J v_k - s_k u_k|| and ||J^T u_k - s_k v_k||, measured, shape (k,).
    converged
        Whether the residual is within `tolerance`, shape (k,).
    tolerance
        The largest residual allowed, in the units of the singular values.
    matvecs
        Number of products with J or J^T that were asked for.
    error
        ||sum_k s_k <y, v_k> u_k - f(y)|| / ||f(y)||: how much of the denoiser these k terms reproduce; None where J is
        no Jacobian with a known f(y).
    """

    left: Float[Tensor, "k d_out"]
    values: Float[Tensor, " k"]
    right: Float[Tensor, "k d_in"]
    residuals: Float[Tensor, " k"]
    converged: Bool[Tensor, " k"]
    tolerance: float
    matvecs: int
    error: float | None = None

    @property
    def statement(self) -> str:
        """Which matrix the values are of, and how much of f(y) the terms reproduce, in a line."""
        d = min(self.left.shape[1], self.right.shape[1])
        said = f"Singular values of J, not of its symmetric part: {len(self.values)} of {d}"
        if self.error is None:
            return f"{said}."
        ratio = f", {-20 * math.log10(self.error):.1f} dB" if self.error > 0 else ""
        return f"{said}; sum s_k <y, v_k> u_k is f(y) to {self.error:.1e}{ratio}."

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """Draw the singular values under the `statement`, and return the axes."""
        from gahb_theory.report.draw_analysis import write_above
        from gahb_theory.report.draw_results import draw_spectra

        ax = draw_spectra({"values": self.values.cpu()}, ax, "singular value")
        return write_above(self.statement, ax)


@full_precision
def eigenbasis(
    J: LinearOperator,
    k: int | None = None,
    *,
    tol: float = 1e-5,
    max_iterations: int | None = None,
    start: Eigenbasis | None = None,
    checkpoint: str | Path | None = None,
) -> Eigenbasis:
    """The k largest eigenvalues of the symmetric part of J, and their eigenvectors.

    A dense decomposition if k is None, if k is more than an eighth of the dimension d, or if d is at most 256; else
    matrix free, with results in the dtype of J but computed in double precision around the products. The result is the
    same at every call.

    Parameters
    ----------
    J
        A square Jacobian.
    k
        Number of pairs, between 1 and d; all if None.
    tol
        The Lanczos iteration stops at residuals of tol ||S||, in single precision not below 1.2e-6 ||S||. A pair
        counts as converged if its residual is at most 10 tol ||S||.
    max_iterations
        Restarts of the Lanczos iteration before it gives up; 10 d if None.
    start
        The eigenbasis at a neighbouring image or noise level, from which the iteration starts.
    checkpoint
        A file (.npz) that holds the vectors of a long iteration now and then, and from which it goes on after an
        interruption; removed when all pairs have been found.

    Returns
    -------
    An `Eigenbasis`. A pair that did not converge is marked in `converged`.

    Warns
    -----
    RuntimeWarning
        If some pair did not converge.

    Raises
    ------
    ValueError
        If J is not square, if k, tol or max_iterations is out of range, or if J is not finite.

    References
    ----------
    Kadkhodaie, Guth, Simoncelli, Mallat, ICLR 2024, section 3.1.

    Examples
    --------
    >>> import torch
    >>> from gahb_theory.jacobians import jacobian
    >>> gains = torch.linspace(0, 1, 64).reshape(1, 1, 8, 8)
    >>> E = eigenbasis(jacobian(lambda y, sigma: gains * y, torch.rand(1, 1, 8, 8), sigma=0.1), k=3)
    >>> E.eigenvalues
    tensor([1.0000, 0.9841, 0.9683])
    >>> bool(E.converged.all())
    True
    """
    check_operator(J, square="an eigenbasis needs")
    d, initial = J.shape[0], _starting(start, J)
    count = d if k is None else validate.integer(k, "k", 1, d)
    _check_settings(tol, max_iterations)
    asymmetry = None
    if _is_dense(count, d):
        matrix = _decomposable(J)
        symmetric = (matrix + matrix.mT) / 2
        values, vectors = torch.linalg.eigh(symmetric)
        scale = float(values.abs().max())
        values, vectors = values.flip(0)[:count], vectors.flip(1)[:, :count]
        residuals = torch.linalg.vector_norm(symmetric @ vectors - vectors * values, dim=0)
        asymmetry, complete, matvecs = J.asymmetry(), True, d
    else:
        pairs = top_eigenpairs(
            lambda v: _symmetric_part(J, v),
            d,
            count,
            tol=_reachable(tol, J),
            max_iterations=max_iterations,
            start=initial,
            block=1 if J.device.type == "cpu" else DEVICE_BLOCK,
            checkpoint=checkpoint,
        )
        values, vectors, residuals = pairs.values, pairs.vectors, pairs.residuals
        scale, complete, matvecs = pairs.scale, pairs.complete, 2 * pairs.products
        if J.is_symmetric:
            asymmetry, matvecs = 0.0, pairs.products
    tolerance = ALLOWED * tol * scale
    converged = residuals <= tolerance
    _warn(converged, complete)
    atoms = vectors.mT * canonical_sign(vectors.mT)[:, None]
    return Eigenbasis(
        eigenvalues=_settled(values, J),
        atoms=_settled(atoms, J),
        residuals=_settled(residuals, J),
        converged=converged.to(J.device),
        tolerance=tolerance,
        asymmetry=asymmetry,
        image_shape=J.input_shape,
        matvecs=matvecs,
    )


@full_precision
def svd(
    J: LinearOperator,
    k: int | None = None,
    *,
    tol: float = 1e-5,
    max_iterations: int | None = None,
    checkpoint: str | Path | None = None,
) -> SVD:
    """The k largest singular values of J, and their vectors.

    A dense decomposition if k is None, if k is more than an eighth of the smaller dimension, or if that is at most 256;
    else Lanczos iteration on J^T J, or on J J^T if that is smaller, and a dense decomposition of J on the subspace
    found.

    Parameters
    ----------
    J
        A Jacobian, square or not.
    k
        Number of singular values, between 1 and min(d_out, d_in); all if None.
    tol
        The Lanczos iteration stops at residuals of 0.1 tol ||J||^2 for the squared problem. Singular vectors
        count as converged if their residual is at most 10 tol ||J||.
    max_iterations
        Restarts of the Lanczos iteration before it gives up; 10 min(d_out, d_in) if None.
    checkpoint
        As in `eigenbasis`: a file (.npz) from which a long iteration goes on after an interruption.

    Returns
    -------
    An `SVD`. Vectors that did not converge are marked in `converged`.

    Warns
    -----
    RuntimeWarning
        If some vectors did not converge.

    Raises
    ------
    ValueError
        If k, tol or max_iterations is out of range, or if J is not finite.

    References
    ----------
    Mohan, Kadkhodaie, Simoncelli, Fernandez-Granda, Robust and interpretable blind image denoising via bias-free
    convolutional neural networks, ICLR 2020.

    Examples
    --------
    Minus one half of the identity has negative eigenvalues, and singular values one half:

    >>> import torch
    >>> from gahb_theory.jacobians import jacobian
    >>> U = svd(jacobian(lambda y, sigma: -y / 2, torch.rand(1, 1, 4, 4), sigma=0.1), k=2)
    >>> U.values
    tensor([0.5000, 0.5000])
    >>> bool(torch.allclose(U.left, -U.right))
    True
    """
    check_operator(J)
    smaller = min(J.shape)
    count = smaller if k is None else validate.integer(k, "k", 1, smaller)
    _check_settings(tol, max_iterations)
    if _is_dense(count, smaller):
        matrix = _decomposable(J)
        u, values, vh = torch.linalg.svd(matrix, full_matrices=False)
        left, values, right = u[:, :count], values[:count], vh[:count].mT
        forward, backward = matrix @ right, matrix.mT @ left
        complete, matvecs = True, J.shape[0]
    else:
        left, values, right, pairs = _partial_svd(J, count, tol, max_iterations, checkpoint)
        forward, backward = _matvec(J, right), _rmatvec(J, left)
        complete, matvecs = pairs.complete, 2 * pairs.products + 3 * count
    residuals = torch.maximum(
        torch.linalg.vector_norm(forward - left * values, dim=0),
        torch.linalg.vector_norm(backward - right * values, dim=0),
    )
    tolerance = ALLOWED * tol * float(values.max())
    converged = residuals <= tolerance
    _warn(converged, complete)
    signs = canonical_sign(right.mT)[:, None]
    return SVD(
        left=_settled(left.mT * signs, J),
        values=_settled(values, J),
        right=_settled(right.mT * signs, J),
        residuals=_settled(residuals, J),
        converged=converged.to(J.device),
        tolerance=tolerance,
        matvecs=matvecs,
        error=_terms_error(J, left, values, right),
    )


def _terms_error(J: LinearOperator, left: Tensor, values: Tensor, right: Tensor) -> float | None:
    """How far the sum of the terms at y is from f(y), relative to it."""
    output = getattr(J, "output", None)
    if output is None or not bool(output.any()):
        return None
    terms = left @ (values * (right.mT @ J._y.to(right).flatten()))
    output = output.to(terms).flatten()
    return float((terms - output).norm() / output.norm())


def _partial_svd(
    J: LinearOperator, k: int, tol: float, max_iterations: int | None, checkpoint: str | Path | None
) -> tuple[Tensor, Tensor, Tensor, RitzPairs]:
    """Left vectors (d_out, k), values and right vectors (d_in, k), from the eigenvectors of J^T J or of J J^T."""
    tall = J.shape[0] >= J.shape[1]
    forward, backward = (_matvec, _rmatvec) if tall else (_rmatvec, _matvec)
    pairs = top_eigenpairs(
        lambda v: backward(J, forward(J, v)),
        min(J.shape),
        k,
        tol=_reachable(tol / 10, J),
        max_iterations=max_iterations,
        block=1 if J.device.type == "cpu" else DEVICE_BLOCK,
        checkpoint=checkpoint,
    )
    images, values, rotation = torch.linalg.svd(forward(J, pairs.vectors), full_matrices=False)
    vectors = pairs.vectors @ rotation.mT
    return (images, values, vectors, pairs) if tall else (vectors, values, images, pairs)


def _is_dense(k: int, dimension: int) -> bool:
    return dimension <= SMALL or 8 * k > dimension


def _check_settings(tol: float, max_iterations: int | None) -> None:
    validate.positive(tol, "tol")
    if max_iterations is not None:
        validate.integer(max_iterations, "max_iterations", 1)


def _starting(start: Eigenbasis | None, J: LinearOperator) -> Tensor | None:
    if start is None:
        return None
    if not isinstance(start, Eigenbasis):
        raise TypeError(f"start must be an Eigenbasis, got {kind_of(start)}; J.eigenbasis(k) makes one")
    if start.atoms.shape[1] != J.shape[0]:
        raise ValueError(f"start holds atoms of {start.atoms.shape[1]} numbers, but the Jacobian has {J.shape[0]}")
    return start.atoms.cpu().double().mT


def _reachable(tol: float, J: LinearOperator) -> float:
    """`tol`, but not below what the products with J can resolve."""
    return max(tol, 10 * torch.finfo(J.dtype).eps)


def _decomposable(J: LinearOperator) -> Tensor:
    """The dense matrix where torch can decompose it: single or double precision, on the CPU if the device is MPS."""
    matrix = validate.finite(J.matrix(), "the matrix of the Jacobian")
    matrix = matrix if matrix.dtype == torch.float64 else matrix.float()
    return matrix.cpu() if matrix.device.type == "mps" else matrix


def _settled(x: Tensor, J: LinearOperator) -> Tensor:
    """A result in double precision if J is, else in single, on the device of J."""
    return x.to(torch.float64 if J.dtype == torch.float64 else torch.float32).to(J.device)


def _matvec(J: LinearOperator, v: Tensor) -> Tensor:
    return J.matvec(v.to(J.dtype).to(J.device)).cpu().double()


def _rmatvec(J: LinearOperator, u: Tensor) -> Tensor:
    return J.rmatvec(u.to(J.dtype).to(J.device)).cpu().double()


def _symmetric_part(J: LinearOperator, v: Tensor) -> Tensor:
    return _matvec(J, v) if J.is_symmetric else (_matvec(J, v) + _rmatvec(J, v)) / 2


def _warn(converged: Tensor, complete: bool) -> None:
    missing = int((~converged).sum())
    if missing or not complete:
        warnings.warn(
            f"{missing} of {len(converged)} pairs have not converged, and larger values may have been missed; look at "
            "converged and residuals, raise max_iterations or tol, or take k=None",
            RuntimeWarning,
            stacklevel=3,
        )
