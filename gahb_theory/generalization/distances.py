"""Whether a denoiser has learned the distribution of its training images, or the images themselves.

Memorisation is dependence on the training set: the variance of the learned function over training sets. Two denoisers
f_A and f_B trained on disjoint sets of the same distribution show it (Kadkhodaie, Guth, Simoncelli and Mallat, ICLR 2024,
section 2):

    PSNR gap             PSNR on training images less PSNR on others                                `psnr_gap`
    function distance    E ||f_A(y) - f_B(y)||^2, twice the variance, against the risk              `function_distance`
    paired samples       similarity of samples drawn by both from the same noise                    `paired_similarity`
    copies               share of samples that are all but equal to a training image                `copies`
    memoriser distance   E ||f(y) - f_N(y)||^2 from the posterior mean f_N of the N training images `memoriser_distance`

A measure means nothing without what it would be by chance or at most, so each brings its reference: the risk, the
similarity of samples that are not paired, the distance of the clean image. All come with confidence intervals over
images. What a Wiener filter of as many training images would have, the linear null, is known from theory: the gap in squared
error of `theory.finite_data_wiener`; in decibels, the ratio of `function_distance`, and the cosine of paired samples of
`hypotheses.linear_null`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from gahb_theory import validate
from gahb_theory.denoisers.base import Denoiser
from gahb_theory.metrics.errors import PSNRCurve, Repeat, psnr_curve
from gahb_theory.metrics.intervals import (
    Estimate,
    check_confidence,
    difference_estimate,
    linear_estimate,
    mean_estimate,
)
from gahb_theory.precision import takes_arrays, wide
from gahb_theory.randomness import add_noise
from gahb_theory.stored_results import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "Distance",
    "PSNRGap",
    "function_distance",
    "memoriser_distance",
    "psnr_gap",
]


@dataclass(frozen=True, eq=False, repr=False)
class PSNRGap(Result):
    """PSNR on training images and on others, at s noise levels, in decibels.

    Parameters
    ----------
    sigmas
        Noise levels, shape (s,).
    train, test
        The two curves, with the errors of each image.
    gap
        PSNR on training images less PSNR on others, shape (s,).
    mean_gap
        Mean of the gap over the noise levels, one number.
    """

    sigmas: Float[np.ndarray, " s"]
    train: PSNRCurve
    test: PSNRCurve
    gap: Estimate
    mean_gap: Estimate

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """Draw the gap over the noise level, and return the axes."""
        from gahb_theory.report.draw_results import draw_over_noise

        return draw_over_noise(self.sigmas, {"gap": self.gap}, ax, "PSNR gap (dB)")


@takes_arrays
def psnr_gap(
    f: Denoiser,
    train: Float[Tensor, "n c h w"],
    test: Float[Tensor, "m c h w"],
    sigmas: Sequence[float] | Float[np.ndarray, " s"],
    *,
    seed: int = 0,
    batch_size: int = 64,
    confidence: float = 0.95,
) -> PSNRGap:
    """PSNR of a denoiser on training images and on others of the same distribution, and the gap between the two.

    Parameters
    ----------
    f
        A denoiser f(y, sigma).
    train, test
        At least 2 images each, shape (n, channels, height, width).
    sigmas
        Noise levels.
    seed
        Names the noise.
    batch_size
        Number of images that are denoised at once.
    confidence
        Probability of the intervals over the images of both sets.

    See Also
    --------
    gahb_theory.copies, gahb_theory.function_distance

    Examples
    --------
    A denoiser that knows nothing has no gap:

    >>> from gahb_theory.images import Disks
    >>> x = Disks(size=16).sample(40)
    >>> result = psnr_gap(lambda y, sigma: y, x[:20], x[20:], [0.1, 0.5])
    >>> bool(abs(result.gap.value).max() < 0.5)
    True
    """
    confidence = check_confidence(confidence)
    for x, name in ((train, "train"), (test, "test")):
        validate.images(x, name, least=2)
    curves = [psnr_curve(f, x, sigmas, seed=seed, batch_size=batch_size) for x in (train, test)]
    seen, fresh = (curve.psnr_per_image for curve in curves)
    gap = difference_estimate(seen, fresh, confidence)
    mean_gap = difference_estimate(seen.mean(axis=0), fresh.mean(axis=0), confidence)
    return PSNRGap(curves[0].sigmas, curves[0], curves[1], gap, mean_gap)


@dataclass(frozen=True, eq=False, repr=False)
class Distance(Result):
    """Mean squared distance of two functions over noisy images, at s noise levels, with what it is measured by.

    Parameters
    ----------
    sigmas
        Noise levels, shape (s,).
    distance
        E ||f_A(y) - f_B(y)||^2, summed over pixels, shape (s,).
    reference
        The squared distance it is compared with, shape (s,).
    ratio
        distance / reference, shape (s,), with the interval of the pairs.
    per_image
        Squared distance of each image, shape (s, n).
    """

    sigmas: Float[np.ndarray, " s"]
    distance: Estimate
    reference: Estimate
    ratio: Estimate
    per_image: Float[np.ndarray, "s n"]

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """Draw distance / reference over the noise level, and return the axes."""
        from gahb_theory.report.draw_results import draw_over_noise

        return draw_over_noise(self.sigmas, {"ratio": self.ratio}, ax, "relative distance")


@takes_arrays
def function_distance(
    f_a: Denoiser,
    f_b: Denoiser,
    x: Float[Tensor, "n c h w"],
    sigmas: Sequence[float] | Float[np.ndarray, " s"],
    *,
    seed: int = 0,
    batch_size: int = 64,
    confidence: float = 0.95,
) -> Distance:
    """Distance E ||f_A(y) - f_B(y)||^2 of two denoisers, relative to the mean of their two risks.

    For denoisers trained alike on independent sets, half the distance is their variance over training sets, the part of
    the risk that comes from the choice of the set. So the ratio is at most about 2: 0 if the training set does not
    matter, 2 if all of the risk comes from it. `gahb_theory.kl_bound(sigmas, distance, 0)` integrates it in the units
    of the divergence of the two distributions.

    Parameters
    ----------
    f_a, f_b
        Two denoisers.
    x
        At least 2 clean images that neither was trained on, shape (n, channels, height, width).
    sigmas, seed, batch_size, confidence
        As in `psnr_gap`.

    Returns
    -------
    The distance; its reference is the mean of the two risks.

    See Also
    --------
    gahb_theory.psnr_gap, gahb_theory.copies

    Examples
    --------
    >>> from gahb_theory.images import Disks
    >>> x = Disks(size=16).sample(20)
    >>> result = function_distance(lambda y, s: y, lambda y, s: 0.9 * y, x, [0.1, 0.5])
    >>> result.ratio.value.round(2)
    array([0.31, 0.03])
    """
    f, g = Repeat(f_a, "f_a"), Repeat(f_b, "f_b")

    def distances(clean: Tensor, y: Tensor, sigma: float) -> tuple[Tensor, Tensor]:
        a, b = wide(f(y, sigma)), wide(g(y, sigma))
        return a - b, torch.stack([a - clean, b - clean]) / 2**0.5

    return _distance(distances, (f, g), x, sigmas, seed, batch_size, confidence)


@takes_arrays
def memoriser_distance(
    f: Denoiser,
    memoriser: Denoiser,
    x: Float[Tensor, "n c h w"],
    sigmas: Sequence[float] | Float[np.ndarray, " s"],
    *,
    seed: int = 0,
    batch_size: int = 64,
    confidence: float = 0.95,
) -> Distance:
    """Distance E ||f(y) - f_N(y)||^2 of a denoiser from a memoriser, relative to E ||x - f_N(y)||^2, its risk.

    The memoriser is what perfect training on N images would give: the posterior mean f_N of those images, or, for a
    bias-free network, which is homogeneous, that of the images at all intensities. The ratio is 0 for the memoriser
    itself, and 1 for a denoiser that would recover x. It says little where f_N is good: give images x it has not seen.

    Parameters
    ----------
    f
        A denoiser.
    memoriser
        The posterior mean of its training images, or any other denoiser to compare with.
    x
        At least 2 clean images of the same distribution that f was not trained on, shape (n, channels, height, width).
    sigmas, seed, batch_size, confidence
        As in `psnr_gap`.

    Returns
    -------
    The distance; its reference is the risk of the memoriser.

    Examples
    --------
    >>> from gahb_theory.images import Disks
    >>> x = Disks(size=16).sample(20)
    >>> only = x[:1]  # the memoriser of one image
    >>> result = memoriser_distance(lambda y, s: y, lambda y, s: only.expand_as(y), x[1:], [0.1])
    >>> bool(0.9 < result.ratio.value[0] < 1.2)
    True
    """
    learned, exact = Repeat(f), Repeat(memoriser, "memoriser")

    def distances(clean: Tensor, y: Tensor, sigma: float) -> tuple[Tensor, Tensor]:
        known = wide(exact(y, sigma))
        return wide(learned(y, sigma)) - known, (known - clean)[None]

    return _distance(distances, (learned, exact), x, sigmas, seed, batch_size, confidence)


def _distance(
    differences: Callable[[Tensor, Tensor, float], tuple[Tensor, Tensor]],
    denoisers: tuple[Repeat, Repeat],
    x: Tensor,
    sigmas: Sequence[float] | np.ndarray,
    seed: int,
    batch_size: int,
    confidence: float,
) -> Distance:
    """Squared norms over noisy images of the two `differences`, of shapes (n, ...) and (m, n, ...), and their ratio."""
    validate.images(x, "x", least=2)
    batch_size, seed = validate.integer(batch_size, "batch_size", 1), validate.seed(seed)
    levels, confidence = validate.levels(sigmas), check_confidence(confidence)
    rows = []
    with torch.no_grad():
        for sigma in levels:
            for start in range(0, len(x), batch_size):
                clean = x[start : start + batch_size]
                apart, reference = differences(wide(clean), add_noise(clean, sigma, seed=seed, start=start), sigma)
                squares = torch.stack([apart.square().sum((1, 2, 3)), reference.square().sum((0, 2, 3, 4))])
                rows.append(squares.cpu().double())
        for denoiser in denoisers:
            denoiser.check()
    both = torch.cat(rows, dim=1).reshape(2, len(levels), len(x)).numpy()
    with np.errstate(invalid="ignore", divide="ignore"):  # a reference of 0 has no ratio
        ratio = both[0].mean(axis=1) / both[1].mean(axis=1)
        parts = (both[0] - ratio[:, None] * both[1]) / both[1].mean(axis=1, keepdims=True)
    return Distance(
        sigmas=np.array(levels),
        distance=mean_estimate(both[0], confidence),
        reference=mean_estimate(both[1], confidence),
        ratio=linear_estimate(ratio, [parts], confidence),
        per_image=both[0],
    )
