"""The singular vectors of a Jacobian.

    J = sum_k s_k u_k v_k^T,        s_1 >= s_2 >= ... >= 0 .

v_k is what the denoiser looks for in the noisy image, u_k what it puts into its output in the place of it, and s_k the
gain. For a symmetric J without negative eigenvalues u_k = v_k and s_k = lambda_k (Mohan, Kadkhodaie, Simoncelli and
Fernandez-Granda, ICLR 2020).
"""

from dataclasses import dataclass

from jaxtyping import Bool, Float
from torch import Tensor

__all__ = ["SVD"]


@dataclass(frozen=True, eq=False)
class SVD:
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
    """

    left: Float[Tensor, "k d_out"]
    values: Float[Tensor, " k"]
    right: Float[Tensor, "k d_in"]
    residuals: Float[Tensor, " k"]
    converged: Bool[Tensor, " k"]
    tolerance: float
    matvecs: int
