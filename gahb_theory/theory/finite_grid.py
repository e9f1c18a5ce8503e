"""Where on a finite grid an asymptotic power law may be looked for.

A power law of the risk is seen where many terms are above the noise and many below. With M(sigma) terms above it, out of
d, slopes are fitted here only where

    8 < M(sigma) < d / 8 :

below, the risk is a sum of a few terms; above, all of them are known and the slope tends to 1. For an orthonormal basis
M(sigma) = #{k : c_k^2 > sigma^2}, and up to a factor of 2 it is MSE / sigma^2, the number of degrees of freedom that
the error is worth, which is known for any denoiser (Kadkhodaie, Guth, Simoncelli and Mallat, ICLR 2024, equations 10 to
12).
"""

from dataclasses import replace

import numpy as np
from jaxtyping import Float
from torch import Tensor

from gahb_theory import validate
from gahb_theory.bases.base import Basis
from gahb_theory.metrics.intervals import bootstrap_means, draw_counts, percentiles
from gahb_theory.theory.exact_risks import coefficients
from gahb_theory.theory.rates import SlopeFit, Values, fit_slope

__all__ = ["effective_terms", "fit_slope_in_window", "slope_window", "terms_above"]

FEW = 8
"""At most so many terms are too few, and d over this too many."""
ROUNDING = 1e-9
"""Of a mean number of terms, so that a mean of 8 itself is not inside."""


def terms_above(basis: Basis, x: Float[Tensor, "n c h w"], sigmas: Values) -> Float[np.ndarray, "s n"]:
    """M(sigma), the number of coefficients of each image above the noise level.

    Parameters
    ----------
    basis
        An orthonormal basis; for an adaptive one give ``basis.at(x)``. The coefficients of a redundant frame are more
        than the pixels, so that their number says nothing: it is refused.
    x
        Clean images, shape (n, channels, height, width).
    sigmas
        Noise levels, shape (s,).

    Examples
    --------
    >>> import torch
    >>> from gahb_theory.bases import Pixels
    >>> terms_above(Pixels(), torch.tensor([[[[0.05, 0.3, 0.9]]]]), [0.1, 0.5])
    array([[2.],
           [1.]])
    """
    levels = validate.levels(sigmas)
    c = coefficients(basis, x)[0].abs()
    return np.stack([(c > sigma).sum(dim=1).cpu().numpy() for sigma in levels]).astype(np.float64)


def effective_terms(sigmas: Values, mse: Values) -> Float[np.ndarray, "s ..."]:
    """MSE / sigma^2, the number of terms that the error is worth: sum_k lambda_k for an oracle, tr J at the optimum.

    Parameters
    ----------
    sigmas
        Noise levels, shape (s,).
    mse
        Errors summed over pixels, shape (s,) or (s, n).

    Examples
    --------
    >>> effective_terms([0.1, 0.2], [0.3, 0.4]).round(6)
    array([30., 10.])
    """
    levels, errors = _levels(sigmas), validate.real_array(mse, "mse")
    if errors.shape[:1] != levels.shape:
        raise ValueError(f"mse must have one row for each of the {levels.size} noise levels, got shape {errors.shape}")
    return errors / levels.reshape(-1, *[1] * (errors.ndim - 1)) ** 2


def slope_window(sigmas: Values, terms: Values, dimension: int) -> tuple[float, float]:
    """The smallest and the largest noise level with 8 < M(sigma) < d / 8.

    Parameters
    ----------
    sigmas
        Noise levels, shape (s,).
    terms
        M(sigma), shape (s,), or (s, n) with one column for each image, which are averaged.
    dimension
        d, the number of pixels of an image.

    Raises
    ------
    ValueError
        If fewer than 2 noise levels qualify, or if they have others between them.

    Examples
    --------
    >>> slope_window([0.01, 0.03, 0.1, 0.3, 1.0], [400, 100, 30, 9, 2], dimension=1024)
    (0.03, 0.3)
    """
    levels, counts = _counts(sigmas, terms)
    dimension = validate.integer(dimension, "dimension", FEW**2 + 1)
    mean = counts.mean(axis=1)
    inside = _inside(mean, dimension)
    if np.unique(levels[inside]).size < 2:
        raise ValueError(
            f"a slope needs at least 2 noise levels with {FEW} < M(sigma) < d / {FEW} = {dimension / FEW:g}, got "
            f"{np.unique(levels[inside]).size}: M runs from {mean.min():.3g} to {mean.max():.3g} over sigma in "
            f"[{levels.min():g}, {levels.max():g}]; add noise levels, or take larger images"
        )
    low, high = float(levels[inside].min()), float(levels[inside].max())
    if bool((~inside & (levels > low) & (levels < high)).any()):
        raise ValueError(f"M(sigma) leaves ({FEW}, d / {FEW}) inside [{low:g}, {high:g}]; average over more images")
    return low, high


