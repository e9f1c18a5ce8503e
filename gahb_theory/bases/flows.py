"""Flow banks: the orthogonal transforms of a square along a direction, the atoms of bandlets.

A flow of angle theta and curvature kappa gives each pixel of a square two coordinates, along and across,

    u = cos(theta) X + sin(theta) Y,        t = -sin(theta) X + cos(theta) Y - kappa u^2,

with X to the right, Y downwards, both from -1 to 1. Pixels in the order of t follow the flow line after line, and a
Haar transform of that sequence averages along the flow first and across it afterwards: a permutation and a Haar
transform, so an orthogonal matrix B of order s^2. Any function t that sorts the pixels gives another (Peyre and Mallat
2005).

With p > 1 moments the Haar transform becomes Alpert's (1993): the sequence is halved again and again, V is the space of
functions that are polynomials of degree < p in (u, t) on each part, and the details are orthogonal to it. A straight
flow follows a C^alpha edge to the order of the squared length of the square, so that straight flows alone stop at an
approximation error M^-2; curved flows and p > alpha moments go further (Mallat and Peyre 2008).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from gahb_theory import validate

__all__ = ["FlowBank"]

CHUNK = 2**19
"""Numbers that the search works on at a time: they should stay in the cache of the processor."""
LARGEST_DENSE = 20
LARGEST_SIZE = 64


@dataclass(frozen=True)
class FlowBank:
    """All flows of a square of a given size.

    The angles are (i + 1/2) pi / (4 s), i = 0 .. 4s - 1; those that give the same atoms up to signs count once.

    Parameters
    ----------
    size
        Side s of the square in pixels, at least 2. If it is a power of two and `moments` is 1, transforms are Haar
        butterflies, and s is at most 64; else they are dense matrices, and s is at most 20.
    curvatures
        Values of kappa that are combined with each angle.
    moments
        p: the details of a flow are orthogonal to polynomials of degree < p in (u, t) on their support.

    References
    ----------
    B. Alpert, A class of bases in L2 for the sparse representation of integral operators, SIAM J. Math. Anal., 1993.
    G. Peyre, S. Mallat, Surface compression with geometric bandelets, SIGGRAPH, 2005.
    S. Mallat, G. Peyre, Orthogonal bandlet bases for geometric images approximation, Comm. Pure Appl. Math., 2008.

    Examples
    --------
    >>> [len(FlowBank(size)) for size in (4, 8, 16)]
    [10, 30, 62]
    """

    size: int
    curvatures: tuple[float, ...] = (0.0,)
    moments: int = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "moments", validate.integer(self.moments, "moments", 1, 4))
        object.__setattr__(self, "size", validate.integer(self.size, "size", 2))
        validate.integer(self.size, "size", 2, LARGEST_DENSE if self.is_dense else LARGEST_SIZE)
        if isinstance(self.curvatures, Sequence) and not 0 < len(self.curvatures) <= LARGEST_SIZE:
            raise ValueError(
                f"curvatures must be finite numbers, at least one and at most {LARGEST_SIZE}, got {len(self.curvatures)}; "
                "0.0 is straight"
            )
        curvatures = validate.real_array(self.curvatures, "curvatures", 1)
        object.__setattr__(self, "curvatures", tuple(curvatures.tolist()))

    def __len__(self) -> int:
        return len(_flows(self.size, self.curvatures)[0])

    @property
    def is_dense(self) -> bool:
        """Whether the transforms are matrices rather than butterflies."""
        return self.moments > 1 or self.size & (self.size - 1) != 0

    @property
    def angles(self) -> Float[np.ndarray, " flows"]:
        """Angle theta of each flow in radians, from the direction of a row towards that of a column, in (0, pi)."""
        return _flows(self.size, self.curvatures)[0]

    @property
    def bends(self) -> Float[np.ndarray, " flows"]:
        """Curvature kappa of each flow."""
        return _flows(self.size, self.curvatures)[1]

    @property
    def orders(self) -> Int[np.ndarray, "flows pixels"]:
        """Pixels, row-major, in the order of each flow."""
        return _flows(self.size, self.curvatures)[2]

    @property
    def price(self) -> float:
        """(D s^2)^(1/4) for D flows: how the largest gain of a flow on pure noise grows with the bank."""
        return (len(self) * self.size**2) ** 0.25

    def matrices(
        self, dtype: torch.dtype = torch.float64, device: torch.device | str = "cpu"
    ) -> Float[Tensor, "f p p"]:
        """The orthogonal matrix B of each flow, shape (flows, s^2, s^2): rows are atoms, from coarse to fine."""
        return _matrices(self, dtype, torch.device(device))

    def analysis(self, squares: Float[Tensor, "n p"], flows: Int[Tensor, " n"]) -> Float[Tensor, "n p"]:
        """Coefficients B x of each square along its own flow, 0 .. len(self) - 1."""
        if self.is_dense:
            return _along_each(squares, flows, self.matrices(squares.dtype, squares.device))
        return _haar(squares.gather(1, _orders(self, squares.device)[flows]))

    def synthesis(self, c: Float[Tensor, "n p"], flows: Int[Tensor, " n"]) -> Float[Tensor, "n p"]:
        """Squares B^T c of the coefficients along the flow of each."""
        if self.is_dense:
            return _along_each(c, flows, self.matrices(c.dtype, c.device).mT)
        places = _inverse_orders(self, c.device)[flows]
        return _inverse_haar(c).gather(1, places)

    def costs(self, squares: Float[Tensor, "n p"], threshold: Float[Tensor, " n"]) -> Float[Tensor, "f n"]:
        """Cost sum_m min(c_m^2, T^2) of each square along every flow, shape (flows, n); without gradients."""
        columns, ceiling = squares.detach().mT.contiguous(), threshold.detach().square()
        if self.is_dense:
            matrices = self.matrices(squares.dtype, squares.device)
            return torch.stack([torch.minimum((b @ columns).square_(), ceiling).sum(0) for b in matrices])
        pixels, n = columns.shape
        orders = _orders(self, squares.device)
        width = max(1, min(n, CHUNK // pixels))
        height = max(1, CHUNK // (pixels * width))
        out = torch.empty(len(orders), n, dtype=squares.dtype, device=squares.device)
        for left in range(0, n, width):
            part, level = columns[:, left : left + width].contiguous(), ceiling[left : left + width]
            for top in range(0, len(orders), height):
                some = orders[top : top + height]
                sequences = part.index_select(0, some.flatten()).reshape(len(some), pixels, -1)
                out[top : top + height, left : left + width] = _haar_cost(sequences, level)
        return out


def _haar_cost(sums: Tensor, ceiling: Tensor) -> Tensor:
    """Sum of min(c^2, T^2) over the Haar coefficients c of the middle axis; works on sums, normalised at the end."""
    total, count = torch.zeros_like(sums[:, 0]), 1
    while sums.shape[1] > 1:
        count *= 2
        even, odd = sums[:, 0::2], sums[:, 1::2]
        squared = (even - odd).square_()
        total += _sum(torch.minimum(squared, count * ceiling, out=squared)) / count
        sums = even + odd
    return total + torch.minimum(sums[:, 0].square() / count, ceiling)


def _sum(x: Tensor) -> Tensor:
    """Sum over the middle axis, in an order that does not depend on the other axes; overwrites `x`."""
    while x.shape[1] > 1:
        half = x.shape[1] // 2
        x = torch.add(x[:, :half], x[:, half:], out=x[:, :half])
    return x[:, 0]


def _haar(sequence: Tensor) -> Tensor:
    """Orthonormal Haar transform of the last axis: the mean first, then details from coarse to fine."""
    details = []
    while sequence.shape[-1] > 1:
        even, odd = sequence[..., 0::2], sequence[..., 1::2]
        details.append((even - odd) * math.sqrt(0.5))
        sequence = (even + odd) * math.sqrt(0.5)
    return torch.cat([sequence, *details[::-1]], dim=-1)


def _inverse_haar(c: Tensor) -> Tensor:
    sequence, remainder = c[..., :1], c[..., 1:]
    while remainder.shape[-1]:
        count = sequence.shape[-1]
        detail, remainder = remainder[..., :count], remainder[..., count:]
        pair = torch.stack([sequence + detail, sequence - detail], dim=-1)
        sequence = pair.flatten(-2) * math.sqrt(0.5)
    return sequence


def _along_each(squares: Tensor, flows: Tensor, matrices: Tensor) -> Tensor:
    """Product of each square with the matrix of its flow, one product for each flow in use."""
    out = squares
    for flow in sorted(set(flows.tolist())):
        chosen = (flows == flow).nonzero()[:, 0]
        out = out.index_copy(0, chosen, squares[chosen] @ matrices[flow].mT)
    return out


@lru_cache(maxsize=64)
def _flows(size: int, curvatures: tuple[float, ...]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Angles, curvatures and pixel orders of the distinct flows."""
    angles = np.repeat((np.arange(4 * size) + 0.5) * np.pi / (4 * size), len(curvatures))
    bends = np.tile(np.asarray(curvatures, dtype=np.float64), 4 * size)
    along, across = _coordinates(size, angles, bends)
    orders = np.lexsort((along, across.round(6)), axis=1)
    first = np.sort(np.unique(_sets(orders), axis=0, return_index=True)[1])
    return angles[first], bends[first], orders[first]


