"""The interface of a shrinkage, and gains that are known beforehand: the oracles.

In an orthonormal basis the noisy coefficients are c_k + sigma z_k. With fixed gains lambda_k,

    E ||x_hat - x||^2 = sum_k (1 - lambda_k)^2 c_k^2 + lambda_k^2 sigma^2 .

The smallest value is reached by the *oracle*, which knows the clean coefficients (equation 29 of Kadkhodaie, Guth,
Simoncelli, Mallat, ICLR 2024),

    lambda_k = c_k^2 / (c_k^2 + sigma^2),        E ||x_hat - x||^2 = sum_k c_k^2 sigma^2 / (c_k^2 + sigma^2) .

Restricted to gains 0 and 1 the best is the projection 1{|c_k| > sigma}, whose risk sum_k min(c_k^2, sigma^2) is at
most twice as large.
"""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from gahb_theory import validate
from gahb_theory.precision import takes_arrays, wide

__all__ = ["FixedGains", "Shrinkage", "oracle_gains", "projection_gains"]


@runtime_checkable
class Shrinkage(Protocol):
    """Anything that can be called as (coefficients, sigma) and returns gains of the shape of the coefficients."""

    def __call__(self, c: Tensor, sigma: float | Tensor, /) -> Tensor:
        """Gains of the coefficients `c`, shape (batch, k), at noise level `sigma`, a number or a (batch,) tensor."""
        ...


@takes_arrays
def oracle_gains(c: Float[Tensor, "n k"], sigma: float | Tensor) -> Float[Tensor, "n k"]:
    """Gains c_k^2 / (c_k^2 + sigma^2): the oracle if `c` are the coefficients of the clean images.

    Parameters
    ----------
    c
        Coefficients, shape (batch, k), in the units of the intensities.
    sigma
        Noise level in the same units: a number or a tensor of shape (batch,), above 0.

    References
    ----------
    Kadkhodaie, Guth, Simoncelli, Mallat, ICLR 2024, equation 29.

    See Also
    --------
    gahb_theory.oracle_mse, gahb_theory.Hard

    Examples
    --------
    >>> import torch
    >>> oracle_gains(torch.tensor([[0.0, 1.0, 3.0]]), sigma=1.0)
    tensor([[0.0000, 0.5000, 0.9000]])
    """
    level = validate.batch_sigma(sigma, validate.coefficients(c))
    exact = wide(c)  # squares leave the range of half precision
    size = torch.maximum(exact.abs(), wide(level)).detach()  # the ratio does not depend on it
    energy = (exact / size).square()
    return (energy / (energy + (level / size).square())).to(c.dtype)


@takes_arrays
def projection_gains(c: Float[Tensor, "n k"], sigma: float | Tensor) -> Float[Tensor, "n k"]:
    """Gains 1{|c_k| > sigma}: the best choice of coefficients to keep if `c` are those of the clean images.

    Parameters
    ----------
    c
        Coefficients, shape (batch, k).
    sigma
        Noise level: a number or a tensor of shape (batch,), above 0.

    References
    ----------
    D. L. Donoho, I. M. Johnstone, Ideal spatial adaptation by wavelet shrinkage, Biometrika, 1994.

    Examples
    --------
    >>> import torch
    >>> projection_gains(torch.tensor([[0.5, -2.0]]), sigma=1.0)
    tensor([[0., 1.]])
    """
    return (validate.coefficients(c).abs() > validate.batch_sigma(sigma, c)).to(c.dtype)


@dataclass(frozen=True, eq=False)
class FixedGains:
    """Gains that do not look at the coefficients: the denoiser is then linear.

    With the `oracle_gains` of the clean coefficients it is the oracle denoiser, and with s_k / (s_k + sigma^2) in the
    basis of principal components it is the Wiener filter.

    Parameters
    ----------
    gains
        Shape (k,), the same for all images, or (batch, k).

    Examples
    --------
    >>> import torch
    >>> FixedGains(torch.tensor([1.0, 0.5]))(torch.zeros(3, 2), sigma=0.1).shape
    torch.Size([3, 2])
    """

    gains: Float[Tensor, "*n k"]

    def __post_init__(self) -> None:
        if not isinstance(self.gains, Tensor):
            raise TypeError(f"gains must be a torch tensor, got {type(self.gains).__name__}; use torch.as_tensor")
        if self.gains.ndim not in (1, 2):
            raise ValueError(f"gains must have shape (k,) or (batch, k), got {tuple(self.gains.shape)}")
        validate.coefficients(self.gains.reshape(-1, self.gains.shape[-1]), name="gains")

    @takes_arrays
    def __call__(self, c: Float[Tensor, "n k"], sigma: float | Tensor) -> Float[Tensor, "n k"]:
        """Return the gains as a tensor of the shape of the coefficients `c`; `sigma` is not used."""
        validate.batch_sigma(sigma, validate.coefficients(c))
        if self.gains.shape not in (c.shape, c.shape[1:]):
            raise ValueError(
                f"gains of shape {tuple(self.gains.shape)} do not fit coefficients of shape {tuple(c.shape)}; "
                "give one gain for each coefficient, shape (k,), or for each image and coefficient, shape (batch, k)"
            )
        return self.gains.to(c).expand_as(c)
