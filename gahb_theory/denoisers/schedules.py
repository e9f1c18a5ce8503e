"""Schedules of diffusions that are published, as tables of a_t^2 for the times 0, 1, ..., T - 1.

    linear     a_t^2 = prod_r (1 - beta_r), beta from 1e-4 to 0.02        (Ho et al. 2020)
    scaled     the same, sqrt(beta) linear from sqrt(0.00085) to sqrt(0.012)   (Rombach et al. 2022)
    cosine     a_t^2 ~ cos^2(pi/2 (t / T + 0.008) / 1.008)                (Nichol and Dhariwal 2021)
    sigmoid    a_t^2 ~ sigmoid(3) - sigmoid(6 t / T - 3)                  (Jabri et al. 2022)

The last two are defined by ratios of neighbours, of which none is below 1e-3, as in the code that is in use.
"""

import math
import operator
from collections.abc import Callable, Iterable
from itertools import accumulate

__all__ = ["SCHEDULES", "cosine", "linear", "scaled_linear", "sigmoid"]


def linear(steps: int = 1000) -> tuple[float, ...]:
    """Return a_t^2 of the linear schedule; for other numbers of steps beta is scaled by 1000 / steps."""
    return _of_betas(1e-4, 0.02, 1, steps)


def scaled_linear(steps: int = 1000) -> tuple[float, ...]:
    """Return a_t^2 of the schedule of latent diffusion, beta scaled as in `linear`."""
    return _of_betas(0.00085, 0.012, 2, steps)


def cosine(steps: int = 1000) -> tuple[float, ...]:
    """Return a_t^2 of the cosine schedule."""
    return _of(lambda t: math.cos(math.pi / 2 * (t + 0.008) / 1.008) ** 2, steps)


def sigmoid(steps: int = 1000) -> tuple[float, ...]:
    """Return a_t^2 of the sigmoid schedule from -3 to 3."""
    return _of(lambda t: _logistic(3.0) - _logistic(6 * t - 3), steps)


def _logistic(v: float) -> float:
    return 1 / (1 + math.exp(-v))


def _of_betas(first: float, last: float, power: int, steps: int) -> tuple[float, ...]:
    """Of beta^(1/power) linear from first to last."""
    ends = first ** (1 / power), last ** (1 / power)
    betas = ((ends[0] + (ends[1] - ends[0]) * t / max(steps - 1, 1)) ** power for t in range(steps))
    return _cumulated(1 - 1000 / steps * beta for beta in betas)


def _of(f: Callable[[float], float], steps: int) -> tuple[float, ...]:
    return _cumulated(max(f((t + 1) / steps) / f(t / steps), 1e-3) for t in range(steps))


def _cumulated(ratios: Iterable[float]) -> tuple[float, ...]:
    return tuple(accumulate(ratios, operator.mul))


SCHEDULES = {"linear": linear, "scaled linear": scaled_linear, "cosine": cosine, "sigmoid": sigmoid}
"""The schedules by their names."""
