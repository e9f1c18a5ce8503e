"""How near two orthonormal sets of atoms are: angles, overlaps, coherence, and what chance would give.

With atoms as rows of U (r, d) and V (m, d), and G = U V^T,

    principal angles       arccos of the singular values of G                        Jordan 1875, Bjorck and Golub 1973
    overlap                ||G||_F^2 / r: the part of the span of U inside that of V
    of random subspaces    mean m / d, variance 2 m (d - r)(d - m) / (r d^2 (d - 1)(d + 2))
    weighted overlap       sum_k lambda_k ||V u_k||^2 / sum_k lambda_k = tr(J P_V) / tr J
    coherence              sqrt(d) max |G_kj|, from 1 (spread evenly) to sqrt(d) (an atom in common)
    Procrustes             min over rotations Q of ||U - Q V||_F^2 = r + m - 2 sum of the singular values of G

G costs more than everything that is computed from it: `Gram` is for several measures of one pair.
"""

import math
from dataclasses import dataclass
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = [
    "Gram",
    "coherence",
    "effective_atoms",
    "overlap_curve",
    "overlap_of_chance",
    "principal_angles",
    "procrustes",
    "weighted_overlap",
]


@dataclass(frozen=True, eq=False)
class Gram:
    """G = U V^T of two orthonormal sets of atoms, in dimension d, and the measures that follow from it."""

    matrix: Float[Tensor, "k m"]
    dimension: int

    def part(self, rank: int) -> "Gram":
        """That of the first atoms of U."""
        return Gram(self.matrix[:rank], self.dimension)

    def principal_angles(self, rank: int) -> Float[Tensor, " rank"]:
        """Between the spans of the first atoms of both, ascending, in radians."""
        return torch.linalg.svdvals(self.matrix[:rank, :rank]).clamp(0, 1).arccos()

    def overlap_curve(self, ranks: Tensor | list[int]) -> Float[Tensor, " ranks"]:
        """Overlap of the first r atoms of both, for each r."""
        counts = torch.as_tensor(ranks, dtype=torch.long, device="cpu")
        # sums over blocks between two ranks first: far fewer than all partial sums
        edges, place = torch.unique(counts, return_inverse=True)
        first, like = int(edges[-1]), self.matrix
        block = torch.bucketize(torch.arange(1, first + 1, device="cpu"), edges).to(like.device)
        rows = like.new_zeros(len(edges), first).index_add_(0, block, self.matrix[:first, :first].square())
        sums = like.new_zeros(len(edges), len(edges)).index_add_(1, block, rows)
        return sums.cumsum(0).cumsum(1).diagonal()[place.to(like.device)] / counts.to(like)

    def weighted_overlap(self, weights: Float[Tensor, " k"], chosen: Tensor) -> float:
        """Part of sum_k lambda_k u_k u_k^T, by trace, that lies in the span of the `chosen` atoms of V."""
        return float((weights * self.matrix[:, chosen].square().sum(dim=1)).sum() / weights.sum())

    def coherence(self) -> float:
        """Largest |<u_k, v_j>| times sqrt(d)."""
        return float(self.matrix.abs().max()) * math.sqrt(self.dimension)

    def effective_atoms(self) -> Float[Tensor, " k"]:
        """Number of atoms of V that each atom of U is spread over."""
        p = self.matrix.square()
        p = p / p.sum(dim=1, keepdim=True).clamp(min=torch.finfo(p.dtype).tiny)
        return torch.special.entr(p).sum(dim=1).exp()

    def procrustes(
        self, eigenvalues: Float[Tensor, " k"], tolerance: float
    ) -> tuple[Float[Tensor, " clusters"], list[int]]:
        """Root mean squared distance of the atoms of each cluster after the best rotation, and their number."""
        ends = (eigenvalues.diff().abs() > tolerance).nonzero()[:, 0].add(1).tolist()
        edges = [0, *ends, len(eigenvalues)]
        sizes = [b - a for a, b in pairwise(edges)]
        distances = []
        for a, b in pairwise(edges):
            nuclear = torch.linalg.svdvals(self.matrix[a:b, a:b]).sum()
            distances.append((2 - 2 * nuclear / (b - a)).clamp(min=0).sqrt())
        return torch.stack(distances), sizes


