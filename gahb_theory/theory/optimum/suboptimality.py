"""How far a denoiser is from the optimum: the gap in decibels at each noise level, and the gap of the slopes.

    gap = 10 log10 ( E||f - x||^2 / R )   between   10 log10 (risk / upper)   and   10 log10 (risk / lower),

with the Bayes risk R between its bounds (`bayes_risk`). Risk and bounds share images and noise, and the noise of the
posterior draw is integrated out of all, so that their ratios have far smaller intervals than themselves. Slopes are those of
log risk against log sigma^2, by least squares over all levels; that of the optimum is of the middle of the bounds.

Both are sums of logarithms of means over images, and have the intervals of `metrics.intervals` for the jackknife of these. How
often such a 95 % interval holds the logarithm of a ratio of two means that share half of their variance
(`benchmarks/interval_coverage.py`, 20,000 samples each):

    n                           6      8     12     24     64
    log-normal, deviation .5  .959   .956   .953   .953   .951
    log-normal, deviation 1   .939   .936   .935   .943   .945
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from gahb_theory import runs, validate
from gahb_theory.images import ImageClass
from gahb_theory.metrics.errors import Repeat
from gahb_theory.metrics.intervals import Estimate, linear_estimate, mean_estimate
from gahb_theory.stored_results import Result
from gahb_theory.theory.optimum.dispatch import Known, bayes_risks
from gahb_theory.theory.optimum.enclosure import BayesRisk, ordered
from gahb_theory.theory.optimum.orientation import oracle_curves

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Gap", "Optimality", "optimality"]


@dataclass(frozen=True, eq=False)
class Gap:
    """Decibels above the optimum: at least `lower`, at most `upper`, one entry for each noise level, with intervals."""

    lower: Estimate
    upper: Estimate


@dataclass(frozen=True, eq=False, repr=False)
class Optimality(Result):
    """A denoiser beside the optimum.

    Parameters
    ----------
    sigmas
        Noise levels, shape (s,).
    risk
        E||f - x||^2, summed over pixels, one entry for each level.
    bayes
        The Bayes risk at each level.
    gap
        Decibels between them.
    slope_gap
        Slope of f minus slope of the optimum; None for fewer than two different levels, or where the optimum is unknown.
    scores
        Risk at each image, shape (s, n).
    images, seed
        The class of the images, and the seed of those that were drawn.
    """

    sigmas: Float[np.ndarray, " s"]
    risk: Estimate
    bayes: tuple[BayesRisk, ...]
    gap: Gap
    slope_gap: Estimate | None
    scores: Float[np.ndarray, "s n"]
    images: Known
    seed: int

    def oracles(self) -> dict[str, Float[np.ndarray, " s"]]:
        """Risks of oracles at the same images, for orientation: none is a bound (`orientation.oracle_curves`)."""
        return oracle_curves(self.images, self.sigmas.tolist(), self.scores.shape[1], seed=self.seed)

    def to_dict(self) -> dict[str, Any]:
        """All fields as numbers, strings, lists and dictionaries; the class by its settings."""
        described = runs.describe(self.images) if isinstance(self.images, ImageClass) else type(self.images).__name__
        return super().to_dict() | {"images": described}

    def table(self) -> list[dict[str, Any]]:
        """One row for each noise level."""
        rows = []
        ends = (self.risk.value, self.gap.lower.value, self.gap.upper.value, self.gap.lower.low, self.gap.upper.high)
        columns = [np.atleast_1d(values) for values in ends]
        for i, b in enumerate(self.bayes):
            risk, lower, upper, low, high = (float(column[i]) for column in columns)
            rows.append(
                {
                    "sigma": float(self.sigmas[i]),
                    "risk": risk,
                    "bayes_lower": float(b.lower.value),
                    "bayes_upper": float(b.upper.value),
                    "gap_lower_dB": lower,
                    "gap_upper_dB": upper,
                    "gap_low_dB": low,
                    "gap_high_dB": high,
                    "exact": b.exact,
                    "converged": b.converged,
                    "method": b.method,
                }
            )
        return rows

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """Draw risk, Bayes interval and oracles against the noise level, and return the axes."""
        from gahb_theory.report.draw_optimum import draw_optimality
        from gahb_theory.report.figures import axes_or_new

        return draw_optimality(self, axes_or_new(ax))

    def __repr__(self) -> str:
        lines = ["Optimality: dB above the optimum, from .. to, [95 % interval]"]
        for row in self.table():
            ends = f"{row['gap_lower_dB']:6.2f} .. {row['gap_upper_dB']:.2f}"
            lines.append(f"  sigma {row['sigma']:<7.3g} {ends} [{row['gap_low_dB']:.2f}, {row['gap_high_dB']:.2f}]")
        if self.slope_gap is not None:
            lines.append(f"  slope above that of the optimum: {self.slope_gap}")
        return "\n".join(lines)


def optimality(
    f: Callable[[Tensor, float], Tensor],
    X: Known,
    sigmas: float | Sequence[float],
    images: int = 32,
    *,
    seed: int = 0,
    steps: int | None = None,
    minutes: float | None = None,
) -> Optimality:
    """Risk of f, Bayes interval, and the gap between them in decibels, at each noise level.

    The risk of f is that of the same noisy images at which the Bayes risk is enclosed, each scored by the posterior variance
    plus the squared distance of f from the posterior mean.

    Parameters
    ----------
    f
        A denoiser f(y, sigma); it sees float32.
    X, images, seed, steps, minutes
        As for `bayes_risk`; `minutes` for each level. Where the optimum is unknown the gap begins at that to a Wiener filter,
        if f is worse, and has no end.
    sigmas
        Noise levels; a number is one level.

    Raises
    ------
    RuntimeError
        If `f` is a network in train mode, or gives another result at the end than at its first call, as one that draws at
        random does.
    ValueError, TypeError
        If `f` does not return finite images of the shape and type that it was given: found out before chains run.

    See Also
    --------
    gahb_theory.bayes_risk, gahb_theory.benchmark, gahb_theory.excess_risk

    Examples
    --------
    The Wiener filter is the optimum of a Gaussian field, and the identity is not:

    >>> from gahb_theory.images import GaussianField
    >>> o = optimality(lambda y, sigma: y, GaussianField(size=16), [0.1, 0.2], images=4)
    >>> o.gap.lower.value.round(1).tolist()
    [13.6, 15.3]
    """
    validate.denoiser(f)
    levels, seed, own = validate.levels(sigmas), validate.seed(seed), Repeat(f)
    with torch.no_grad():
        if hasattr(X, "sample"):
            one = validate.sampled(X, 1, seed=seed).float()
            validate.warn_of_units(max(levels), one)
            own(one, levels[0])
        bayes = bayes_risks(X, levels, images, seed=seed, steps=steps, minutes=minutes)
        scores = np.stack([b.score(own).numpy() for b in bayes])
        own.check()
    slope = None
    if len(set(levels)) > 1 and all(b.lower.value > 0 for b in bayes):
        middle = (_bounds(bayes, "lower") + _bounds(bayes, "upper")) / 2
        parts = _slope(levels, log_mean_parts(scores) - log_mean_parts(middle))
        value = _slope(levels, np.log(scores.mean(axis=1)) - np.log(middle.mean(axis=1)))
        slope = linear_estimate(float(value), [parts])
    gap = Gap(*ordered(*(_decibels(_bounds(bayes, which), scores) for which in ("upper", "lower"))))
    return Optimality(np.array(levels), mean_estimate(scores), bayes, gap, slope, scores, X, seed)


def _decibels(bounds: Float[np.ndarray, "s n"], scores: Float[np.ndarray, "s n"]) -> Estimate:
    """10 log10 (risk / bound) at each level, infinite where the bound is 0."""
    with np.errstate(divide="ignore"):
        values = 10 * np.log10(scores.mean(axis=1)) - 10 * np.log10(bounds.mean(axis=1))
    return linear_estimate(values, [10 / np.log(10) * (log_mean_parts(scores) - log_mean_parts(bounds))])


def _bounds(bayes: tuple[BayesRisk, ...], which: str) -> Float[np.ndarray, "s n"]:
    """The numbers at each image of which a bound is the mean; those of a closed form are all alike."""
    return np.stack([getattr(b.images, which).numpy() for b in bayes])


def log_mean_parts(values: Float[np.ndarray, "s n"]) -> Float[np.ndarray, "s n"]:
    """What each image adds to the logarithm of the mean of a row, times the number of images, by the jackknife.

    It is n - 1 times what the logarithm loses without the image, up to a constant; 0 where all others are 0. The derivative
    u / mean(u) instead would give intervals of ratios that are a little short where one image is large among few.
    """
    others = values.shape[1] - 1
    rest = (values.sum(axis=1, keepdims=True) - values) / others
    return -others * np.log(rest, out=np.zeros_like(rest), where=rest > 0)


def _slope(levels: tuple[float, ...], logarithms: np.ndarray) -> Any:
    """Least-squares slope against log sigma^2, along the first axis."""
    x = 2 * np.log(np.array(levels))
    x = x - x.mean()
    return np.tensordot(x / (x**2).sum(), logarithms, axes=1)
