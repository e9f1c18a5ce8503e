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

__all__ = ["Atoms", "Posterior", "chunks", "posterior_mean", "precise"]


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
    s2 = precise(sigma).square()
    top = torch.full((len(q),), -torch.inf, dtype=q.dtype, device=q.device)
    total, moment = torch.zeros_like(top), torch.zeros_like(top)
    mean: Tensor | None = None
    for points, values, log_prior in atoms:
        a = precise(points)
        v = a if values is points else precise(values)
        inner = q @ a.mT - torch.linalg.vector_norm(a, dim=1).square() / 2
        logits = precise(log_prior) + inner / s2
        new = torch.maximum(top, logits.detach().amax(dim=1))
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
    log_evidence = top + total.log() - q.square().sum(dim=1) / (2 * s2[:, 0])
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
