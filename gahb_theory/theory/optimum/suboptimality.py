"""How far a denoiser is from the optimum: the gap in decibels at each noise level, and the gap of the slopes.

    gap = 10 log10 ( E||f - x||^2 / R )   between   10 log10 (risk / upper)   and   10 log10 (risk / lower),

with the Bayes risk R between its bounds (`bayes_risk`). Risk and bounds share images and noise, and the noise of the
posterior draw is integrated out of all, so that their ratios have far smaller intervals than themselves. Slopes are those of
log risk against log sigma^2, by least squares over all levels; that of the optimum is of the middle of the bounds.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float
from torch import Tensor

from gahb_theory import validate
from gahb_theory.metrics.intervals import Estimate, bootstrap_means, draw_counts, mean_estimate, percentiles
from gahb_theory.stored_results import Result
from gahb_theory.theory.optimum.dispatch import Known, bayes_risk
from gahb_theory.theory.optimum.enclosure import BayesRisk

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
        Slope of f minus slope of the optimum; None for fewer than two levels, or where the optimum is unknown.
    scores
        Risk at each image, shape (s, n).
    """

    sigmas: Float[np.ndarray, " s"]
    risk: Estimate
    bayes: tuple[BayesRisk, ...]
    gap: Gap
    slope_gap: Estimate | None
    scores: Float[np.ndarray, "s n"]

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
        """Draw risk and Bayes interval against the noise level, and return the axes."""
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
    levels = validate.levels(sigmas)
    bayes = tuple(bayes_risk(X, s, images, seed=seed, steps=steps, minutes=minutes) for s in levels)
    scores = np.stack([b.score(f).numpy() for b in bayes])
    counts = draw_counts(scores.shape[1], seed=seed)
    means = bootstrap_means(scores, counts)
    ends = [_end(bayes, which, scores, means, counts) for which in ("upper", "lower")]
    slope, method = None, f"bootstrap over {scores.shape[1]} images"
    if len(levels) > 1 and all(b.lower.value > 0 for b in bayes):
        value = _slope(levels, scores.mean(axis=1)) - _slope(levels, _middle(bayes, None))
        drawn = _slope(levels, means) - _slope(levels, _middle(bayes, counts))
        slope = percentiles(float(value), drawn, 0.95, method, images=scores.shape[1])
    return Optimality(np.array(levels), mean_estimate(scores), bayes, Gap(*ends), slope, scores)


def _end(
    bayes: tuple[BayesRisk, ...], which: str, scores: np.ndarray, means: np.ndarray, counts: np.ndarray
) -> Estimate:
    """10 log10 (risk / bound) at each level; of a closed form, the risk alone is drawn again."""
    values, drawn = [], []
    for b, score, mean in zip(bayes, scores, means, strict=True):
        bound = getattr(b, which)
        values.append(_decibels(score.mean() / bound.value) if bound.value > 0 else np.inf)
        drawn.append(_decibels(mean / _drawn(b, which, counts)) if bound.value > 0 else np.full(len(mean), np.inf))
    method = f"bootstrap over {scores.shape[1]} images"
    return percentiles(np.array(values), np.stack(drawn), 0.95, method, images=scores.shape[1])


def _drawn(b: BayesRisk, which: str, counts: np.ndarray | None) -> Any:
    """A bound, or its bootstrap means over the same images."""
    bound = getattr(b, which)
    if counts is None or bound.method == "closed form" or b.images is None:
        return bound.value
    values = getattr(b.images, which).numpy()
    if b.lower.value == b.upper.value:  # crossed, or exact
        values = (b.images.lower.numpy() + b.images.upper.numpy()) / 2
    return bootstrap_means(values, counts)


def _middle(bayes: tuple[BayesRisk, ...], counts: np.ndarray | None) -> np.ndarray:
    rows = [(_drawn(b, "lower", counts) + _drawn(b, "upper", counts)) / 2 for b in bayes]
    return np.stack(np.broadcast_arrays(*rows))


def _slope(levels: tuple[float, ...], risk: np.ndarray) -> Any:
    x = 2 * np.log(np.array(levels))
    x = x - x.mean()
    return np.tensordot(x / (x**2).sum(), np.log(risk), axes=1)


def _decibels(ratio: Any) -> Any:
    with np.errstate(invalid="ignore", divide="ignore"):
        return 10 * np.log10(ratio)
