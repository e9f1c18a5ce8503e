"""What it costs a blind denoiser to be homogeneous and the gradient of a potential, where it can be computed.

Images of d pixels lie in a known subspace of rho d dimensions, where they are Gaussian of an amplitude a that differs from
image to image; noise has a standard deviation sigma that the denoiser is not given. With t = 1 + a^2 / sigma^2, for large d the
mean squares s_1 = a^2 + sigma^2 of the noisy image in the subspace and s_2 = sigma^2 outside are known without error, and the
posterior mean is (1 - s_2 / s_1) y in the subspace and 0 outside. It is not the gradient of a potential phi, since

    grad_1 phi = (1 - s_2 / s_1) y_1 ,    grad_2 phi = 0

have mixed derivatives that differ. What is homogeneous of order 1 and a gradient has phi = d s_2 G(s_1 / s_2) / 2
for a function G of one variable, and per pixel and in units of sigma^2 it is further from the image than the posterior mean by

    e(t) = rho t (G'(t) / rho - 1 + 1/t)^2 + (G(t) - t G'(t))^2 / (1 - rho) ,

on top of rho (1 - 1/t). `cost_of_symmetry` minimises the mean of e over images and noise levels. With G' = rho (1 - 1/t), the
first term is zero and the second is the variance of information,

    min E e  <=  rho^2 / (1 - rho) Var log t ,        1/2 log t = I(x; y) per dimension of the subspace

(Shannon 1948). So the cost is zero where all images have one signal-to-noise ratio, and grows with how much images and noise
levels differ in information. Each of three conditions is needed: with sigma given, phi may depend on it and the cost is zero;
with one amplitude, 1 - 1/t = a^2 / s_1 is a function of s_1 alone, and only homogeneity costs; without a potential there is
no cost. This library derived it to explain why conservative denoisers of photographs stay below a Wiener filter while those
of C^alpha images, of few significant coefficients (small rho), do not (`experiments/symmetry_cost.py`).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from gahb_theory import validate
from gahb_theory.stored_results import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["SymmetryCost", "cost_of_symmetry"]

NODES, POINTS = 500, 400


@dataclass(frozen=True, repr=False)
class SymmetryCost(Result):
    """Risks in units of sigma^2 per pixel, and the cost of symmetry in decibels, at each noise level.

    Attributes
    ----------
    sigmas
        Noise levels.
    optimum
        Risk of the posterior mean.
    excess
        What the best homogeneous gradient adds to it.
    information_bound
        rho^2 / (1 - rho) Var log t, which the mean of the excess over all noise levels cannot exceed.
    mean_excess
        The mean over images and noise levels that was minimised.
    """

    sigmas: tuple[float, ...]
    optimum: tuple[float, ...]
    excess: tuple[float, ...]
    information_bound: float
    mean_excess: float

    @property
    def decibels(self) -> tuple[float, ...]:
        """The risk above the optimum, in dB."""
        return tuple(10 * math.log10(1 + excess / best) for excess, best in zip(self.excess, self.optimum, strict=True))

    def to_dict(self) -> dict[str, Any]:
        """All fields, and the decibels."""
        return super().to_dict() | {"decibels": list(self.decibels)}

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """Draw the cost in decibels against sigma, and return the axes."""
        from gahb_theory.report.draw_results import draw_over_noise

        return draw_over_noise(self.sigmas, {"cost": self.decibels}, ax, "above the optimum (dB)")


def cost_of_symmetry(
    sigmas: Sequence[float],
    *,
    fraction: float,
    amplitudes: tuple[float, float],
    trained: tuple[float, float] = (0.007, 2.0),
) -> SymmetryCost:
    """What the best blind denoiser that is homogeneous and a gradient loses to the posterior mean, in high dimension.

    Parameters
    ----------
    sigmas
        Noise levels of the result, inside `trained`.
    fraction
        rho in (0, 1): dimension of the subspace over the number of pixels.
    amplitudes
        Smallest and largest standard deviation of the image in the subspace; its logarithm is uniform between them.
    trained
        The range of noise levels over which the mean of excess / sigma^2 is smallest; log sigma is uniform.

    References
    ----------
    C. E. Shannon, A mathematical theory of communication, 1948 (information of a Gaussian channel).

    Examples
    --------
    >>> cost = cost_of_symmetry([0.1, 1.0], fraction=0.25, amplitudes=(0.02, 0.5))
    >>> [f"{value:.1f}" for value in cost.decibels]
    ['1.6', '7.2']
    """
    levels = validate.levels(sigmas)
    rho = _fraction(fraction)
    smallest, largest = (validate.positive(a, "amplitudes") for a in amplitudes)
    low, high = validate.levels(trained)
    inside = [sigma for sigma in levels if not low <= sigma <= high]
    if inside:
        raise ValueError(f"sigmas must lie in the trained range {[low, high]}, got {inside}")
    if smallest > largest or low >= high:
        raise ValueError("amplitudes and trained are pairs (smallest, largest)")
    log_a = np.log(smallest) + np.log(largest / smallest) * (np.arange(POINTS) + 0.5) / POINTS
    nodes = np.linspace(np.log1p((smallest / high) ** 2), np.log1p((largest / low) ** 2), NODES)
    # the share of noise levels at which log t lies below each node, exactly, and its mean over amplitudes
    log_sigma = log_a[:, None] - np.log(np.expm1(nodes)) / 2
    below = ((np.log(high) - log_sigma) / np.log(high / low)).clip(0, 1).mean(0)
    mass = np.diff(below)
    t, excess = _best(nodes, mass, rho)
    at_levels = np.log1p(np.exp(2 * (log_a[:, None] - np.log(levels))))
    return SymmetryCost(
        tuple(levels),
        tuple((rho * (1 - np.exp(-at_levels))).mean(0).tolist()),
        tuple(np.interp(at_levels, np.log(t), excess).mean(0).tolist()),
        rho**2 / (1 - rho) * float(mass @ (np.log(t) - mass @ np.log(t)) ** 2),
        float(mass @ excess),
    )


def _fraction(fraction: float) -> float:
    rho = validate.number(fraction, "fraction", above=0, most=1)
    if rho == 1:
        raise ValueError("fraction must lie below 1: without a complement nothing tells the noise level")
    return rho


def _best(
    nodes: Float[np.ndarray, " nodes"], mass: Float[np.ndarray, " cells"], rho: float
) -> tuple[Float[np.ndarray, " cells"], Float[np.ndarray, " cells"]]:
    """The middle t of each cell of log t, and e(t) there for the best piecewise linear G: linear least squares."""
    ends, identity = np.exp(nodes), np.eye(len(nodes))
    t = np.exp((nodes[1:] + nodes[:-1]) / 2)
    share = ((t - ends[:-1]) / np.diff(ends))[:, None]
    slope = np.diff(identity, axis=0) / np.diff(ends)[:, None]
    value = (1 - share) * identity[:-1] + share * identity[1:]
    wanted = 1 - 1 / t
    inside, outside = np.sqrt(mass * rho * t)[:, None], np.sqrt(mass / (1 - rho))[:, None]
    rows = np.vstack([inside * slope / rho, outside * (value - t[:, None] * slope)])
    G = np.linalg.lstsq(rows, np.concatenate([inside[:, 0] * wanted, 0 * t]), rcond=None)[0]
    e = rho * t * (slope @ G / rho - wanted) ** 2 + (value @ G - t * (slope @ G)) ** 2 / (1 - rho)
    return t, e
