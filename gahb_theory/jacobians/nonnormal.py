"""What eigenvalues say, and do not say, about a Jacobian that is not symmetric.

    J x_k = mu_k x_k,   mu_k complex,        J = Q T Q^T,   T quasi triangular,        J = U P,   P = (J^T J)^(1/2) .

The part of T off its diagonal blocks is what eigenvalues do not see: Henrici's departure from normality (1962),
sqrt(||J||^2 - sum_k |mu_k|^2), which is 0 for a symmetric J. How far eigenvalues move when J is changed by epsilon is the
pseudospectrum, { z : ||(z - J)^(-1)|| >= 1 / epsilon } (Trefethen and Embree, Spectra and Pseudospectra, 2005).
"""

from dataclasses import dataclass

import torch
from jaxtyping import Complex, Float
from torch import Tensor

__all__ = ["Polar", "Schur", "Spectrum"]


@dataclass(frozen=True, eq=False)
class Spectrum:
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


@dataclass(frozen=True, eq=False)
class Schur:
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


@dataclass(frozen=True, eq=False)
class Polar:
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
