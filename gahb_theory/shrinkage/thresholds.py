"""Thresholds: each coefficient is shrunk by a function of itself, compared with the noise level (Donoho and Johnstone 1994).

With a = |c| / sigma,

    hard      1{a > T}
    soft      max(0, 1 - T / a)                          Donoho 1995
    garrote   max(0, 1 - T^2 / a^2)                      Breiman 1995, Gao 1998
    firm      0 below T, T_2 (1 - T / a) / (T_2 - T) up to T_2, 1 above       Gao and Bruce 1997

Hard thresholding keeps large coefficients as they are but jumps; soft thresholding is continuous but moves all of them.
The other two are continuous and leave large coefficients nearly or quite alone.
"""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from gahb_theory import validate
from gahb_theory.precision import takes_arrays

__all__ = ["Firm", "Garrote", "Hard", "Soft", "Universal", "universal_threshold"]


class _Threshold:
    """What the rules share: a threshold T in units of sigma, and gains that are a function of |c| and T sigma."""

    threshold: float
    is_separable: ClassVar[bool] = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "threshold", validate.positive(self.threshold, "threshold"))

    @takes_arrays
    def __call__(self, c: Float[Tensor, "n k"], sigma: float | Tensor) -> Float[Tensor, "n k"]:
        """Gains of the coefficients `c`, shape (batch, k), at noise level `sigma`."""
        level = self.threshold * validate.batch_sigma(sigma, validate.coefficients(c))
        return self._gains(c.abs(), level)

    def _gains(self, size: Tensor, level: Tensor) -> Tensor:
        raise NotImplementedError


@dataclass(frozen=True)
class Hard(_Threshold):
    """Hard thresholding: gains 1{|c_k| > T sigma}.

    Parameters
    ----------
    threshold
        T, in units of sigma, above 0. 3 is the usual choice; sqrt(2 log d) removes all the noise as d grows.

    References
    ----------
    D. L. Donoho, I. M. Johnstone, Ideal spatial adaptation by wavelet shrinkage, Biometrika, 1994.

    See Also
    --------
    gahb_theory.Soft, gahb_theory.ShrinkageDenoiser

    Examples
    --------
    >>> import torch
    >>> Hard(3.0)(torch.tensor([[0.2, -0.5]]), sigma=0.1)
    tensor([[0., 1.]])
    """

    threshold: float = 3.0

    def _gains(self, size: Tensor, level: Tensor) -> Tensor:
        return (size > level).to(size.dtype)


@dataclass(frozen=True)
class Soft(_Threshold):
    """Soft thresholding: gains max(0, 1 - T sigma / |c_k|), which move every coefficient towards 0 by T sigma.

    Continuous, and differentiable but at |c_k| = T sigma, so that a risk estimate may pass through it.

    Parameters
    ----------
    threshold
        T, in units of sigma, above 0.

    References
    ----------
    D. L. Donoho, De-noising by soft-thresholding, IEEE Transactions on Information Theory, 1995.

    See Also
    --------
    gahb_theory.Hard, gahb_theory.ShrinkageDenoiser

    Examples
    --------
    >>> import torch
    >>> Soft(1.0)(torch.tensor([[0.0, 1.0, -4.0]]), sigma=1.0)
    tensor([[0.0000, 0.0000, 0.7500]])
    """

    threshold: float = 3.0

    def _gains(self, size: Tensor, level: Tensor) -> Tensor:
        return 1 - level / torch.maximum(size, level)


@dataclass(frozen=True)
class Garrote(_Threshold):
    """Non-negative garrote: gains max(0, 1 - T^2 sigma^2 / c_k^2).

    Parameters
    ----------
    threshold
        T, in units of sigma, above 0.

    References
    ----------
    L. Breiman, Better subset regression using the nonnegative garrote, Technometrics, 1995.
    H.-Y. Gao, Wavelet shrinkage denoising using the non-negative garrote, J. Comp. Graph. Statistics, 1998.

    Examples
    --------
    >>> import torch
    >>> Garrote(1.0)(torch.tensor([[0.5, -2.0]]), sigma=1.0)
    tensor([[0.0000, 0.7500]])
    """

    threshold: float = 3.0

    def _gains(self, size: Tensor, level: Tensor) -> Tensor:
        return 1 - (level / torch.maximum(size, level)).square()  # c^2 may leave the range of the type


@dataclass(frozen=True)
class Firm(_Threshold):
    """Firm thresholding: 0 below T sigma, the identity above T_2 sigma, a straight line between.

    Parameters
    ----------
    threshold, upper
        T and T_2 in units of sigma, 0 < T < T_2. For T_2 near T it is hard thresholding, for T_2 infinite soft.

    References
    ----------
    H.-Y. Gao, A. G. Bruce, WaveShrink with firm shrinkage, Statistica Sinica, 1997.

    Examples
    --------
    >>> import torch
    >>> Firm(1.0, 3.0)(torch.tensor([[0.5, -2.0, 4.0]]), sigma=1.0)
    tensor([[0.0000, 0.7500, 1.0000]])
    """

    threshold: float = 2.0
    upper: float = 4.0

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "upper", validate.positive(self.upper, "upper"))
        if self.upper <= self.threshold:
            raise ValueError(f"upper must be above threshold = {self.threshold}, got {self.upper}")

    def _gains(self, size: Tensor, level: Tensor) -> Tensor:
        line = self.upper / (self.upper - self.threshold) * (1 - level / torch.maximum(size, level))
        return line.clamp(max=1)


def universal_threshold(count: int) -> float:
    """T = sqrt(2 log k): the largest of k standard normal numbers is below it with a probability that tends to 1.

    With it the risk of soft thresholding is at most (2 log k + 1) times sigma^2 + sum_k min(c_k^2, sigma^2), for all
    coefficients c (Donoho and Johnstone 1994).

    Parameters
    ----------
    count
        Number k of coefficients, at least 2.

    Examples
    --------
    >>> round(universal_threshold(4096), 3)
    4.079
    """
    return math.sqrt(2 * math.log(validate.integer(count, "count", 2)))


@dataclass(frozen=True)
class Universal:
    """Thresholding at sqrt(2 log k) sigma for k coefficients.

    Parameters
    ----------
    rule
        `Soft`, `Hard`, `Garrote`, or a class of your own that is made from a threshold.

    References
    ----------
    D. L. Donoho, I. M. Johnstone, Ideal spatial adaptation by wavelet shrinkage, Biometrika, 1994.

    Examples
    --------
    >>> import torch
    >>> Universal()(torch.tensor([[0.5, -2.0, 4.0, 0.1]]), sigma=1.0).round(decimals=3)
    tensor([[0.0000, 0.1670, 0.5840, 0.0000]])
    """

    rule: type[Soft] | type[Hard] | type[Garrote] = Soft

    def __post_init__(self) -> None:
        if not callable(self.rule):
            raise TypeError(f"rule must be Soft, Hard, Garrote or a class of that kind, got {type(self.rule).__name__}")

    @takes_arrays
    def __call__(self, c: Float[Tensor, "n k"], sigma: float | Tensor) -> Float[Tensor, "n k"]:
        """Gains of the coefficients `c`, shape (batch, k), at noise level `sigma`."""
        count = validate.coefficients(c).shape[1]
        if count < 2:
            raise ValueError("c must hold at least 2 coefficients for a universal threshold, got 1")
        return self.rule(universal_threshold(count))(c, sigma)
