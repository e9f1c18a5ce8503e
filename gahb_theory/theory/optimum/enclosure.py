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

__all__ = ["TOLERANCE", "BayesRisk", "Enclosed", "enclosure", "ordered", "unknown", "width"]

TOLERANCE = 0.15
"""Decibels between bounds up to which they count as converged."""


@dataclass(frozen=True, eq=False)
class Enclosed:
    """What is known at n noisy images: the images, where the posterior lies, and bounds of its variance.

    Of chains, `centre` is the mean of those that began at the truth, and `blind` that of the others, independent of it: of
    both the posterior mean is the expectation, given what the chains forget, so that the mean of (f - centre)(f - blind) has
    no part that is the error of either. Tables keep no `blind`.
    """

    noisy: Float[Tensor, "n c h w"]
    centre: Float[Tensor, "n c h w"]
    trace: Float[Tensor, " n"]
    lower: Float[Tensor, " n"]
    upper: Float[Tensor, " n"]
    blind: Float[Tensor, "n c h w"] | None = None


@dataclass(frozen=True, eq=False, repr=False)
class BayesRisk(Result):
    """Lower and upper bound of the smallest risk E||f(y) - x||^2 of any denoiser f, summed over pixels.

    Parameters
    ----------
    lower, upper
        The bounds with their intervals over images and chains; lower.value <= upper.value. The Bayes risk lies in
        [lower.low, upper.high], with 95 % confidence at least. Where the bounds of the sample cross, which only noise can
        do, both values are the middle of the two, and the ends are the outer ones: see `ordered`.
    exact
        Whether the two are one number: nothing but the draw of the images, if that, is random.
    method
        How it was computed; begins with "unknown" where no lower bound but 0 is known.
    width
        Decibels from the lower bound to the upper one, with 97.5 % confidence at most: 10 log10(1 + d / lower), with d the
        upper end for the mean of upper - lower, whose value counts as 0 where it is below. It is 0 only if the bounds are
        one number, and infinite where no lower bound is known.
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
    width: float
    sigma: float
    work: dict[str, Any] = field(default_factory=dict)
    images: Enclosed | None = None

    @property
    def converged(self) -> bool:
        """Whether the width is at most 0.15 dB: the chains have forgotten where they began.

        If not, more steps narrow the interval, which is valid as it is.
        """
        return self.width <= TOLERANCE

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
        blind = None if known.blind is None else order(known.blind)
        images = replace(known, noisy=order(known.noisy), centre=order(known.centre), blind=blind)
        return replace(self, images=images, method=method)

    def to_dict(self) -> dict[str, Any]:
        """The bounds and how they came about, as numbers, strings and dictionaries, without the images."""
        plain = super().to_dict()
        del plain["images"]
        return plain | {"converged": self.converged}

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
        return BayesRisk(known, known, True, method, 0.0, sigma, work, images)
    if exact:
        same = mean_estimate(images.lower.numpy())
        return BayesRisk(same, same, True, method, 0.0, sigma, work, images)
    numbers = images.lower.numpy(), images.upper.numpy()
    lower, upper = ordered(mean_estimate(numbers[0]), mean_estimate(numbers[1]))
    return BayesRisk(lower, upper, False, method, width(*numbers), sigma, work, images)


def width(lower: Float[np.ndarray, " n"], upper: Float[np.ndarray, " n"]) -> float:
    """Decibels between the means of two bounds, with 97.5 % confidence at most, as in `BayesRisk`."""
    base = min(lower.mean(), (lower + upper).mean() / 2)
    difference = mean_estimate(upper - lower)
    most = float(difference.high) - min(float(difference.value), 0.0)
    return 10 * math.log10(1 + most / base) if base > 0 else math.inf


def ordered(lower: Estimate, upper: Estimate) -> tuple[Estimate, Estimate]:
    """Estimates of a lower and of an upper bound such that lower <= upper, where noise has let them cross.

    Where they cross, both values are the middle of the two. The lower one has then become smaller and the upper one larger:
    their expectations still enclose, and the bias is half of E max(0, lower - upper), at most a fifth of the standard error
    of the difference. The ends are the outer ones, so that [lower.low, upper.high] misses what lies between the true bounds
    only if one of the two intervals misses at its outer end, each with probability (1 - confidence) / 2.
    """
    crossed = np.asarray(lower.value) > np.asarray(upper.value)
    if not crossed.any():
        return lower, upper

    def chosen(where_crossed: Any, otherwise: Any) -> Any:
        return _plain(np.where(crossed, where_crossed, otherwise))

    middle = (np.asarray(lower.value) + np.asarray(upper.value)) / 2
    low, high = np.minimum(lower.low, upper.low), np.maximum(lower.high, upper.high)
    return (
        replace(lower, value=chosen(middle, lower.value), low=chosen(low, lower.low), high=chosen(high, lower.high)),
        replace(upper, value=chosen(middle, upper.value), low=chosen(low, upper.low), high=chosen(high, upper.high)),
    )


def _plain(values: Any) -> Any:
    return float(values) if values.ndim == 0 else values


def unknown(images: Enclosed, sigma: float, method: str) -> BayesRisk:
    """No lower bound but 0, and the risk of some denoiser as the upper one."""
    zero = Estimate(0.0, 0.0, 0.0, 0.0, 0.95, "nothing known")
    upper = mean_estimate(np.asarray(images.upper))
    return BayesRisk(zero, upper, False, f"unknown: {method}", math.inf, sigma, {}, images)