def _sets(orders: np.ndarray) -> np.ndarray:
    """A name for what the halvings of a sequence of 2^l pixels see of it: which pixels are in which part.

    Two sequences with the same name have the same Haar coefficients up to signs. Other lengths keep their order.
    """
    flows, pixels = orders.shape
    if pixels & (pixels - 1):
        return orders
    half = 1
    while half < pixels:
        pairs = orders.reshape(flows, -1, 2, half)
        swapped = pairs[:, :, :1, :1] > pairs[:, :, 1:, :1]  # parts begin with their first pixel
        orders = np.where(swapped, pairs[:, :, ::-1], pairs).reshape(flows, pixels)
        half *= 2
    return orders


def _coordinates(size: int, angles: np.ndarray, bends: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates u along and t across each flow, shape (flows, s^2)."""
    axis = (2 * np.arange(size) + 1 - size) / size
    rows, columns = (grid.ravel() for grid in np.meshgrid(axis, axis, indexing="ij"))
    cosine, sine = np.cos(angles)[:, None], np.sin(angles)[:, None]
    along = cosine * columns + sine * rows
    return along, cosine * rows - sine * columns - bends[:, None] * along**2


@lru_cache(maxsize=64)
def _orders(bank: FlowBank, device: torch.device) -> Tensor:
    with torch.inference_mode(False):  # a cached tensor must serve autograd later on
        return torch.from_numpy(bank.orders).to(device)


@lru_cache(maxsize=64)
def _inverse_orders(bank: FlowBank, device: torch.device) -> Tensor:
    with torch.inference_mode(False):
        return torch.from_numpy(bank.orders.argsort(axis=1)).to(device)


@lru_cache(maxsize=32)
def _matrices(bank: FlowBank, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Alpert's construction for all flows at once; with one moment it is a Haar transform, balanced or not."""
    if bank.size > LARGEST_DENSE:
        raise ValueError(f"dense matrices are made for squares of at most {LARGEST_DENSE} pixels, got {bank.size}")
    pixels = bank.size**2
    along, across = _coordinates(bank.size, bank.angles, bank.bends)
    along, across = (np.take_along_axis(z, bank.orders, axis=1) for z in (along, across))
    powers = [(i, degree - i) for degree in range(bank.moments) for i in range(degree, -1, -1)]
    moments = np.stack([along**i * across**j for i, j in powers], axis=-1)
    # each part of the sequence holds an orthonormal basis of its polynomials (flows, atoms, pixels of the part)
    edges = _halved(pixels, len(powers))
    parts = [np.broadcast_to(np.eye(b - a), (len(bank), b - a, b - a)) for a, b in pairwise(edges)]
    details: list[np.ndarray] = []
    while True:
        level: list[np.ndarray] = []
        start = 0
        for i, part in enumerate(parts):
            stop = start + part.shape[2]
            rotation = np.linalg.qr(part @ moments[:, start:stop], mode="complete")[0].swapaxes(1, 2)
            atoms = rotation @ part
            level.append(_padded(atoms[:, len(powers) :], start, pixels))
            parts[i], start = atoms[:, : len(powers)], stop
        details.insert(0, np.concatenate(level, axis=1))
        if len(parts) == 1:
            break
        parts = [_joined(parts[i], parts[i + 1]) for i in range(0, len(parts), 2)]
    atoms = np.concatenate([parts[0], *details], axis=1)
    matrices = np.empty_like(atoms)
    np.put_along_axis(matrices, bank.orders[:, None, :].repeat(pixels, axis=1), atoms, axis=2)
    with torch.inference_mode(False):  # a cached tensor must serve autograd later on
        return torch.from_numpy(matrices).to(dtype).to(device)


def _halved(pixels: int, smallest: int) -> list[int]:
    """Ends of the parts of a sequence that is halved as long as each part keeps at least `smallest` elements."""
    edges = [0, pixels]
    while min(b - a for a, b in pairwise(edges)) >= 2 * smallest:
        edges = sorted({*edges, *((a + b) // 2 for a, b in pairwise(edges))})
    return edges


def _padded(atoms: np.ndarray, start: int, pixels: int) -> np.ndarray:
    return np.pad(atoms, ((0, 0), (0, 0), (start, pixels - start - atoms.shape[2])))


def _joined(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The block diagonal of two bases."""
    return np.concatenate(
        [np.pad(a, ((0, 0), (0, 0), (0, b.shape[2]))), np.pad(b, ((0, 0), (0, 0), (a.shape[2], 0)))], axis=1
    )