def fit_slope_in_window(
    sigmas: Values,
    mse: Float[np.ndarray, "s n"] | Float[Tensor, "s n"],
    terms: Values,
    dimension: int,
    confidence: float = 0.95,
    resamples: int = 1000,
    *,
    seed: int = 0,
) -> SlopeFit:
    """Fit the slope of log mean MSE against log sigma^2 where 8 < M(sigma) < d / 8.

    The bootstrap draws images, and for each draw both the mean error and, if `terms` has a column for each image, the
    window anew: the interval says what another set of images could have given, its window included.

    Parameters
    ----------
    sigmas
        Noise levels, shape (s,), all different.
    mse
        Errors of each of at least 2 images, shape (s, n).
    terms
        M(sigma), shape (s,) or (s, n), from `terms_above` or `effective_terms`.
    dimension
        d, the number of pixels of an image.
    confidence, resamples, seed
        As in `gahb_theory.fit_slope`.

    Raises
    ------
    ValueError
        As `slope_window` and `gahb_theory.fit_slope` do.

    Examples
    --------
    >>> from dataclasses import replace

    import numpy as np
    >>> sigmas = np.geomspace(0.01, 1, 9)
    >>> error = np.random.default_rng(0).uniform(1, 2, 50) * sigmas[:, None] ** 1.5
    >>> fit = fit_slope_in_window(sigmas, error, effective_terms(sigmas, error), dimension=1024)
    >>> round(fit.slope, 3), round(fit.window[0], 4), fit.window[1] < 0.1
    (0.75, 0.01, True)
    """
    window = slope_window(sigmas, terms, dimension)
    fit = fit_slope(sigmas, mse, window, confidence, resamples, seed=seed)
    levels, counts = _counts(sigmas, terms)
    errors = validate.real_array(mse, "mse")
    if counts.shape != errors.shape or errors.ndim != 2:
        return fit
    draws = draw_counts(errors.shape[1], resamples, seed=seed)
    used = _inside(bootstrap_means(counts, draws), dimension)
    chosen = (levels >= window[0]) & (levels <= window[1])
    used = np.where(used.sum(axis=0) < 2, chosen[:, None], used)  # a draw without a window has that of all images
    slopes = _slopes(2 * np.log(levels), np.log(bootstrap_means(errors, draws)), used.astype(np.float64))
    method = f"bootstrap over {errors.shape[1]} images and their windows"
    ends = percentiles(fit.slope, slopes, confidence, method, images=errors.shape[1])
    low, high, error = float(ends.low), float(ends.high), float(ends.standard_error)
    return replace(fit, low=low, high=high, standard_error=error, method=method, window=window)


def _slopes(abscissa: np.ndarray, logs: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Least-squares slopes of the columns of `logs` (s, r), with the points that `weight` (s, r) marks."""
    centred = abscissa[:, None] - (weight * abscissa[:, None]).sum(axis=0) / weight.sum(axis=0)
    return (weight * centred * logs).sum(axis=0) / (weight * centred**2).sum(axis=0)


def _inside(terms: np.ndarray, dimension: int) -> np.ndarray:
    return (terms > FEW + ROUNDING) & (terms < dimension / FEW - ROUNDING)


def _levels(sigmas: Values) -> np.ndarray:
    levels = validate.real_array(sigmas, "sigmas", 1)
    if levels.min() <= 0:
        raise ValueError(f"sigmas must be finite and above 0, got values from {levels.min():g}")
    return levels


def _counts(sigmas: Values, terms: Values) -> tuple[np.ndarray, np.ndarray]:
    levels, counts = _levels(sigmas), validate.real_array(terms, "terms")
    if counts.ndim not in (1, 2) or counts.shape[0] != levels.size:
        raise ValueError(
            f"terms must have shape (s,) or (s, n) with s = {levels.size} noise levels, got {counts.shape}; "
            "is it transposed?"
        )
    return levels, counts.reshape(levels.size, -1)
