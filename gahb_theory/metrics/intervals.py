"""Estimates with confidence intervals.

What is computed from n images is, to first order, a mean over images. With the mean m of the sample, its standard
deviation s and its skewness g, the ends of the interval are

    m - t_q s / sqrt(n),        m - h(t_q) s / sqrt(n),        q = (1 -+ confidence) / 2,

on each side the wider of the two: Student's t, which is exact for normal errors, and Hall's transformation h of it (1992),
which moves the interval towards the long tail of skewed ones,

    h(t) = 3 / b [ (1 + b (t - b / 6))^(1/3) - 1 ],        b = g / sqrt(n) .

The skewness of a few images is too small, and is taken (1 + 3 / n) times, by simulation. How often a 95 % interval then
holds the mean (`benchmarks/interval_coverage.py`, 50,000 samples each):

    n                           6      8     12     24     64
    normal                    .968   .966   .962   .957   .953
    log-normal, deviation .5  .953   .955   .954   .957   .960
    log-normal, deviation 1   .919   .930   .937   .944   .952

No method knows a tail that it has not seen, so that for log-normal errors of log-deviation 1 the interval is a little
short below 8 images. The percentiles of the bootstrap cover .74 to .91 there, and .85 to .94 for normal errors.

A share of images has the interval of Wilson (1927), which stays inside [0, 1] and says something even if the share is 0
or 1.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
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
    "difference_estimate",
    "draw_counts",
    "linear_estimate",
    "mean_estimate",
    "percentiles",
    "share_estimate",
]

LARGEST_RESAMPLES, LARGEST_TABLE = 10**6, 2**30
TOO_SMALL = 3
"""The skewness of n images is taken 1 + this / n times."""


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

    See Also
    --------
    gahb_theory.bayes_risk, gahb_theory.fit_slope

    Examples
    --------
    >>> Estimate(1.0, 0.8, 1.2, 0.1, 0.95, "normal").low
    0.8
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


def mean_estimate(values: Float[np.ndarray, "*s n"], confidence: float = 0.95) -> Estimate:
    """Mean over the last axis, the images, with its interval.

    Parameters
    ----------
    values
        One number for each image, shape (n,) or (s, n), at least 2 images. Positive infinity is allowed; NaN is not. Where
        there is one, the upper end is infinite, and the lower one that of the finite values.
    confidence
        Probability of the interval, between 0 and 1.

    References
    ----------
    P. Hall, On the removal of skewness by transformation, Journal of the Royal Statistical Society B, 1992.

    Examples
    --------
    >>> import numpy as np
    >>> print(mean_estimate(np.arange(100.0)))
    49.5 [43.74, 55.26] (95 % interval, t and skewness of 100 images)
    """
    result = _numbers(values)
    infinite, most = np.isposinf(result), _largest_finite(result)
    estimate = linear_estimate(
        np.where(infinite, most, result).mean(axis=-1), [np.where(infinite, most, result)], confidence
    )
    if not infinite.any():
        return estimate
    some, every = infinite.any(axis=-1), infinite.all(axis=-1)
    return replace(
        estimate,
        value=_unless(some, np.inf, estimate.value),
        low=_unless(every, np.inf, estimate.low),
        high=_unless(some, np.inf, estimate.high),
        standard_error=_unless(some, np.nan, estimate.standard_error),
    )


def difference_estimate(
    first: Float[np.ndarray, "*s n"], second: Float[np.ndarray, "*s m"], confidence: float = 0.95
) -> Estimate:
    """Mean of the first less mean of the second, two sets of images drawn apart, with its interval.

    Parameters
    ----------
    first, second
        One number for each image, shape (n,) and (m,), or (s, n) and (s, m), at least 2 images each. Positive infinity is
        allowed; two infinite means have the difference NaN.
    confidence
        Probability of the interval, between 0 and 1.

    References
    ----------
    B. L. Welch, The generalization of Student's problem when several different population variances are involved,
    Biometrika, 1947: the degrees of freedom.

    Examples
    --------
    >>> import numpy as np
    >>> print(difference_estimate(np.arange(20.0), np.arange(10.0)))
    5 [1.655, 8.345] (95 % interval, t and skewness of 20 and 10 images)
    """
    parts = [_numbers(first), _numbers(second)]
    if parts[0].shape[:-1] != parts[1].shape[:-1]:
        raise ValueError(f"first and second must have as many rows, got shapes {parts[0].shape} and {parts[1].shape}")
    infinite = [np.isposinf(part) for part in parts]
    a, b = (np.where(where, _largest_finite(part), part) for where, part in zip(infinite, parts, strict=True))
    estimate = linear_estimate(a.mean(axis=-1) - b.mean(axis=-1), [a, -b], confidence)
    if not any(where.any() for where in infinite):
        return estimate
    (some, other), (every, others) = ([where.any(axis=-1) for where in infinite], [w.all(axis=-1) for w in infinite])
    with np.errstate(invalid="ignore"):  # two infinite means have no difference
        value = np.where(some, np.inf, estimate.value) - np.where(other, np.inf, 0.0)
        low = np.where(every, np.inf, estimate.low) - np.where(other, np.inf, 0.0)
        high = np.where(some, np.inf, estimate.high) - np.where(others, np.inf, 0.0)
    error = np.where(some | other, np.nan, estimate.standard_error)
    ends: list[Any] = [float(part) if np.ndim(value) == 0 else part for part in (value, low, high, error)]
    return Estimate(ends[0], ends[1], ends[2], ends[3], estimate.confidence, estimate.method)


def linear_estimate(
    value: float | Float[np.ndarray, "..."], parts: Sequence[np.ndarray], confidence: float = 0.95
) -> Estimate:
    """A number that is a smooth function of means over images, with the interval of its linear part.

    Parameters
    ----------
    value
        The number, or an array of shape (s,).
    parts
        One array for each independent set of images: how much each image adds to the linear part of the number, times the
        number of images, shape (n,) or (s, n). A constant added to all does not matter. For a mean these are the values;
        for a ratio of the means of u and w they are (u - ratio w) / mean(w).
    confidence
        Probability of the interval, between 0 and 1.

    Examples
    --------
    >>> import numpy as np
    >>> u, w = np.array([1.0, 2.0, 4.0, 5.0]), np.array([1.0, 2.0, 3.0, 5.0])
    >>> ratio = u.mean() / w.mean()
    >>> print(linear_estimate(ratio, [(u - ratio * w) / w.mean()]))
    1.091 [0.7965, 1.639] (95 % interval, t and skewness of 4 images)
    """
    from scipy.special import stdtrit

    confidence = check_confidence(confidence)
    variances, cumulants, freedoms = [], [], []
    for part in parts:
        n = part.shape[-1]
        if n < 2:
            raise ValueError(f"an interval over images needs at least 2 images, got {n}")
        centred = part - part.mean(axis=-1, keepdims=True)
        variances.append((centred**2).sum(axis=-1) / (n - 1) / n)
        third = (centred**3).sum(axis=-1) / ((n - 1) * (n - 2)) if n > 2 else np.zeros(part.shape[:-1])
        cumulants.append((1 + TOO_SMALL / n) * third / n)
        freedoms.append(n - 1)
    variance = np.sum(variances, axis=0)
    error = np.sqrt(variance)
    with np.errstate(divide="ignore", invalid="ignore"):
        freedom = variance**2 / np.sum([v**2 / k for v, k in zip(variances, freedoms, strict=True)], axis=0)
        skewness = np.where(error > 0, np.sum(cumulants, axis=0) / error**3, 0.0)
    quantile = stdtrit(np.where(error > 0, freedom, 1.0), (1 + confidence) / 2)
    low = value - error * np.maximum(quantile, _straightened(quantile, skewness))
    high = value - error * np.minimum(-quantile, _straightened(-quantile, skewness))
    method = f"t and skewness of {' and '.join(str(part.shape[-1]) for part in parts)} images"
    if np.ndim(value) == 0:
        return Estimate(float(value), float(low), float(high), float(error), confidence, method)
    return Estimate(np.asarray(value), low, high, error, confidence, method)


def _straightened(t: Any, skewness: Any) -> Any:
    """Hall's transformation 3 / b [ (1 + b (t - b / 6))^(1/3) - 1 ], the identity at b = 0."""
    b = np.where(np.abs(skewness) < 1e-8, 1e-8, skewness)
    return 3 / b * (np.cbrt(1 + b * (t - b / 6)) - 1)


