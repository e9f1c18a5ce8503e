"""Exponents of the risk, and how to read them off a curve.

If the sorted coefficients of an image decay like c_k^2 ~ k^-(alpha + 1), the four statements are one (Kadkhodaie, Guth,
Simoncelli, Mallat, ICLR 2024, section 3 and appendix D; Donoho and Johnstone 1994):

    ||x - x_M||^2 ~ M^-alpha        M(sigma) ~ sigma^(-2 / (alpha + 1))        MSE ~ (sigma^2)^(alpha / (alpha + 1)) ,

so that log MSE against log sigma^2, or output PSNR against input PSNR, has slope alpha / (alpha + 1). It is also the
minimax slope for C^alpha images whose contours are C^alpha (Korostelev and Tsybakov 1993): no estimator does better on the
worst image of the class. The average over a random class, which is what a denoiser is trained for, can only be smaller: its
slope is at least that one as sigma tends to 0, and on a finite grid it is another number. A family with m parameters has
slope 1.

The power law is asymptotic and a pixel grid is finite: look at `local_slopes` before trusting `fit_slope`, and fit inside
the window where they are flat.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from jaxtyping import Float
from torch import Tensor

from gahb_theory import validate
from gahb_theory.metrics.errors import PSNRCurve
from gahb_theory.metrics.intervals import Estimate, bootstrap_means, check_confidence, draw_counts

__all__ = [
    "SlopeFit",
    "Values",
    "decay_to_slope",
    "fit_slope",
    "local_slopes",
    "optimal_slope",
    "power_law_oracle_risk",
]

NO_INTERVAL = "no interval for one curve; give the errors of each image"
"""What the method of a fit without an interval says."""

Values: TypeAlias = Sequence[float | int] | Float[np.ndarray, "..."] | Float[Tensor, "..."]


def optimal_slope(alpha: float) -> float:
    """Slope alpha / (alpha + 1) of the minimax risk of C^alpha images in log MSE against log sigma^2.

    It is that of the worst image as sigma tends to 0. The optimal denoiser of a random class has this slope where that is
    shown, as for the Gaussian fields of amplitudes |k|^-(alpha + 1); in general its slope is at least this one, and on a
    finite grid it is another: with the contour of C^alpha images known, .552, .729 and .808 instead of .5, .667 and .75.

    Parameters
    ----------
    alpha
        Regularity of contours and backgrounds, above 0.

    References
    ----------
    A. P. Korostelev, A. B. Tsybakov, Minimax Theory of Image Reconstruction, 1993.

    Examples
    --------
    >>> optimal_slope(1.0)
    0.5
    """
    exponent = validate.positive(alpha, "alpha")
    return exponent / (exponent + 1)


def decay_to_slope(s: float) -> float:
    """Slope (s - 1) / s of the oracle risk of coefficients that decay like c_k^2 ~ k^-s.

    Parameters
    ----------
    s
        Decay of the sorted squared coefficients, above 1; it is alpha + 1 for an approximation error M^-alpha.

    Examples
    --------
    >>> decay_to_slope(2.0) == optimal_slope(1.0)
    True
    """
    s = validate.positive(s, "s")
    if s <= 1:
        raise ValueError(f"s must be above 1, where the energy sum_k k^-s is finite, got {s}")
    return (s - 1) / s


def power_law_oracle_risk(
    amplitude: float, alpha: float, sigma: float | Float[np.ndarray, "..."]
) -> float | Float[np.ndarray, "..."]:
    """Oracle risk of the coefficients c_k^2 = A k^-(alpha + 1), k = 1, 2, ..., with its exact constant.

    By the formula of Euler and Maclaurin, with p = alpha + 1,

        sum_k c_k^2 sigma^2 / (c_k^2 + sigma^2) = sigma^2 (A / sigma^2)^(1/p) (pi/p) / sin(pi/p) - sigma^2 / 2

    up to terms of the order sigma^4 / A.

    Parameters
    ----------
    amplitude
        A, above 0, in squared units of intensity.
    alpha
        Exponent, above 0.
    sigma
        Noise level, a number or an array; small against the square root of A.

    Examples
    --------
    >>> round(power_law_oracle_risk(amplitude=1.0, alpha=1.0, sigma=0.01), 6)
    0.015658
    """
    decay, amplitude = validate.positive(alpha, "alpha") + 1, validate.positive(amplitude, "amplitude")
    levels = validate.real_array(sigma, "sigma")
    if levels.min() <= 0:
        raise ValueError(f"sigma must be finite and above 0, got {levels.min():g}")
    sigma = levels if levels.ndim else float(levels)
    constant = (math.pi / decay) / math.sin(math.pi / decay)
    return sigma**2 * (amplitude / sigma**2) ** (1 / decay) * constant - sigma**2 / 2


def local_slopes(sigmas: Values | PSNRCurve, mse: Values | None = None) -> Float[np.ndarray, " s"]:
    """Slope d log MSE / d log sigma^2 at each noise level, by differences of second order on the logarithmic grid.

    Parameters
    ----------
    sigmas
        At least 2 different noise levels, shape (s,), in any order; or a `PSNRCurve`, which has its errors with it.
    mse
        Errors, shape (s,), or (s, n) with one column for each image, which are averaged first.

    Returns
    -------
    Shape (s,), in the order of `sigmas`; the two ends have one-sided differences.

    See Also
    --------
    gahb_theory.fit_slope, gahb_theory.psnr_curve

    Examples
    --------
    >>> import numpy as np
    >>> sigmas = np.geomspace(0.01, 1, 5)
    >>> local_slopes(sigmas, sigmas**1.5).round(6)
    array([0.75, 0.75, 0.75, 0.75, 0.75])
    """
    levels, errors = _curve(sigmas, mse)
    order = np.argsort(levels)
    abscissa = 2 * np.log(levels[order])
    if np.any(np.diff(abscissa) == 0):
        raise ValueError("sigmas must all be different for local slopes; average the errors of equal levels first")
    slopes = np.empty_like(levels)
    slopes[order] = np.gradient(np.log(errors.mean(axis=1))[order], abscissa)
    return slopes


@dataclass(frozen=True)
class SlopeFit(Estimate):
    """A fitted slope of log MSE against log sigma^2: an `Estimate`, with the line and where it was fitted.

    Parameters
    ----------
    intercept
        Fitted value of log MSE (natural logarithm) at sigma = 1.
    window
        Smallest and largest noise level of the fit.
    points
        Number of noise levels inside the window.
    """

    intercept: float
    window: tuple[float, float]
    points: int

    @property
    def slope(self) -> float:
        """The least-squares slope, `value`."""
        return float(self.value)

    def __str__(self) -> str:
        return (
            f"slope {self.slope:.3f}{interval_in_words(self)} ({self.method}; {self.points} noise levels in "
            f"[{self.window[0]:.3g}, {self.window[1]:.3g}])"
        )


def interval_in_words(fit: Estimate) -> str:
    """Words such as ", 95 % interval [0.5, 0.6]"; none for a fit without an interval."""
    if np.isnan(fit.low):
        return ""
    return f", {100 * fit.confidence:g} % interval [{fit.low:.3f}, {fit.high:.3f}]"


def fit_slope(
    sigmas: Values | PSNRCurve,
    mse: Values | None = None,
    window: tuple[float, float] | None = None,
    confidence: float = 0.95,
    resamples: int = 1000,
    *,
    seed: int = 0,
) -> SlopeFit:
    """Fit the slope of log mean MSE against log sigma^2 by least squares.

    Errors of each image give a bootstrap over images (studentised, Efron and Tibshirani 1993): it says how far another
    draw of images could move the slope. The images keep their place at all noise levels, so that paired noise is
    treated as it should be. Errors that are already averaged have no interval (its ends are NaN): the residuals of one
    curve are correlated, because the images are the same at all levels and because no curve is a straight line. Student's
    t for independent residuals holds the slope .57 to .64 times instead of .95 where neighbouring levels have a
    correlation of .9.

    Parameters
    ----------
    sigmas
        Noise levels, shape (s,); or a `PSNRCurve`, which has its errors with it: `fit_slope(curve)`.
    mse
        Errors, all above 0, no decibels: shape (s, n), one column for each of at least 2 images (`PSNRCurve.mse_per_image`), or
        their means, shape (s,).
    window
        Smallest and largest noise level to use; None uses all.
    confidence
        Probability of the interval, between 0 and 1.
    resamples, seed
        Number of bootstrap samples, at least 100, and the seed that draws them.

    Raises
    ------
    ValueError
        If fewer than 2 different levels lie in the window, if an error is not above 0, or if the errors are decibels.

    References
    ----------
    B. Efron, R. J. Tibshirani, An Introduction to the Bootstrap, 1993.

    See Also
    --------
    gahb_theory.local_slopes, gahb_theory.psnr_curve

    Examples
    --------
    >>> import numpy as np
    >>> sigmas = np.geomspace(0.01, 1, 9)
    >>> amplitude = np.random.default_rng(0).uniform(1, 2, 50)
    >>> print(fit_slope(sigmas, amplitude * sigmas[:, None] ** 1.5, window=(0.05, 0.6)))
    slope 0.750, 95 % interval [0.750, 0.750] (bootstrap over 50 images; 5 noise levels in [0.0562, 0.562])
    """
    levels, errors = _curve(sigmas, mse)
    confidence = check_confidence(confidence)
    averaged = not isinstance(sigmas, PSNRCurve) and np.ndim(validate.real_array(mse, "mse")) == 1
    resamples, seed = validate.integer(resamples, "resamples", 100), validate.seed(seed)
    inside = _inside(levels, window)
    levels, errors = levels[inside], errors[inside]
    if np.unique(levels).size < 2:
        raise ValueError(
            f"a slope needs at least 2 different noise levels, got {np.unique(levels).size} in the window "
            f"{'of all levels' if window is None else window}; widen the window or add levels to the curve"
        )
    abscissa = 2 * np.log(levels)
    centred = abscissa - abscissa.mean()
    functional = centred / (centred @ centred)  # the slope is this linear form of log MSE
    logs = np.log(errors.mean(axis=1))
    slope = float(functional @ logs)
    intercept = float(logs.mean() - slope * abscissa.mean())
    if averaged:
        method, low, high, error = NO_INTERVAL, math.nan, math.nan, math.nan
    else:
        method = f"bootstrap over {errors.shape[1]} images"
        low, high, error = _studentised(slope, functional, errors, _counts(errors, resamples, seed), confidence)
    window = (float(levels.min()), float(levels.max()))
    return SlopeFit(slope, float(low), float(high), error, confidence, method, intercept, window, levels.size)


def _studentised(
    slope: float, functional: np.ndarray, errors: np.ndarray, counts: np.ndarray, confidence: float
) -> tuple[float, float, float]:
    """Interval slope - q s, with q the quantiles of (slope* - slope) / s* over draws and s the standard error; and s.

    The standard error is that of the linear part of the slope, sum_j w_j e_ij / mean_i e_ij for image i. Quantiles of the
    slope itself would be too narrow for few images.
    """
    n = errors.shape[1]
    means = bootstrap_means(errors, counts)
    parts = (functional[:, None] / means).T @ errors  # linear part of each image, one row for each draw
    spread = (counts * parts**2).sum(axis=1) / n - ((counts * parts).sum(axis=1) / n) ** 2
    deviations = functional @ np.log(means) - slope
    error = float(np.std(functional @ (errors / errors.mean(axis=1, keepdims=True)), ddof=1)) / math.sqrt(n)
    drawn = np.sqrt(spread.clip(min=0) / (n - 1))
    known = drawn > 1e-9
    if not known.any() or error <= 1e-9:
        return slope, slope, error
    ends = np.quantile(deviations[known] / drawn[known], [(1 + confidence) / 2, (1 - confidence) / 2])
    low, high = slope - error * ends
    return float(low), float(high), error


def _counts(errors: np.ndarray, resamples: int, seed: int) -> np.ndarray:
    if errors.shape[1] < 2:
        raise ValueError("a bootstrap over images needs at least 2 images, got 1; give mse of shape (s,) instead")
    return draw_counts(errors.shape[1], resamples, seed=seed)


def _inside(levels: np.ndarray, window: tuple[float, float] | None) -> np.ndarray:
    if window is None:
        return np.ones(levels.shape, dtype=bool)
    ends = validate.real_array(window, "window", 1)
    if len(ends) != 2 or not 0 < ends[0] < ends[1]:
        raise ValueError(
            f"window must be (smallest, largest) noise level with 0 < smallest < largest, got {tuple(ends.tolist()[:3])}"
        )
    low, high = ends
    return (levels >= low * (1 - 1e-9)) & (levels <= high * (1 + 1e-9))


def _curve(sigmas: Values | PSNRCurve, mse: Values | None) -> tuple[np.ndarray, np.ndarray]:
    """Noise levels of shape (s,) and errors of shape (s, n) in float64, checked."""
    if isinstance(sigmas, PSNRCurve):
        if mse is not None:
            raise TypeError("a PSNRCurve has its errors with it; leave mse out")
        mse, sigmas = sigmas.mse_per_image, sigmas.sigmas
    if mse is None:
        raise TypeError("mse, the errors at the noise levels, must be given beside them; or give a PSNRCurve alone")
    levels, errors = validate.real_array(sigmas, "sigmas"), validate.real_array(mse, "mse")
    if levels.ndim != 1 or levels.size < 2:
        raise ValueError(f"sigmas must hold at least 2 noise levels in one row, got shape {levels.shape}")
    if errors.ndim not in (1, 2) or errors.shape[0] != levels.size:
        raise ValueError(
            f"mse must have shape (s,) or (s, n) with s = {levels.size} noise levels, got {errors.shape}; "
            "is it transposed?"
        )
    for values, name in ((levels, "sigmas"), (errors, "mse")):
        if values.min() <= 0:
            raise ValueError(f"{name} must be finite and above 0 to have a logarithm, got values from {values.min():g}")
    errors = errors.reshape(levels.size, -1)
    if _decibels(levels, errors.mean(axis=1)):
        raise ValueError(
            "mse must be squared errors, which grow with the noise, got values that fall as decibels do; give "
            "mse_per_image of a PSNRCurve, or the curve alone"
        )
    return levels, errors


def _decibels(levels: np.ndarray, values: np.ndarray) -> bool:
    """Whether values look like a PSNR: up to 6 dB less for twice the noise, and about that of the noisy image or above.

    Levels from 1 on are no noise in images of [0, 1], but the numbers of terms of other power laws.
    """
    levels, first = np.unique(levels, return_index=True)
    noisy, values = -20 * np.log10(levels), values[first]
    gain, slopes = values - noisy, np.diff(values) / np.diff(noisy)
    return bool(
        len(slopes) > 1
        and levels[0] < 1
        and ((slopes > 0) & (slopes < 1.05)).all()
        and gain.min() > -3
        and gain.max() < 40
    )
