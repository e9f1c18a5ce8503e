"""Posterior means over a finite set, in one pass and in a bounded memory.

For atoms a_i with values v_i and log prior weights c_i, seen through noise of standard deviation sigma,

    w_i(q) = softmax_i( c_i - ||q - a_i||^2 / (2 sigma^2) ),        E[v | q] = sum_i w_i(q) v_i .

The sums run over chunks of atoms with a running maximum (online softmax, Milakov and Gimelshein 2018), so nothing
overflows and only one chunk exists at a time. Distances are taken in double precision: their differences matter to one
part in sigma^2 / ||a||^2.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from gahb_theory import validate

__all__ = [
    *("Atoms", "Posterior", "chunks", "gain", "posterior_mean", "precise", "probabilities"),
    *("risk", "single", "squared"),
]


SMALLEST = 1e-280
"""Smallest sigma^2: what it divides, up to 1e20, stays in the range of double precision."""


class Atoms(NamedTuple):
    """A chunk of atoms (b, p), their values (b, v), and their log prior weights (b,)."""

    points: Tensor
    values: Tensor
    log_prior: Tensor


class Posterior(NamedTuple):
    """Posterior mean (q, v), log evidence sum_i exp(...) (q,), and entropy of the weights in nats (q,)."""

    mean: Tensor
    log_evidence: Tensor
    entropy: Tensor


def posterior_mean(queries: Tensor, atoms: Iterable[Atoms], sigma: Tensor) -> Posterior:
    """Posterior mean of the values at each query (q, p), for noise levels of shape (q, 1) or (1, 1)."""
    q = precise(queries)
    s2 = squared(sigma)
    top = torch.full((len(q),), -torch.inf, dtype=q.dtype, device=q.device)
    evidence_at_top = torch.zeros_like(top)
    total, moment = torch.zeros_like(top), torch.zeros_like(top)
    mean: Tensor | None = None
    for points, values, log_prior in atoms:
        a = precise(points)
        v = a if values is points else precise(values)
        inner = q @ a.mT - torch.linalg.vector_norm(a, dim=1).square() / 2
        logits = precise(log_prior) + inner / s2
        highest, best = logits.detach().max(dim=1)
        nearest = precise(log_prior)[best] - (q.detach() - a[best]).square().sum(dim=1) / (2 * s2[:, 0])
        evidence_at_top = torch.where(highest > top, nearest, evidence_at_top)
        new = torch.maximum(top, highest)
        weights, scale = (logits - new[:, None]).exp(), (top - new).exp()
        scale = torch.where(torch.isinf(top), torch.zeros_like(scale), scale)
        part = weights @ v
        mean = part if mean is None else mean * scale[:, None] + part
        shifted = torch.where(torch.isinf(top), torch.zeros_like(top), top - new)
        moment = (moment + shifted * total) * scale + (weights * (logits - new[:, None])).sum(dim=1)
        total = total * scale + weights.sum(dim=1)
        top = new
    assert mean is not None
    entropy = total.log() - moment / total
    # its value from the distance to the nearest atom, where no digits are lost, its derivative from ||q||^2
    slope = q.square().sum(dim=1) / (2 * s2[:, 0])
    log_evidence = evidence_at_top + total.log() - (slope - slope.detach())
    return Posterior(mean / total[:, None], log_evidence, entropy)


def chunks(points: Tensor, values: Tensor, log_prior: Tensor, rows: int, budget: int) -> Iterator[Atoms]:
    """Chunks of atoms so that they, in double precision, and their weights at `rows` queries fit into `budget` bytes."""
    each = 8 * (points.shape[1] + values.shape[1] + 3 * rows)
    size = max(1, budget // each)
    for start in range(0, len(points), size):
        part = points[start : start + size]
        same = values is points
        yield Atoms(part, part if same else values[start : start + size], log_prior[start : start + size])


def precise(x: Tensor) -> Tensor:
    """Double precision where the device has it."""
    return x if x.device.type == "mps" else x.double()


def single(dtype: torch.dtype) -> torch.dtype:
    """Return at least single precision, in which sums over pixels are taken."""
    return torch.promote_types(dtype, torch.float32)


def squared(sigma: Tensor) -> Tensor:
    """Return sigma^2 in double precision; levels whose square leaves its range are refused."""
    s2 = precise(sigma).square()
    if not torch.compiler.is_compiling() and not torch._C._functorch.is_batchedtensor(s2):
        lowest, highest = float(s2.min()), float(s2.max())
        if not (lowest >= SMALLEST and highest <= 1 / SMALLEST):
            raise ValueError(
                f"sigma must lie in [{SMALLEST**0.5:.0e}, {SMALLEST**-0.5:.0e}] for this denoiser, which computes with its "
                f"square, got {float(sigma.min()):g} to {float(sigma.max()):g}"
            )
    return s2


def gain(variances: Tensor, sigma: Tensor | float) -> Tensor:
    """Return s / (s + sigma^2), and 0 where s is: no square that would overflow, no 0 / 0 at sigma = 0."""
    positive = variances > 0
    safe = torch.where(positive, variances, torch.ones_like(variances))
    gains = 1 / (1 + sigma * (sigma / safe))
    return torch.where(positive, gains, torch.zeros_like(gains))


def risk(variances: Tensor, sigma: Tensor | float) -> Tensor:
    """Return s sigma^2 / (s + sigma^2) in double precision, as exact at small sigma as at large."""
    s = precise(variances)
    level = torch.as_tensor(sigma, dtype=s.dtype, device=s.device)
    return torch.where(s > 0, s / (1 + s / level / level), torch.zeros_like(s))


def probabilities(weights: Tensor | None, count: int, like: Tensor) -> Tensor:
    """Return prior weights as probabilities, those given or equal ones, in the precision and on the device of `like`."""
    if weights is None:
        return torch.full((count,), 1 / count, dtype=like.dtype, device=like.device)
    given = validate.real_array(weights, "weights", 1)
    if given.shape != (count,) or not (given > 0).all():
        raise ValueError(
            f"weights must be {count} positive numbers, got shape {given.shape}, the smallest {given.min():g}"
        )
    return torch.as_tensor(given / given.sum()).to(like)