def _largest_finite(values: Float[np.ndarray, "*s n"]) -> Float[np.ndarray, "*s 1"]:
    """The largest finite value of each row, 0 if there is none."""
    most = np.where(np.isposinf(values), -np.inf, values).max(axis=-1, keepdims=True)
    return np.where(np.isneginf(most), 0.0, most)


def _unless(where: Any, value: float, others: Any) -> Any:
    result = np.where(where, value, others)
    return float(result) if result.ndim == 0 else result


def _numbers(values: object) -> Float[np.ndarray, "*s n"]:
    """Numbers of images in float64; positive infinity, the PSNR of a perfect estimate, passes."""
    given = values.detach().cpu().numpy() if isinstance(values, Tensor) and values.dtype == torch.float64 else values
    if isinstance(given, np.ndarray) and given.dtype.kind == "f" and given.size and given.ndim in (1, 2):
        result = given.astype(np.float64)
        if not (np.isnan(result) | np.isneginf(result)).any():
            return result
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
    value: float | Float[np.ndarray, "..."],
    resampled: Float[np.ndarray, "... r"],
    confidence: float,
    method: str,
    *,
    images: int,
) -> Estimate:
    """The estimate `value` with the percentile interval of its bootstrap samples, which lie along the last axis.

    It is for numbers that are no smooth function of means, since it knows no skewness. The percentiles are moved
    outwards, so that for a mean of n normal numbers they are those of Student's t (Hesterberg 2015).
    """
    from scipy.special import ndtr, stdtrit

    confidence = check_confidence(confidence)
    tail = float(ndtr(math.sqrt(images / (images - 1)) * stdtrit(images - 1, (1 - confidence) / 2)))
    ends = [tail, 1 - tail]
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
    result = validate.number(confidence, "confidence")
    if not 0 < result < 1:
        raise ValueError(f"confidence must lie between 0 and 1, got {result:g}; 0.95 is usual")
    return result
