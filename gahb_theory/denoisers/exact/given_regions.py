"""Everything about an image given its regions: evidence, posterior mean, posterior covariance, samples.

An image x = sum_r w_r (b_r + mu_r) with known weights w_r, independent Gaussian fields b_r of covariance C and means mu of
the regions is Gaussian given mu. From y = x + sigma z, with

    S = sum_r diag(w_r) C diag(w_r),      Sigma = S + sigma^2 Id,      Q = [y, W]^T Sigma^-1 [y, W],

the evidence of mu is that of a quadratic form, exp(-1/2 (1, -mu) Q (1, -mu)^T) / sqrt(det Sigma), and

    E[x | y, w, mu] = y - sigma^2 Sigma^-1 (y - W mu),      Cov[x | y, w, mu] = sigma^2 Id - sigma^4 Sigma^-1 .

The prior of the means is not Gaussian; it is a weighted set of nodes (a quadrature rule), over which all is summed.

Two forms of the same: `LowRank` keeps r modes of C and takes the rest of it for white noise of the same trace, so that
matrices have R r rows (Woodbury 1950); `Dense` drops nothing and has d rows. `error` bounds what the first costs: the
Kullback-Leibler divergence of a field from its replacement, both seen through the noise, in nats.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple, Protocol

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

__all__ = ["Dense", "GivenRegions", "LowRank", "MeanNodes", "Moments", "given_regions", "legendre", "quick_regions"]

CHUNK_BYTES = 2**26
QUICK_ERROR, MOST_QUICK = 0.1, 48


class Moments(NamedTuple):
    """Log evidence (n,) and posterior mean (n, d), given the regions."""

    log_evidence: Tensor
    mean: Tensor


class MeanNodes(NamedTuple):
    """Means of the R regions at the nodes of a quadrature rule, (1 or n, g, R), and the logarithm of their weights (g,)."""

    means: Tensor
    log_weights: Tensor


class GivenRegions(Protocol):
    """What both forms do: n states, each with weights (n, R, d) and the noisy image (n, d) that it explains."""

    def log_evidence(self, w: Tensor, nodes: MeanNodes, y: Tensor) -> Tensor:
        """Log p(y | regions), up to a constant, shape (n,)."""
        ...

    def moments(self, w: Tensor, nodes: MeanNodes, y: Tensor) -> Moments:
        """Log evidence and posterior mean."""
        ...

    def trace(self, w: Tensor, nodes: MeanNodes, y: Tensor) -> Tensor:
        """The trace of the posterior covariance, (n,): apart, as an inverse costs more than all the rest."""
        ...


@dataclass(frozen=True, eq=False)
class LowRank:
    """Few modes and white noise.

    Parameters
    ----------
    modes
        Eigenvectors of C times the root of their eigenvalues, (d, r).
    table
        Products of two modes in each pixel, (d, r r).
    level, noise
        sigma^2, and sigma^2 plus the variance of a pixel that the modes leave out.
    """

    modes: Float[Tensor, "d r"]
    table: Float[Tensor, "d q"]
    level: float
    noise: float

    def log_evidence(self, w: Float[Tensor, "n R d"], nodes: MeanNodes, y: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
        """Log p(y | regions), up to a constant, shape (n,)."""
        root, products, x = self._factor(w, y)
        return self._weighed(root, products, x, nodes)[0]

    def moments(self, w: Float[Tensor, "n R d"], nodes: MeanNodes, y: Float[Tensor, "n d"]) -> Moments:
        """Log evidence and posterior mean."""
        root, products, x = self._factor(w, y)
        log_evidence, mean, _, half = self._weighed(root, products, x, nodes)
        return Moments(log_evidence, _posterior_mean(y, self.level, mean, self._solved(root, half, w, x)))

    def trace(self, w: Float[Tensor, "n R d"], nodes: MeanNodes, y: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
        """The trace of the posterior covariance."""
        root, products, x = self._factor(w, y)
        _, _, spread, half = self._weighed(root, products, x, nodes)
        inverse = torch.linalg.solve_triangular(root, _eye(root), upper=False).square().sum(dim=(1, 2))
        inverse = (w.shape[2] - root.shape[1] + inverse) / self.noise
        return _posterior_trace(self.level, w.shape[2], inverse, spread, self._solved(root, half, w, x))

    def _solved(self, root: Tensor, half: Tensor, w: Tensor, x: Tensor) -> Tensor:
        """Sigma^-1 [y, W], in rows."""
        n, regions, _ = w.shape
        inner = torch.linalg.solve_triangular(root.mT, half, upper=True)
        fields = inner.reshape(n, regions, self.modes.shape[1], -1).transpose(2, 3) @ self.modes.mT
        return (x - (w[:, :, None] * fields).sum(dim=1) / self.noise) / self.noise

    def _factor(self, w: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Cholesky factor of K = Id + V^T V / noise, V^T [y, W], and [y, W]."""
        n, regions, d = w.shape
        r = self.modes.shape[1]
        K = torch.zeros(n, regions, r, regions, r, dtype=w.dtype, device=w.device)
        own = (w.flatten(0, 1) @ self.table).reshape(n, regions, r, r) / self.noise
        for a in range(regions):
            for b in range(a):  # w_a w_b sums over b to w_a
                shared = ((w[:, a] * w[:, b]) @ self.table).reshape(n, r, r) / self.noise
                K[:, a, :, b], K[:, b, :, a] = shared, shared
                own[:, a] -= shared
                own[:, b] -= shared
        for a in range(regions):
            K[:, a, :, a] = own[:, a]
        K = K.view(n, regions * r, regions * r)
        K.diagonal(dim1=1, dim2=2).add_(1)
        x = torch.cat([y[:, None], w], dim=1)
        products = ((w[:, :, None] * x[:, None]).reshape(-1, d) @ self.modes).reshape(n, regions, -1, r)
        return torch.linalg.cholesky(K), products.transpose(2, 3).reshape(n, regions * r, -1), x

    def _weighed(
        self, root: Tensor, products: Tensor, x: Tensor, nodes: MeanNodes
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        half = torch.linalg.solve_triangular(root, products, upper=False)
        form = (x @ x.mT - half.mT @ half / self.noise) / self.noise
        half_determinant = root.diagonal(dim1=1, dim2=2).log().sum(dim=1)
        return *_over_means(form, half_determinant, nodes), half


@dataclass(frozen=True, eq=False)
class Dense:
    """The whole covariance.

    Parameters
    ----------
    field
        C, (d, d).
    level
        sigma^2.
    """

    field: Float[Tensor, "d d"]
    level: float

    def log_evidence(self, w: Float[Tensor, "n R d"], nodes: MeanNodes, y: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
        """Log p(y | regions), up to a constant, shape (n,)."""
        parts = []
        for part in self._chunks(w):
            root = torch.linalg.cholesky(self._covariance(w[part]))
            x = torch.cat([y[part, None], w[part]], dim=1)
            parts.append(self._weighed(root, x, _some(nodes, part))[0])
        return torch.cat(parts)

    def moments(self, w: Float[Tensor, "n R d"], nodes: MeanNodes, y: Float[Tensor, "n d"]) -> Moments:
        """Log evidence and posterior mean."""
        parts = []
        for part, _, (log_evidence, mean, _, _), solved in self._each(w, nodes, y):
            parts.append(Moments(log_evidence, _posterior_mean(y[part], self.level, mean, solved)))
        return Moments(*(torch.cat(column) for column in zip(*parts, strict=True)))

    def trace(self, w: Float[Tensor, "n R d"], nodes: MeanNodes, y: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
        """The trace of the posterior covariance."""
        parts = []
        for _, root, (_, _, spread, _), solved in self._each(w, nodes, y):
            inverse = torch.cholesky_inverse(root).diagonal(dim1=1, dim2=2).sum(dim=1)
            parts.append(_posterior_trace(self.level, w.shape[2], inverse, spread, solved))
        return torch.cat(parts)

    def _each(
        self, w: Tensor, nodes: MeanNodes, y: Tensor
    ) -> Iterator[tuple[slice, Tensor, tuple[Tensor, ...], Tensor]]:
        """For a few states at a time, the Cholesky factor of Sigma, what the means of regions say, and Sigma^-1 [y, W]."""
        for part in self._chunks(w):
            root = torch.linalg.cholesky(self._covariance(w[part]))
            weighed = self._weighed(root, torch.cat([y[part, None], w[part]], dim=1), _some(nodes, part))
            yield part, root, weighed, torch.linalg.solve_triangular(root.mT, weighed[-1], upper=True).mT

    def covariance(
        self, w: Float[Tensor, "n R d"], nodes: MeanNodes, y: Float[Tensor, "n d"]
    ) -> Float[Tensor, "n d d"]:
        """Cov[x | y, regions] of each state."""
        root = torch.linalg.cholesky(self._covariance(w))
        _, _, spread, half = self._weighed(root, torch.cat([y[:, None], w], dim=1), nodes)
        solved = torch.linalg.solve_triangular(root.mT, half, upper=True).mT[:, 1:]
        inverse = torch.cholesky_inverse(root) - solved.mT @ spread @ solved
        return self.level * torch.eye(w.shape[2], dtype=w.dtype, device=w.device) - self.level**2 * inverse

    def _covariance(self, w: Tensor) -> Tensor:
        total = (w.mT @ w).mul_(self.field)  # sum_r diag(w_r) C diag(w_r) = C o sum_r w_r w_r^T
        total.diagonal(dim1=1, dim2=2).add_(self.level)
        return total

    def _weighed(self, root: Tensor, x: Tensor, nodes: MeanNodes) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        half = torch.linalg.solve_triangular(root, x.mT, upper=False)
        half_determinant = root.diagonal(dim1=1, dim2=2).log().sum(dim=1)
        return *_over_means(half.mT @ half, half_determinant, nodes), half

    def _chunks(self, w: Tensor) -> list[slice]:
        size = max(1, CHUNK_BYTES // (3 * w.element_size() * w.shape[2] ** 2))
        return [slice(first, first + size) for first in range(0, len(w), size)]


def quick_regions(spectrum: tuple[Tensor, Tensor], sigma: float) -> LowRank:
    """A rough form in single precision: an error of 0.1 nats a region, or as many modes as are quick."""
    rank = min(rank_for(spectrum[0], sigma**2, QUICK_ERROR), MOST_QUICK)
    return _low_rank(spectrum, sigma**2, rank, torch.float32)


def given_regions(spectrum: tuple[Tensor, Tensor], sigma: float, error: float) -> LowRank | Dense:
    """The cheaper form, in double precision, whose error is at most `error` nats a region.

    Parameters
    ----------
    spectrum
        Eigenvalues (d,), descending, and eigenvectors (d, d) of C.
    sigma
        Noise level.
    error
        Largest divergence of a field from its replacement.
    """
    values, vectors = spectrum
    rank = rank_for(values, sigma**2, error)
    if 3 * rank > len(values):
        return Dense((vectors * values) @ vectors.mT, sigma**2)
    return _low_rank(spectrum, sigma**2, rank, torch.float64)


def _low_rank(spectrum: tuple[Tensor, Tensor], level: float, rank: int, dtype: torch.dtype) -> LowRank:
    values, vectors = spectrum
    modes = (vectors[:, :rank] * values[:rank].sqrt()).to(dtype)
    table = (modes[:, :, None] * modes[:, None, :]).flatten(1)
    return LowRank(modes, table, level, level + float(values[rank:].sum()) / len(values))


def rank_for(values: Float[Tensor, " d"], level: float, error: float) -> int:
    """The number of modes so that the divergence of N(0, rest + noise) from white noise of the same trace is small."""
    d = len(values)
    remainder = values.flip(0).cumsum(0).flip(0)
    white = remainder / d
    energy = values.square().flip(0).cumsum(0).flip(0) - 2 * white * remainder + d * white.square()
    divergence = energy / (4 * (level + white).square())
    return max(1, int((divergence > error).sum()))


def _over_means(form: Tensor, half_determinant: Tensor, nodes: MeanNodes) -> tuple[Tensor, Tensor, Tensor]:
    """Log evidence, posterior mean (n, R) and covariance (n, R, R) of the means, from the form of [y, W]."""
    means, log_weights = nodes
    square = ((means @ form[:, 1:, 1:]) * means).sum(dim=2)
    cross = (means @ form[:, 1:, :1])[:, :, 0]
    log_joint = log_weights - square / 2 + cross
    log_sum = torch.logsumexp(log_joint, dim=1)
    p = (log_joint - log_sum[:, None]).exp()
    first = (p[:, :, None] * means).sum(dim=1)
    centred = means - first[:, None]
    spread = (p[:, :, None] * centred).mT @ centred
    return log_sum - form[:, 0, 0] / 2 - half_determinant, first, spread


def _posterior_mean(y: Tensor, level: float, mean: Tensor, solved: Tensor) -> Tensor:
    """y - sigma^2 Sigma^-1 (y - W mu), (n, d), from Sigma^-1 [y, W]."""
    return y - level * (solved[:, 0] - torch.einsum("nr,nrd->nd", mean, solved[:, 1:]))


def _posterior_trace(level: float, d: int, inverse: Tensor, spread: Tensor, solved: Tensor) -> Tensor:
    """sigma^2 d - sigma^4 tr Sigma^-1, and what the unknown means add: the trace of solved^T spread solved."""
    between = ((spread @ solved[:, 1:]) * solved[:, 1:]).sum(dim=(1, 2))
    return level * d - level**2 * (inverse - between)


def _some(nodes: MeanNodes, part: slice) -> MeanNodes:
    return nodes if len(nodes.means) == 1 else MeanNodes(nodes.means[part], nodes.log_weights)


def _eye(root: Tensor) -> Tensor:
    return torch.eye(root.shape[1], dtype=root.dtype, device=root.device).expand_as(root)


def legendre(count: int) -> tuple[Tensor, Tensor]:
    """Nodes and weights of Gauss and Legendre on [0, 1]."""
    nodes, weights = _leggauss(count)
    return torch.from_numpy((nodes + 1) / 2), torch.from_numpy(weights / 2)


@cache
def _leggauss(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Those on [-1, 1]; a chain asks for them at every step."""
    nodes, weights = np.polynomial.legendre.leggauss(count)
    return nodes, weights
