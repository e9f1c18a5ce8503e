"""Exact risks of shrinkages in an orthonormal basis, all summed over coefficients.

For an image with coefficients c_k in Gaussian noise of level sigma, by Parseval,

    fixed gains:   sum_k (1 - lambda_k)^2 c_k^2 + lambda_k^2 sigma^2
    oracle:        sum_k c_k^2 sigma^2 / (c_k^2 + sigma^2)  =  sigma^2 sum_k lambda_k
    projection:    sum_k min(c_k^2, sigma^2)  =  M sigma^2 + ||x - x_M||^2
    Gaussian:      sum_k s_k sigma^2 / (s_k + sigma^2)      for variances s_k in place of c_k^2 (Wiener 1949)

and  1/2 sum min <= oracle <= sum min  (Kadkhodaie, Guth, Simoncelli, Mallat, ICLR 2024, section 3 and appendix D). A
partial basis loses the energy ||x||^2 - sum_k c_k^2 outside its span, which is added. A redundant frame has no such
formulas.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from gahb_theory import validate
from gahb_theory.bases.base import Basis, check_basis
from gahb_theory.bases.dense import check_variances
from gahb_theory.precision import takes_arrays, wide
from gahb_theory.shrinkage import FixedGains, oracle_gains

__all__ = [
    "adapted",
    "coefficients",
    "gaussian_mse",
    "oracle_mse",
    "projection_mse",
    "refuse_frames",
    "shrinkage_mse",
]


@takes_arrays
def oracle_mse(basis: Basis, x: Float[Tensor, "n c h w"], sigma: float | Tensor) -> Float[Tensor, " n"]:
    """Risk sum_k c_k^2 sigma^2 / (c_k^2 + sigma^2) of the oracle in a basis: no gains in this basis do better.

    Parameters
    ----------
    basis
        An orthonormal basis; a dictionary that is not adapted yet is adapted to `x` at the threshold sigma.
    x
        Clean images, shape (batch, channels, height, width).
    sigma
        Noise level: a number or a tensor of shape (batch,), above 0.

    Returns
    -------
    Shape (batch,), summed over pixels.

    Raises
    ------
    ValueError
        If the basis is a redundant frame.

    References
    ----------
    Kadkhodaie, Guth, Simoncelli, Mallat, ICLR 2024, section 3 and appendix D.

    See Also
    --------
    gahb_theory.oracle_gains, gahb_theory.compare

    Examples
    --------
    >>> import torch
    >>> from gahb_theory.bases import Pixels
    >>> oracle_mse(Pixels(), torch.ones(1, 1, 2, 2), sigma=1.0)
    tensor([2.])
    """
    c, outside = coefficients(adapted(basis, x, sigma), x)
    level = validate.batch_sigma(sigma, c)
    return (level.square() * oracle_gains(c, sigma)).sum(dim=1) + outside


@takes_arrays
def projection_mse(basis: Basis, x: Float[Tensor, "n c h w"], sigma: float | Tensor) -> Float[Tensor, " n"]:
    """Risk sum_k min(c_k^2, sigma^2) of the best projection on atoms of a basis.

    Parameters
    ----------
    basis, x, sigma
        As in `oracle_mse`, as is what is returned.

    References
    ----------
    D. L. Donoho, I. M. Johnstone, Ideal spatial adaptation by wavelet shrinkage, Biometrika, 1994.

    Examples
    --------
    >>> import torch
    >>> from gahb_theory.bases import Pixels
    >>> projection_mse(Pixels(), torch.tensor([[[[0.5, 2.0]]]]), sigma=1.0)
    tensor([1.2500])
    """
    c, outside = coefficients(adapted(basis, x, sigma), x)
    return torch.minimum(c.square(), validate.batch_sigma(sigma, c).square()).sum(dim=1) + outside


@takes_arrays
def shrinkage_mse(gains: Float[Tensor, "*n k"], c: Float[Tensor, "m k"], sigma: float | Tensor) -> Float[Tensor, " m"]:
    """Risk sum_k (1 - lambda_k)^2 c_k^2 + lambda_k^2 sigma^2 of fixed gains, the part inside the span of the basis.

    Parameters
    ----------
    gains
        Gains that do not depend on the noise, shape (k,) or (batch, k).
    c
        Clean coefficients, shape (batch, k).
    sigma
        Noise level: a number or a tensor of shape (batch,), above 0.

    Returns
    -------
    Shape (batch,), summed over coefficients.

    Examples
    --------
    >>> import torch
    >>> shrinkage_mse(torch.tensor([0.5, 0.0]), torch.tensor([[1.0, 3.0]]), sigma=1.0)
    tensor([9.5000])
    """
    c = wide(validate.coefficients(c))
    gains = FixedGains(gains)(c, sigma)
    level, gains = validate.batch_sigma(sigma, c), wide(gains)
    return ((1 - gains).square() * c.square() + gains.square() * level.square()).sum(dim=1)


def gaussian_mse(variances: Float[Tensor, " k"], sigma: float | Float[Tensor, " s"]) -> Float[Tensor, "*s"]:
    """Minimum mean squared error sum_k s_k sigma^2 / (s_k + sigma^2) of a Gaussian distribution with these variances.

    Parameters
    ----------
    variances
        Eigenvalues of the covariance, shape (k,), none below 0.
    sigma
        Noise level: a number, or a tensor of shape (s,) for a curve, above 0.

    Returns
    -------
    A tensor without axes for a number, else of shape (s,), summed over coefficients.

    References
    ----------
    N. Wiener, Extrapolation, Interpolation, and Smoothing of Stationary Time Series, 1949.

    Examples
    --------
    >>> import torch
    >>> gaussian_mse(torch.tensor([1.0, 1.0]), sigma=1.0)
    tensor(1.)
    """
    if isinstance(variances, Tensor) and variances.ndim != 1:
        raise ValueError(f"variances must have shape (k,), got {tuple(variances.shape)}")
    check_variances(variances, len(variances) if isinstance(variances, Tensor) else 1)
    variances = wide(variances)
    shape = sigma.shape if isinstance(sigma, Tensor) else ()
    rows = variances.expand(math.prod(shape), -1)
    noise = validate.batch_sigma(sigma, rows).square()
    return (rows * noise / (rows + noise)).sum(dim=1).reshape(shape)


def adapted(basis: Basis, x: Float[Tensor, "n c h w"], threshold: float | Tensor) -> Basis:
    """Return the basis itself if it is adapted, else the dictionary adapted to each image at the threshold."""
    check_basis(basis)
    return basis if basis.is_adapted else basis.at(x, threshold)


def refuse_frames(basis: Basis) -> None:
    """Refuse a redundant frame, where Parseval's equation does not hold."""
    check_basis(basis)
    if not basis.is_orthonormal:
        raise ValueError(
            f"{type(basis).__name__} is a redundant frame, where a sum over coefficients is not a squared error; "
            "use an orthonormal basis, or measure the risk of its denoiser with psnr_curve"
        )


def coefficients(basis: Basis, x: Float[Tensor, "n c h w"]) -> tuple[Float[Tensor, "n k"], Float[Tensor, " n"] | float]:
    """Coefficients of `x` in an orthonormal basis, in at least float32, and the energy of each image outside its span."""
    refuse_frames(basis)
    c = wide(basis.analysis(validate.images(x, "x")))
    if c.shape[1] == x[0].numel():
        return c, 0.0
    energy = wide(x).square().sum(dim=(1, 2, 3))
    return c, (energy - c.square().sum(dim=1)).clamp(min=0)
