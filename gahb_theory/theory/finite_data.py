"""What finite data alone does to the best linear denoiser, the null model of every claim on generalisation.

The empirical Wiener filter of N images, S (S + sigma^2)^-1 with S their second moments about a known mean, behaves on
average as the true one at a larger noise level,

    S (S + sigma^2)^-1  ~  Sigma (Sigma + kappa)^-1,    sigma^2 = kappa (1 - d_1 / N),    d_j = tr [Sigma (Sigma + kappa)^-1]^j

(Wang, Zavatone-Veth and Pehlevan 2026; the fixed point is that of ridge regression, Bach 2024). With a = 1 / (1 - d_2 / N),
from N and the spectrum alone, summed over pixels:

    training images   sigma^2 d_1
    other images      a kappa (d_1 - d_2) + sigma^2 v,    v = tr [S (S + sigma^2)^-1]^2 = d_1 - a (sigma^2 / kappa) (d_1 - d_2)
    gap               a (d_1 - d_2) (kappa - sigma^4 / kappa)
    two such filters  E ||f_A - f_B||^2 = 2 (a - 1) kappa (d_1 - d_2) + 2 sigma^2 (v - d_2)

A network must differ from this before that it has a gap, or that two of them agree, means anything.
"""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from gahb_theory import validate
from gahb_theory.stored_results import Result

__all__ = ["FiniteDataWiener", "finite_data_wiener"]


@dataclass(frozen=True, repr=False)
class FiniteDataWiener(Result):
    """Predictions for the Wiener filter of N images at one noise level, summed over pixels."""

    images: int
    sigma: float
    kappa: float
    """The square of the noise level as which N images act, sigma^2 for N to infinity."""
    train: float
    """Mean squared error on the training images, with fresh noise."""
    test: float
    """Mean squared error on other images."""
    optimum: float
    """Mean squared error of the true Wiener filter."""
    distance: float
    """E ||f_A(y) - f_B(y)||^2 of two filters of N images each, without a common image, on other images."""

    @property
    def gap(self) -> float:
        """Error on other images less that on training images."""
        return self.test - self.train

    @property
    def ratio(self) -> float:
        """The distance over the error on other images: what `function_distance` calls its ratio; between 0 and 2."""
        return self.distance / self.test


def finite_data_wiener(variances: Float[Tensor, " d"], images: int, sigma: float) -> FiniteDataWiener:
    """What a Wiener filter fitted on so many images does on them, on others, and against its twin.

    Parameters
    ----------
    variances
        Eigenvalues of the true covariance, shape (d,), none below 0, one above.
    images
        Number N of training images; one more where the mean is fitted as well.
    sigma
        Noise level.

    References
    ----------
    B. Wang, J. Zavatone-Veth, C. Pehlevan, 2026. F. Bach, High-dimensional analysis of double descent for linear
    regression with random projections, SIAM Journal on Mathematics of Data Science, 2024.

    Examples
    --------
    >>> import torch
    >>> few, many = (finite_data_wiener(torch.ones(64), n, 0.5) for n in (64, 10**6))
    >>> round(few.gap, 1), round(few.ratio, 2), round(many.gap, 3), round(many.kappa, 3)
    (13.2, 0.63, 0.0, 0.25)
    """
    spectrum = validate.coefficients(variances[None] if variances.ndim == 1 else variances, name="variances")[
        0
    ].double()
    if variances.ndim != 1 or bool((spectrum < 0).any()) or not bool((spectrum > 0).any()):
        raise ValueError(
            "variances must have shape (d,), hold no value below 0 and one above; use variances.clamp(min=0)"
        )
    n, level = validate.integer(images, "images", 1), validate.sigma_level(sigma) ** 2
    low, high = level, level + float(spectrum.sum()) / n
    for _ in range(200):  # kappa (1 - d_1 / N) grows with kappa
        middle = (low * high) ** 0.5
        free = 1 - float((spectrum / (spectrum + middle)).sum()) / n
        low, high = (middle, high) if middle * free < level else (low, middle)
    kappa = (low * high) ** 0.5
    gains = spectrum / (spectrum + kappa)
    one, two = float(gains.sum()), float(gains.square().sum())
    more = 1 / (1 - two / n)
    passed = one - more * level / kappa * (one - two)
    lost = more * kappa * (one - two)
    return FiniteDataWiener(
        images=n,
        sigma=level**0.5,
        kappa=kappa,
        train=level * one,
        test=lost + level * passed,
        optimum=float((spectrum * level / (spectrum + level)).sum()),
        distance=2 * (more - 1) * kappa * (one - two) + 2 * level * (passed - two),
    )
