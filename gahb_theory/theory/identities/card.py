"""The card of one denoiser: what theory says of the posterior mean, measured on it.

    symmetry          J = J^T                                          (9), since the posterior mean is a gradient
    homogeneity       f(y) = J y                                       (6), of networks without additive constants only
    positivity        no eigenvalue of J below 0                       (9), since J is a covariance over sigma^2
    SURE              E SURE - MSE = 0                                 (7), for every f that can be differentiated
    trace             MSE - sigma^2 E tr J = 0                         (10), for the posterior mean, and some others
    Tweedie           E <x - f(y), f(y)> = 0,  E sum (x - f(y)) = 0    (3): its error is orthogonal to every function of y
    implied level     ||y - f(y)|| / sqrt(d - tr J) = sigma            (7) and (10) together; for Tweedie's score (3)
    energy            <f(y') - f(y), path> around a closed loop = 0    an energy exists: (3) integrated

A denoiser may pass all of it and not be optimal, see `trace_identity`. Where one fails, homogeneity apart, it is not the
posterior mean of these images: that of a mixture is not homogeneous. The implied level follows from SURE and trace together.
"""

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from gahb_theory import validate
from gahb_theory.jacobians import jacobian
from gahb_theory.jacobians.traces import Trace, exact_trace
from gahb_theory.metrics.errors import mse
from gahb_theory.metrics.intervals import Estimate, check_confidence, linear_estimate, mean_estimate
from gahb_theory.precision import full_precision, takes_arrays, wide
from gahb_theory.randomness import add_noise
from gahb_theory.stored_results import Result

__all__ = ["Card", "verify"]

FEWEST = 4
STEPS, FINEST, SETTLED = 16, 256, 1e-4
"""Points on each side of the loop of the energy, at first and at most, and the change that ends their doubling."""
SIDE = 3.0
"""Side of the loop in units of sigma: short enough not to jump over the modes of a finite set."""
INTERVALS = 5
"""Those that `Card.rows` judges; they hold together with the probability that is asked for (Bonferroni)."""


@dataclass(frozen=True, eq=False, repr=False)
class Card(Result):
    """What theory says of the posterior mean, measured on one denoiser at one noise level; print it or take `rows()`."""

    sigma: float
    asymmetry: float
    """||J - J^T|| / ||J|| at the first image; 0 for a gradient."""
    homogeneity_error: float
    """||J y - f(y)|| / ||f(y)|| at the first image."""
    smallest_eigenvalue: float
    """Of the symmetric part of J at the first image; not below 0 for a posterior mean."""
    mse: Estimate
    """E ||x - f(y)||^2, summed over pixels."""
    sure_gap: Estimate
    """E SURE - MSE; 0 for every f with a weak derivative, if sigma is the true level."""
    trace_gap: Estimate
    """MSE - sigma^2 E tr J; 0 for the posterior mean, and for some others."""
    calibration: Estimate
    """E <x, f(y)> / E ||f(y)||^2; 1 for the posterior mean, and 1 / a for a times it."""
    bias: Estimate
    """Mean of x - f(y) over pixels and images; 0 for the posterior mean."""
    implied_sigma: Estimate
    """Root of E ||y - f||^2 / E (d - tr J); sigma for the posterior mean; NaN if f keeps all noise."""
    circulation: float
    """Work of y - f(y) around a square of 3 sigma, relative to that of the absolute values; 0 if an energy exists."""

    def rows(self) -> list[dict[str, Any]]:
        """One row for each property: its equation, value, what it should be, and whether it is."""

        def inside(estimate: Estimate, value: float) -> bool:
            return bool(estimate.low <= value <= estimate.high)

        result: list[tuple[str, str, float | Estimate, float, bool]] = [
            ("9", "asymmetry", self.asymmetry, 0.0, self.asymmetry < 1e-3),
            ("6", "homogeneity error", self.homogeneity_error, 0.0, self.homogeneity_error < 1e-3),
            ("9", "smallest eigenvalue", self.smallest_eigenvalue, 0.0, self.smallest_eigenvalue > -1e-3),
            ("7", "SURE less MSE", self.sure_gap, 0.0, inside(self.sure_gap, 0.0)),
            ("10", "MSE less sigma^2 tr J", self.trace_gap, 0.0, inside(self.trace_gap, 0.0)),
            ("3", "calibration", self.calibration, 1.0, inside(self.calibration, 1.0)),
            ("3", "bias", self.bias, 0.0, inside(self.bias, 0.0)),
            ("3", "implied sigma", self.implied_sigma, self.sigma, inside(self.implied_sigma, self.sigma)),
            ("3", "circulation", self.circulation, 0.0, self.circulation < 1e-3),
        ]
        names = ("equation", "property", "value", "expected", "holds")
        return [dict(zip(names, row, strict=True)) for row in result]

    def __repr__(self) -> str:
        lines = []
        for row in self.rows():
            value = row["value"]
            shown = (
                f"{value.value:.4g} [{value.low:.4g}, {value.high:.4g}]"
                if isinstance(value, Estimate)
                else f"{value:.4g}"
            )
            verdict = "holds" if row["holds"] else "does not hold"
            lines.append(
                f"({row['equation']}) {row['property']:24}{shown:34} expected {row['expected']:<8.4g} {verdict}"
            )
        return "\n".join(lines)


