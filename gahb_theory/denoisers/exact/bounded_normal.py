"""A number uniform on an interval and seen in Gaussian noise: evidence, posterior mean and posterior variance.

    u uniform on [a, b],  t = u + s z:      p(t) = 1 / (b - a) int_a^b N(t; u, s^2) du,      E[u | t],  Var[u | t] .

The integrals are those of a normal distribution cut off at both ends. They are taken by the rule of Gauss and Legendre on
the part of the interval that is within REACH s of its point nearest to t: no difference of two nearly equal numbers, in
whichever tail.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from gahb_theory.denoisers.exact.given_regions import legendre

__all__ = ["BoundedMoments", "bounded_moments"]

REACH, NODES = 9.0, 40


class BoundedMoments(NamedTuple):
    """Log p(t), E[u | t] and Var[u | t], all of the shape of t."""

    log_evidence: Tensor
    mean: Tensor
    variance: Tensor


def bounded_moments(t: Tensor, s: Tensor | float, low: Tensor | float, high: Tensor | float) -> BoundedMoments:
    """Moments of u uniform on [low, high] given t = u + s z; the arguments are broadcast, low < high.

    Examples
    --------
    >>> found = bounded_moments(torch.zeros(1, dtype=torch.float64), 100.0, -1.0, 1.0)
    >>> round(found.variance.item(), 4)  # that of the uniform distribution
    0.3333
    """
    given = (torch.as_tensor(a, dtype=torch.float64) for a in (t, s, low, high))
    t, spread, least, most = torch.broadcast_tensors(*given)  # type: ignore[no-untyped-call]
    nearest = torch.minimum(torch.maximum(t, least), most)
    first = torch.maximum(least, nearest - REACH * spread)
    width = torch.minimum(most, nearest + REACH * spread) - first
    x, weight = legendre(NODES)
    place = first[..., None] + width[..., None] * x
    log_density = -((place - t[..., None]) / spread[..., None]).square() / 2 + weight.log()
    log_sum = torch.logsumexp(log_density, dim=-1)
    p = (log_density - log_sum[..., None]).exp()
    mean = (p * place).sum(dim=-1)
    variance = (p * (place - mean[..., None]).square()).sum(dim=-1)
    log_scale = (width / (most - least)).log() - spread.log() - math.log(2 * math.pi) / 2
    return BoundedMoments(log_sum + log_scale, mean, variance)
