"""The full truth about a Jacobian that is not symmetric: complex eigenvalues, the Schur form, the polar decomposition.

    J x_k = mu_k x_k,   mu_k complex,        J = Q T Q^T,   T quasi triangular,        J = U P,   P = (J^T J)^(1/2) .

The results are described in `nonnormal`. All of it comes from the dense matrix.
"""

import torch
from torch import Tensor

from gahb_theory import validate
from gahb_theory.jacobians.arithmetic import full_precision
from gahb_theory.jacobians.nonnormal import Polar, Schur, Spectrum
from gahb_theory.jacobians.operator import Jacobian

__all__ = ["eig", "polar", "schur"]


@full_precision
def eig(J: Jacobian) -> Spectrum:
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
def schur(J: Jacobian) -> Schur:
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
def polar(J: Jacobian) -> Polar:
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


def _square(J: Jacobian) -> Tensor:
    if J.shape[0] != J.shape[1]:
        raise ValueError(f"eigenvalues need a square Jacobian, got shape {J.shape}; use svd")
    matrix = validate.finite(J.matrix(), "the matrix of the Jacobian")
    matrix = matrix if matrix.dtype == torch.float64 else matrix.float()
    return matrix.cpu() if matrix.device.type == "mps" else matrix


def _relative(error: Tensor, matrix: Tensor) -> float:
    size = float(torch.linalg.matrix_norm(matrix))
    return float(torch.linalg.matrix_norm(error)) / size if size > 0 else 0.0