def principal_angles(u: Float[Tensor, "r d"], v: Float[Tensor, "m d"]) -> Float[Tensor, " angles"]:
    """Principal angles between two spans, ascending, in radians, min(r, m) of them.

    Angles below 1e-4 or so in float32 (1e-8 in float64) are rounding.

    Examples
    --------
    >>> import torch
    >>> principal_angles(torch.eye(3)[:2], torch.eye(3)[1:]).round(decimals=4)
    tensor([0.0000, 1.5708])
    """
    return torch.linalg.svdvals(u @ v.mT).clamp(0, 1).arccos()


def overlap_curve(
    u: Float[Tensor, "k d"], v: Float[Tensor, "m d"], ranks: Float[Tensor, " ranks"] | list[int]
) -> Float[Tensor, " ranks"]:
    """Overlap ||U_r V_r^T||_F^2 / r of the first r atoms of both, for each r.

    Examples
    --------
    >>> import torch
    >>> overlap_curve(torch.eye(4), torch.eye(4).flip(0), [1, 2, 3, 4])
    tensor([0.0000, 0.0000, 0.6667, 1.0000])
    """
    first = int(torch.as_tensor(ranks).max())
    return _gram(u[:first], v[:first]).overlap_curve(ranks)


def overlap_of_chance(r: int, m: int, d: int) -> tuple[float, float]:
    """Mean and standard deviation of the overlap of r atoms with a uniformly random span of dimension m.

    Examples
    --------
    >>> overlap_of_chance(8, 16, 64)[0]
    0.25
    """
    variance = 2 * m * (d - r) * (d - m) / (r * d**2 * (d - 1) * (d + 2)) if d > 1 else 0.0
    return m / d, math.sqrt(variance)


def weighted_overlap(weights: Float[Tensor, " k"], u: Float[Tensor, "k d"], v: Float[Tensor, "m d"]) -> float:
    """Part of sum_k lambda_k u_k u_k^T, by trace, that lies in the span of V.

    Examples
    --------
    >>> import torch
    >>> weighted_overlap(torch.tensor([3.0, 1.0]), torch.eye(4)[:2], torch.eye(4)[:1])
    0.75
    """
    return _gram(u, v).weighted_overlap(weights, torch.ones(len(v), dtype=torch.bool, device=v.device))


def coherence(u: Float[Tensor, "k d"], v: Float[Tensor, "m d"]) -> float:
    """Largest |<u_k, v_j>| times sqrt(d)."""
    return _gram(u, v).coherence()


def effective_atoms(u: Float[Tensor, "k d"], v: Float[Tensor, "m d"]) -> Float[Tensor, " k"]:
    """Number of atoms of V that each atom of U is spread over: the exponential of the entropy of <u_k, v_j>^2.

    Examples
    --------
    >>> import torch
    >>> effective_atoms(torch.tensor([[1.0, 0.0], [0.6, 0.8]]), torch.eye(2)).round(decimals=3)
    tensor([1.0000, 1.9220])
    """
    return _gram(u, v).effective_atoms()


def procrustes(
    eigenvalues: Float[Tensor, " k"], u: Float[Tensor, "k d"], v: Float[Tensor, "k d"], tolerance: float
) -> tuple[Float[Tensor, " clusters"], list[int]]:
    """Root mean squared distance of the atoms of each cluster of eigenvalues, after the best rotation inside it.

    Eigenvectors of near eigenvalues are an arbitrary basis of their span. A cluster is a run of eigenvalues, in descending
    order, where each is within `tolerance` of the one before.

    Returns
    -------
    For each cluster the distance, between 0 (the same span) and sqrt(2) (orthogonal spans), and the number of atoms.

    Examples
    --------
    >>> import torch
    >>> turned = torch.tensor([[0.6, 0.8, 0.0], [-0.8, 0.6, 0.0], [0.0, 0.0, 1.0]])
    >>> procrustes(torch.tensor([0.9, 0.9, 0.2]), torch.eye(3), turned, tolerance=0.01)[1]
    [2, 1]
    """
    return _gram(u, v).procrustes(eigenvalues, tolerance)


def _gram(u: Tensor, v: Tensor) -> Gram:
    return Gram(u @ v.mT, u.shape[1])
