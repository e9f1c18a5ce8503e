"""The Bayes risk between two bounds, and denoisers scored against it.

With posterior states (exact or of a chain) at n noisy images y_i = x_i + sigma z_i, every quantity is a mean over i of

    lower_i, upper_i          whose expectations enclose  R = E tr Cov[x | y],
    trace_i + ||centre_i - f(y_i)||^2,      whose expectation is the risk of f .

The noise of the posterior draw behind x_i is integrated out of both, and both share y_i: their difference is far less
noisy than either (Rao 1945; Blackwell 1947).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from jaxtyping import Float
from torch import Tensor

from gahb_theory import validate
from gahb_theory.metrics.intervals import Estimate, mean_estimate
from gahb_theory.stored_results import Result

__all__ = ["BayesRisk", "Enclosed", "enclosure", "unknown"]

TOLERANCE = 0.15
"""Width in decibels up to which an interval counts as converged."""


@dataclass(frozen=True, eq=False)
class Enclosed:
    """What is known at n noisy images: the images, where the posterior lies, and bounds of its variance."""

    noisy: Float[Tensor, "n c h w"]
    centre: Float[Tensor, "n c h w"]
    trace: Float[Tensor, " n"]
    lower: Float[Tensor, " n"]
    upper: Float[Tensor, " n"]


@dataclass(frozen=True, eq=False, repr=False)
class BayesRisk(Result):
    """Lower and upper bound of the smallest risk E||f(y) - x||^2 of any denoiser f, summed over pixels.

    Parameters
    ----------
    lower, upper
        The bounds with their intervals over images and chains; lower.value <= upper.value. Where the bounds of the sample
        cross, which only noise can do, both are the mean of the two. The Bayes risk lies in [lower.low, upper.high].
    exact
        Whether the two are one number: nothing but the draw of the images, if that, is random.
    method
        How it was computed; begins with "unknown" where no lower bound but 0 is known.
    converged
        Whether, with 97.5 % confidence, the bounds are within 0.15 dB: the chains have forgotten where they began. If not,
        more steps narrow the interval, which is valid as it is.
    sigma
        Noise level.
    work
        Steps of each chain, seconds, and the like.
    images
        The noisy images, and the bounds at each.

    Notes
    -----
    That the expectations enclose the Bayes risk is a proof, see `bayes_risk`; that the means are near their expectations is
    Monte Carlo, and the intervals say how near.
    """

    lower: Estimate
    upper: Estimate
    exact: bool
    method: str
    converged: bool
    sigma: float
    work: dict[str, Any] = field(default_factory=dict)
    images: Enclosed | None = None

    @property
    def width(self) -> float:
        """10 log10 (upper / lower) in decibels; infinite where no lower bound is known."""
        if self.lower.value <= 0:
            return math.inf if self.upper.value > 0 else 0.0
        return 10 * math.log10(self.upper.value / self.lower.value)

    def score(self, f: Callable[[Tensor, float], Tensor]) -> Float[Tensor, " n"]:
        """Squared error of a denoiser at each of the images, with the noise of the posterior draw integrated out.

        f sees the noisy images in float32.
        """
        known = self._known()
        estimate = validate.denoised(f, known.noisy.float(), self.sigma).detach().double()
        return known.trace + (known.centre - estimate).square().sum(dim=(1, 2, 3))

    def rearranged(self, order: Callable[[Tensor], Tensor], method: str) -> "BayesRisk":
        """The same for images whose pixels are permuted by `order`."""
        known = self._known()
        images = replace(known, noisy=order(known.noisy), centre=order(known.centre))
        return replace(self, images=images, method=method)

    def to_dict(self) -> dict[str, Any]:
        """The bounds and how they came about, as numbers, strings and dictionaries, without the images."""
        plain = super().to_dict()
        del plain["images"]
        return plain

    def _known(self) -> Enclosed:
        if self.images is None:
            raise ValueError("this Bayes risk is a number without images; call bayes_risk with images")
        return self.images

    def __repr__(self) -> str:
        if self.exact:
            return f"BayesRisk({self.lower.value:.5g} at sigma = {self.sigma:g}, {self.method})"
        ends = f"{self.lower.value:.5g} to {self.upper.value:.5g}"
        state = "" if self.converged else ", not converged"
        return f"BayesRisk({ends} at sigma = {self.sigma:g}, {self.width:.2f} dB{state}, {self.method})"


def enclosure(
    images: Enclosed, sigma: float, method: str, work: dict[str, Any], *, exact: bool, value: float | None = None
) -> BayesRisk:
    """The bounds as means over images.

    Parameters
    ----------
    images
        The bounds at each image.
    sigma, method, work, exact
        As in `BayesRisk`.
    value
        The Bayes risk where it is a closed form; the interval is that number.
    """
    if value is not None:
        known = Estimate(value, value, value, 0.0, 0.95, "closed form")
        return BayesRisk(known, known, True, method, True, sigma, work, images)
    lower, upper = images.lower.numpy(), images.upper.numpy()
    if exact:
        same = mean_estimate(lower)
        return BayesRisk(same, same, True, method, True, sigma, work, images)
    difference = mean_estimate(upper - lower)
    base = float(lower.mean())
    converged = base > 0 and 10 * math.log10(max(1.0, 1 + float(difference.high) / base)) <= TOLERANCE
    if lower.mean() > upper.mean():
        lower = upper = (lower + upper) / 2
    return BayesRisk(mean_estimate(lower), mean_estimate(upper), False, method, converged, sigma, work, images)


def unknown(images: Enclosed, sigma: float, method: str) -> BayesRisk:
    """No lower bound but 0, and the risk of some denoiser as the upper one."""
    zero = Estimate(0.0, 0.0, 0.0, 0.0, 0.95, "nothing known")
    upper = mean_estimate(np.asarray(images.upper))
    return BayesRisk(zero, upper, False, f"unknown: {method}", False, sigma, {}, images)
