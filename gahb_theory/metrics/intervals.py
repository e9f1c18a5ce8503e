"""Estimates with confidence intervals.

A mean over images has the percentile interval of the bootstrap over images (Efron 1979): images are drawn again with
replacement, each with all its numbers, so that paired noise is treated as it should be. A share of images has the
interval of Wilson (1927), which stays inside [0, 1] and says something even if the share is 0 or 1.
"""

import math
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from gahb_theory import validate
from gahb_theory.randomness import Component, array_generator

__all__ = [
    "Estimate",
    "bootstrap_means",
    "check_confidence",
    "draw_counts",
    "mean_estimate",
    "percentiles",
    "share_estimate",
]

LARGEST_RESAMPLES, LARGEST_TABLE = 10**6, 2**30


@dataclass(frozen=True, eq=False, repr=False)
class Estimate:
    """A number, or an array of numbers, with confidence intervals.

    Parameters
    ----------
    value
        The estimate: a number, or an array with one entry for each noise level.
    low, high
        Ends of the confidence interval of each entry.
    standard_error
        Standard deviation of the estimate; NaN where a bootstrap sample is infinite.
    confidence
        Probability with which an interval is meant to hold the true value.
    method
        Where the interval comes from.
    """

    value: float | Float[np.ndarray, "..."]
    low: float | Float[np.ndarray, "..."]
    high: float | Float[np.ndarray, "..."]
    standard_error: float | Float[np.ndarray, "..."]
    confidence: float
    method: str

    def to_dict(self) -> dict[str, Any]:
        """All fields as numbers, lists and strings."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in values.items()}

    def __repr__(self) -> str:
        return (
            f"Estimate({self})"
            if np.ndim(self.value) == 0
            else f"Estimate of {np.shape(self.value)} numbers ({self.method})"
        )

    def __str__(self) -> str:
        parts = np.broadcast_arrays(*(np.atleast_1d(part) for part in (self.value, self.low, self.high)))
        shown = ", ".join(f"{v:.4g} [{a:.4g}, {b:.4g}]" for v, a, b in zip(*(p.ravel() for p in parts), strict=True))
        return f"{shown} ({100 * self.confidence:g} % interval, {self.method})"


def mean_estimate(
    values: Float[np.ndarray, "*s n"], confidence: float = 0.95, resamples: int = 1000, *, seed: int = 0
) -> Estimate:
    """Mean over the last axis, the images, with the interval of the bootstrap over images.

    Parameters
    ----------
    values
        One number for each image, shape (n,) or (s, n), at least 2 images. Positive infinity is allowed; NaN is not.
    confidence
        Probability of the interval, between 0 and 1.
    resamples, seed
        Number of bootstrap samples, at least 100, and the seed that draws them.

    References
    ----------
    B. Efron, Bootstrap methods: another look at the jackknife, Annals of Statistics, 1979.

    Examples
    --------
    >>> import numpy as np
    >>> print(mean_estimate(np.arange(100.0)))
    49.5 [44, 55.29] (95 % interval, bootstrap over 100 images)
    """
    values = _numbers(values)
    n = values.shape[-1]
    means = bootstrap_means(values, draw_counts(n, resamples, seed=seed))
    return percentiles(values.mean(axis=-1), means, confidence, f"bootstrap over {n} images")


def _numbers(values: object) -> Float[np.ndarray, "*s n"]:
    """Numbers of images in float64; positive infinity, the PSNR of a perfect estimate, passes."""
    given = values.detach().cpu().numpy() if isinstance(values, Tensor) and values.dtype == torch.float64 else values
    if isinstance(given, np.ndarray) and given.dtype.kind == "f" and given.size and given.ndim in (1, 2):
        found = given.astype(np.float64)
        if not (np.isnan(found) | np.isneginf(found)).any():
            return found
    return validate.real_array(values, "values", (1, 2))


def draw_counts(n: int, resamples: int = 1000, *, seed: int = 0) -> Float[np.ndarray, "r n"]:
    """How often each of n images occurs in each bootstrap sample, shape (resamples, n)."""
    resamples = validate.integer(resamples, "resamples", 100, LARGEST_RESAMPLES)
    n, seed = validate.integer(n, "n", 1), validate.seed(seed)
    if n < 2:
        raise ValueError(f"a bootstrap over images needs at least 2 images, got {n}")
    if n * resamples > LARGEST_TABLE:
        raise ValueError(f"resamples must be at most {LARGEST_TABLE // n} for {n} images, got {resamples}")
    generator = array_generator(Component.BOOTSTRAP, seed)
    return generator.multinomial(n, np.full(n, 1 / n), size=resamples).astype(np.float64)


def bootstrap_means(values: Float[np.ndarray, "*s n"], counts: Float[np.ndarray, "r n"]) -> Float[np.ndarray, "*s r"]:
    """Mean over the images of each bootstrap sample; infinite as soon as it holds an infinite value."""
    infinite = np.isposinf(values)
    means = np.where(infinite, 0, values) @ counts.T / counts.shape[1]
    means[infinite @ counts.T > 0] = np.inf
    return means


def percentiles(
    value: float | Float[np.ndarray, "..."], resampled: Float[np.ndarray, "... r"], confidence: float, method: str
) -> Estimate:
    """The estimate `value` with the percentile interval of its bootstrap samples, which lie along the last axis."""
    confidence = check_confidence(confidence)
    ends = [(1 - confidence) / 2, (1 + confidence) / 2]
    low, high = np.quantile(resampled, ends, axis=-1, method="inverted_cdf")  # no interpolation between infinities
    with np.errstate(invalid="ignore"):
        error = np.std(resampled, axis=-1, ddof=1)
    if np.ndim(value) == 0:
        return Estimate(float(value), float(low), float(high), float(error), confidence, method)
    return Estimate(np.asarray(value), low, high, error, confidence, method)


def share_estimate(hits: int, total: int, confidence: float = 0.95) -> Estimate:
    """The share hits / total with the interval of Wilson.

    Parameters
    ----------
    hits, total
        0 <= hits <= total, and total at least 1.
    confidence
        Probability of the interval, between 0 and 1.

    References
    ----------
    E. B. Wilson, Probable inference, the law of succession, and statistical inference, Journal of the American
    Statistical Association, 1927.

    Examples
    --------
    >>> print(share_estimate(0, 100))
    0 [0, 0.03699] (95 % interval, Wilson, 0 of 100)
    """
    from scipy.stats import binomtest

    total = validate.integer(total, "total", 1, LARGEST_TABLE)
    hits, confidence = validate.integer(hits, "hits", 0, total), check_confidence(confidence)
    share, ends = hits / total, binomtest(hits, total).proportion_ci(confidence, method="wilson")
    error = math.sqrt(share * (1 - share) / total)
    return Estimate(share, float(ends.low), float(ends.high), error, confidence, f"Wilson, {hits} of {total}")


def check_confidence(confidence: float) -> float:
    """Return the confidence if it is a probability."""
    found = validate.number(confidence, "confidence")
    if not 0 < found < 1:
        raise ValueError(f"confidence must lie between 0 and 1, got {found:g}; 0.95 is usual")
    return found
