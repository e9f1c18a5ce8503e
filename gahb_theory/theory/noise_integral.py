"""Integrals over all noise levels, of what a denoiser does to one image after the other.

    int q(x, sigma) / sigma^2 d log sigma,    q(x, sigma) = E_z q(x, x + sigma z)

Log sigma is cut into strata of one width. Each draw takes one level at random in each stratum, the same for all images, and
fresh noise for each image and level: the sum has no error of quadrature, and independent draws say how exact it is. Below
and above the range the integrand g = q / sigma^2 is taken to fall like sigma^2 and like sigma^-2, as it does for a smooth
density with moments: each end is closed by g / 2, with g the mean over the last octave brought to the end. If g falls at
least like sigma and 1 / sigma, without a change of sign, what is missing lies between 0 and g, so that g / 2 is its error
as well.
"""

import math
from collections.abc import Callable, Iterator

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from gahb_theory import validate
from gahb_theory.metrics.intervals import Estimate, check_confidence
from gahb_theory.progress import progress_bar
from gahb_theory.randomness import Component, array_generator, normals

__all__ = ["ends", "integrate", "mean_over_draws_and_images", "open_ends", "range_of", "tails"]

BATCH = 128
SLOWEST, CLEARLY = 0.7, 4.0
"""An integrand that falls like sigma has the ratio 1 / 2 from one octave to the next; above this one, by so many standard
errors, it does not fall. Half of a share that is smaller than the standard error of the whole does not matter."""
Integrand = Callable[[Tensor, Tensor, float], Tensor]


def range_of(sigmas: tuple[float, float]) -> tuple[float, float]:
    """The smallest and the largest noise level, checked."""
    low_high = validate.levels(sigmas)
    if len(low_high) != 2 or not low_high[0] < low_high[1]:
        raise ValueError(
            f"sigmas must be the smallest and the largest noise level, such as (0.01, 10.0), got {list(low_high)}"
        )
    return low_high[0], low_high[1]


def integrate(
    integrand: Integrand, x: Tensor, sigmas: tuple[float, float], strata: int, draws: int, seed: int
) -> Float[np.ndarray, "draws strata images"]:
    """The share of each stratum in the integral: q(x, x + sigma z, sigma) / sigma^2 times the width of the stratum.

    Parameters
    ----------
    integrand
        q(clean, noisy, sigma), one number for each image.
    x
        Clean images.
    sigmas
        The range.
    strata, draws
        How often the integrand is evaluated for each image: strata times draws.
    seed
        Names levels and noise; the noise of image i is a function of (seed, i).
    """
    low, high = math.log(sigmas[0]), math.log(sigmas[1])
    width = (high - low) / strata
    offsets = array_generator(Component.LIKELIHOOD, seed).random((draws, strata))
    result = np.empty((draws, strata, len(x)))
    with torch.no_grad(), progress_bar(total=draws * strata, desc="noise levels") as bar:
        for draw, stratum in np.ndindex(draws, strata):
            sigma = math.exp(low + (stratum + offsets[draw, stratum]) * width)
            values = [
                integrand(clean, clean + sigma * z, sigma).double()
                for clean, z in _with_noise(x, seed, draw * strata + stratum)
            ]
            result[draw, stratum] = torch.cat(values).cpu().numpy() * width / sigma**2
            bar.update()
    return result


def _with_noise(x: Tensor, seed: int, part: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Clean images in batches, each with its noise."""
    dtype = torch.float64 if x.dtype == torch.float64 else torch.float32
    for start in range(0, len(x), BATCH):
        clean = x[start : start + BATCH]
        z = normals(
            len(clean),
            clean[0].numel(),
            seed=seed,
            start=start,
            component=Component.LIKELIHOOD,
            part=part,
            dtype=dtype,
        )
        yield clean, z.reshape(clean.shape).to(x)


def ends(shares: Float[np.ndarray, "draws strata images"], sigmas: tuple[float, float]) -> np.ndarray:
    """The integrand g at both ends, shape (2, draws, images), from the last octave or the last stratum."""
    strata = shares.shape[1]
    width = math.log(sigmas[1] / sigmas[0]) / strata
    count = max(1, min(strata, round(math.log(2) / width)))
    octave = count * width
    to_end = 2 * octave / math.expm1(2 * octave)  # mean of sigma^2 over the octave, in units of its end
    return np.stack([part.sum(axis=1) / octave * to_end for part in (shares[:, :count], shares[:, -count:])])


def open_ends(shares: Float[np.ndarray, "draws strata images"], sigmas: tuple[float, float]) -> tuple[bool, bool]:
    """Whether the integrand, averaged over images, clearly falls too slowly below and above the range to be closed.

    Clearly is by 4 standard errors over draws, where the end matters. A range of less than two octaves says nothing.
    """
    strata = shares.shape[1]
    count = max(1, round(math.log(2) * strata / math.log(sigmas[1] / sigmas[0])))
    if 2 * count > strata:
        return False, False
    each = shares.mean(axis=2)
    pairs = ((each[:, :count], each[:, count : 2 * count]), (each[:, -count:], each[:, -2 * count : -count]))
    result = []
    for last, before in pairs:
        sign = np.sign(last.sum())
        size = sign * last.sum(axis=1)
        excess = size - SLOWEST * np.abs(before.sum(axis=1).mean())
        root = len(excess) ** 0.5
        clear = excess.mean() > CLEARLY * excess.std(ddof=1) / root
        result.append(bool(clear and size.mean() / 2 > each.sum(axis=1).std(ddof=1) / root))
    return result[0], result[1]


def tails(shares: Float[np.ndarray, "draws strata images"], sigmas: tuple[float, float]) -> np.ndarray:
    """What lies below and above the range, shape (2, draws, images): half of g at the end."""
    return ends(shares, sigmas) / 2


def mean_over_draws_and_images(
    values: Float[np.ndarray, "draws images"], truncation: float, confidence: float
) -> Estimate:
    """The mean, its interval widened by the truncation error.

    Levels are common to the images of a draw: variances between images and between draws are added. That is slightly too
    much, as the noise of single images is in both.
    """
    from scipy.special import stdtrit

    confidence = check_confidence(confidence)
    draws, n = values.shape
    variance = values.mean(axis=1).var(ddof=1) / draws
    if n > 1:
        variance += values.mean(axis=0).var(ddof=1) / n
    degrees = min(draws, n if n > 1 else draws) - 1
    error, middle = float(variance) ** 0.5, float(values.mean())
    half = float(stdtrit(degrees, (1 + confidence) / 2)) * error + truncation
    return Estimate(
        middle,
        middle - half,
        middle + half,
        error,
        confidence,
        f"t of {draws} draws and {n} images, and {_named(truncation)}",
    )


def _named(truncation: float) -> str:
    """The truncation error in words."""
    if math.isinf(truncation):
        return "an unknown truncation, widen the range"
    return f"truncation {truncation:.2g}"
