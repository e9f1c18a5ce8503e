"""Decompositions of a Jacobian that is not symmetric: complex eigenvalues, the Schur form, the polar decomposition.

    J x_k = mu_k x_k,   mu_k complex,        J = Q T Q^T,   T quasi triangular,        J = U P,   P = (J^T J)^(1/2) .

The part of T off its diagonal blocks is what eigenvalues do not see: Henrici's departure from normality (1962),
sqrt(||J||^2 - sum_k |mu_k|^2), which is 0 for a symmetric J. How far eigenvalues move when J is changed by epsilon is the
pseudospectrum, { z : ||(z - J)^(-1)|| >= 1 / epsilon } (Trefethen and Embree, Spectra and Pseudospectra, 2005).

All of it is computed from the dense matrix.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from gahb_theory import validate
from gahb_theory.jacobians.linear_operator import LinearOperator, check_operator
from gahb_theory.precision import full_precision
from gahb_theory.stored_results import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Polar", "Schur", "Spectrum", "eig", "polar", "schur"]


@dataclass(frozen=True, eq=False, repr=False)
class Spectrum(Result):
    """The eigenvalues and right eigenvectors of a Jacobian.

    Attributes
    ----------
    values
        mu_k, complex, shape (d,), by descending real part.
    vectors
        x_k, rows of norm 1, shape (d, d); not orthogonal unless J is normal.
    residuals
        ||J x_k - mu_k x_k||, measured, shape (d,).
    conditions
        1 / |<w_k, x_k>| with the left eigenvector w_k of norm 1, shape (d,): a change of J by epsilon moves mu_k by about
        epsilon times this. 1 for a normal J.
    complex_mass
        Share of sum_k |mu_k|^2 that lies in eigenvalues that are not real.
    departure
        sqrt(||J||^2 - sum_k |mu_k|^2) / ||J||, in [0, 1]: 0 for a normal J.
    """

    values: Complex[Tensor, " d"]
    vectors: Complex[Tensor, "d d"]
    residuals: Float[Tensor, " d"]
    conditions: Float[Tensor, " d"]
    complex_mass: float
    departure: float

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """Draw the eigenvalues in the complex plane, and return the axes."""
        from gahb_theory.report.draw_results import draw_spectra

        return draw_spectra({"values": self.values.cpu()}, ax, "eigenvalue")


@dataclass(frozen=True, eq=False, repr=False)
class Schur(Result):
    """The real Schur decomposition J = Q T Q^T.

    Attributes
    ----------
    form
        T, quasi upper triangular: a real eigenvalue or a 2x2 block of a conjugate pair at a time, shape (d, d).
    vectors
        Orthonormal rows, the columns of Q, shape (d, d); the first j span an invariant subspace wherever no block is cut.
    residual
        ||J - Q T Q^T|| / ||J||.
    """

    form: Float[Tensor, "d d"]
    vectors: Float[Tensor, "d d"]
    residual: float

    def resolvent_norm(self, points: Complex[Tensor, " n"]) -> Float[Tensor, " n"]:
        """||(z - J)^(-1)|| at points z of the plane; the pseudospectrum of level epsilon is where it exceeds 1 / epsilon.

        One singular value decomposition for each point; infinite at an eigenvalue.
        """
        form = self.form.to(points.dtype)
        identity = torch.eye(len(form), dtype=points.dtype, device=form.device)
        smallest = [torch.linalg.svdvals(z * identity - form)[-1] for z in points.to(form.device)]
        return 1 / torch.stack(smallest)

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """Draw the eigenvalues, the diagonal of the form, in their plane, and return the axes."""
        from gahb_theory.report.draw_results import draw_spectra

        return draw_spectra({"values": self.form.diagonal().cpu()}, ax, "eigenvalue")


@dataclass(frozen=True, eq=False, repr=False)
class Polar(Result):
    """The polar decomposition J = U P of a square Jacobian.

    Attributes
    ----------
    rotation
        U, orthogonal, shape (d, d): the closest orthogonal matrix to J.
    stretch
        P = (J^T J)^(1/2), symmetric, no negative eigenvalue, shape (d, d). For a symmetric J without negative eigenvalues
        P = J; U is the identity where J does not vanish.
    residual
        ||J - U P|| / ||J||.
    """

    rotation: Float[Tensor, "d d"]
    stretch: Float[Tensor, "d d"]
    residual: float


@full_precision
def eig(J: LinearOperator) -> Spectrum:
    """All eigenvalues of J, real or not, with their vectors and what they leave out.

    Raises
    ------
    ValueError
        If J is not square, or not finite.

    Examples
    --------
    A rotation by 90 degrees has no real eigenvalue:

    >>> import torch
    >>> from gahb_theory.jacobians import jacobian
    >>> J = jacobian(lambda y, sigma: torch.stack([-y[..., 1], y[..., 0]], -1), torch.rand(1, 1, 1, 2), sigma=0.1)
    >>> eig(J).complex_mass
    1.0
    """
    matrix = _square(J)
    values, vectors = torch.linalg.eig(matrix)
    order = values.real.argsort(descending=True, stable=True)
    values, vectors = values[order], vectors[:, order]
    residuals = torch.linalg.vector_norm(matrix.to(values.dtype) @ vectors - vectors * values, dim=0)
    left, defective = torch.linalg.inv_ex(vectors)  # rows w_k^H / <w_k, x_k>, since the x_k have norm 1
    if int(defective):
        left = torch.full_like(left, float("inf"))
    energy, size = float(values.abs().double().square().sum()), float(matrix.double().square().sum())
    twisted = float(values[values.imag != 0].abs().double().square().sum())
    return Spectrum(
        values=values,
        vectors=vectors.mT.contiguous(),
        residuals=residuals,
        conditions=torch.linalg.vector_norm(left, dim=1),
        complex_mass=twisted / energy if energy > 0 else 0.0,
        departure=max(0.0, 1 - energy / size) ** 0.5 if size > 0 else 0.0,
    )


@full_precision
def schur(J: LinearOperator) -> Schur:
    """The real Schur form of J, on the CPU.

    Raises
    ------
    ValueError
        If J is not square, or not finite.
    """
    from scipy.linalg import schur as dense_schur

    matrix = _square(J)
    form, vectors = (torch.from_numpy(x) for x in dense_schur(matrix.cpu().numpy(), output="real"))
    return Schur(form, vectors.mT.contiguous(), _relative(matrix.cpu() - vectors @ form @ vectors.mT, matrix))


@full_precision
def polar(J: LinearOperator) -> Polar:
    """The polar decomposition of J, from its singular vectors.

    Raises
    ------
    ValueError
        If J is not square, or not finite.
    """
    matrix = _square(J)
    left, values, right = torch.linalg.svd(matrix)
    rotation, stretch = left @ right, (right.mT * values) @ right
    return Polar(rotation, (stretch + stretch.mT) / 2, _relative(matrix - rotation @ stretch, matrix))


def _square(J: LinearOperator) -> Tensor:
    check_operator(J, square="eigenvalues need")
    matrix = validate.finite(J.matrix(), "the matrix of the Jacobian")
    matrix = matrix if matrix.dtype == torch.float64 else matrix.float()
    return matrix.cpu() if matrix.device.type == "mps" else matrix


def _relative(error: Tensor, matrix: Tensor) -> float:
    size = float(torch.linalg.matrix_norm(matrix))
    return float(torch.linalg.matrix_norm(error)) / size if size > 0 else 0.0