@full_precision
@takes_arrays
def verify(
    f: Callable[[Tensor, float | Tensor], Tensor],
    images: Float[Tensor, "n c h w"],
    sigma: float,
    *,
    seed: int = 0,
    trace: Trace = exact_trace,
    confidence: float = 0.95,
) -> Card:
    """What theory says of the posterior mean, measured on a denoiser.

    Parameters
    ----------
    f
        A denoiser that torch can differentiate, in eval mode.
    images
        At least 4 clean images that f was not trained on, shape (n, channels, height, width).
    sigma
        Noise level.
    seed
        Names the noise.
    trace
        How tr J is computed: `exact_trace`, or `Hutchinson(probes)` for large images.
    confidence
        Probability, at least, that the intervals of all rows hold together, so that a posterior mean passes as often.

    See Also
    --------
    gahb_theory.verify_theory, gahb_theory.jacobian

    Examples
    --------
    >>> import torch
    >>> import gahb_theory as gt
    >>> x = torch.randn(400, 1, 2, 2, generator=torch.Generator().manual_seed(0))
    >>> card = verify(gt.GaussianDenoiser(torch.zeros(1, 1, 2, 2), torch.eye(4)), x, 0.5)
    >>> all(row["holds"] for row in card.rows())
    True
    """
    x, level = validate.images(images), validate.sigma_level(sigma)
    if len(x) < FEWEST:
        raise ValueError(f"images must hold at least {FEWEST} images, got {len(x)}")
    y = add_noise(x, level, seed=seed)
    with torch.no_grad():
        out = validate.denoised(f, y, level)
    d = x[0].numel()
    errors, residuals = _numbers(mse(x, out)), _numbers(mse(y, out))
    traces = _numbers(trace(f, y, level))
    products, squares = (
        _numbers((wide(x) * wide(out)).flatten(1).sum(1)),
        _numbers(wide(out).square().flatten(1).sum(1)),
    )
    each = 1 - (1 - check_confidence(confidence)) / INTERVALS
    J = jacobian(f, y[:1], level)
    stein = 2 * level**2 * traces + residuals - level**2 * d
    return Card(
        sigma=level,
        asymmetry=J.asymmetry(),
        homogeneity_error=J.homogeneity_error(),
        smallest_eigenvalue=float(J.eigenbasis().eigenvalues[-1]),
        mse=mean_estimate(errors, each),
        sure_gap=mean_estimate(stein - errors, each),
        trace_gap=mean_estimate(errors - level**2 * traces, each),
        calibration=_ratio(products, squares, each),
        bias=mean_estimate(_numbers((wide(x) - wide(out)).flatten(1).mean(1)), each),
        implied_sigma=_implied_level(residuals, d - traces, each),
        circulation=_circulation(f, y, level),
    )


def _implied_level(residuals: np.ndarray, free: np.ndarray, confidence: float) -> Estimate:
    """The root of the mean residual over the mean of d - tr J; NaN where f keeps all of the noise, as the identity does."""
    if free.mean() <= 1e-9 or residuals.mean() <= 0:
        return Estimate(math.nan, math.nan, math.nan, math.nan, confidence, "the residual implies no noise level")
    square = residuals.mean() / free.mean()
    result = linear_estimate(square, [(residuals - square * free) / free.mean()], confidence)
    low, high = (math.sqrt(max(float(end), 0.0)) for end in (result.low, result.high))
    level = math.sqrt(square)
    return Estimate(level, low, high, float(result.standard_error) / (2 * level), confidence, result.method)


def _ratio(above: np.ndarray, below: np.ndarray, confidence: float) -> Estimate:
    """The ratio of two means; NaN where the lower one is 0, as for a denoiser that returns black images."""
    if not below.mean() > 0:
        return Estimate(math.nan, math.nan, math.nan, math.nan, confidence, "f returns 0")
    ratio = float(above.mean() / below.mean())
    return linear_estimate(ratio, [(above - ratio * below) / below.mean()], confidence)


def _circulation(f: Callable[[Tensor, float | Tensor], Tensor], y: Tensor, sigma: float) -> float:
    """Work of the residual around a square at y0 in the directions of y1 and y2, over the work of the absolute values.

    The number of points doubles until the result settles: a denoiser of a finite set, or with kinks, needs more of them.
    """
    a, b = (SIDE * sigma * (other - y[0]) / (other - y[0]).norm().clamp(min=1e-30) for other in (y[1], y[2]))
    corners = [y[0], y[0] + a, y[0] + a + b, y[0] + b, y[0]]
    before, count = math.inf, STEPS
    while True:
        found = _work(f, corners, sigma, count)
        if abs(found - before) <= SETTLED or count >= FINEST:
            return found
        before, count = found, 2 * count


def _work(f: Callable[[Tensor, float | Tensor], Tensor], corners: list[Tensor], sigma: float, count: int) -> float:
    nodes, weights = np.polynomial.legendre.leggauss(count)
    work, size = 0.0, 0.0
    with torch.no_grad():
        for start, end in itertools.pairwise(corners):
            where = torch.as_tensor((nodes + 1) / 2).to(start)[:, None, None, None]
            points = start + where * (end - start)
            residuals = [validate.denoised(f, part, sigma) - part for part in torch.split(points, STEPS)]
            along = (torch.cat(residuals) * (end - start)).flatten(1).sum(dim=1)
            each = along.double().cpu().numpy() * weights / 2
            work, size = work + each.sum(), size + np.abs(each).sum()
    return float(abs(work) / size) if size > 0 else 0.0


def _numbers(values: Tensor) -> np.ndarray:
    return values.detach().cpu().double().numpy()
