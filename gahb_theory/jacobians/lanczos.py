"""The largest eigenpairs of a symmetric operator that is known by its products alone.

Lanczos iteration with full orthogonalisation and thick restarts (Wu and Simon 2000; Stathopoulos and Saad 1998). The
basis V grows by products with S, and the pairs are those of S on its span,

    V^T S V = Y diag(theta) Y^T,        pairs (theta_k, V y_k),        residuals ||S V y_k - theta_k V y_k|| .

The products S V are kept, so that every residual is measured, and so that the iteration can start from any block of
vectors, for example from the eigenvectors at a neighbouring image.

A Krylov space holds one vector of each eigenspace, so that copies of a repeated eigenvalue can be missed although every
residual is small. The answer is therefore checked on the complement of the basis: where S has an eigenvalue there that is
above the smallest one kept, the iteration goes on (deflation; Parlett, The Symmetric Eigenvalue Problem, 1980, chapter
13).
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gahb_theory import stored_results
from gahb_theory.memory import check_memory
from gahb_theory.progress import progress_bar
from gahb_theory.randomness import Component, step_generator

__all__ = ["RitzPairs", "basis_bytes", "top_eigenpairs"]

ALLOWED = 10.0
"""Eigenvalues that differ by less, in units of tol ||S||, count as equal."""
STRIDE = 2
"""Products between two looks at the residuals, at the least; a twentieth of the basis where that is more."""
SHORTEST_LOOK = 8
"""Products with which the complement is looked at, at the least."""
SAVE_SECONDS = 60.0
"""Time between two checkpoints."""

Apply = Callable[[Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class RitzPairs:
    """Approximate eigenpairs in double precision on the CPU.

    Attributes
    ----------
    values
        Shape (k,), descending.
    vectors
        Orthonormal columns, shape (d, k).
    residuals
        Shape (k,).
    scale
        ||S||, or a little less.
    complete
        False if the iteration stopped early, or could not tell whether larger eigenvalues exist.
    products
        Number of products with S.
    """

    values: Tensor
    vectors: Tensor
    residuals: Tensor
    scale: float
    complete: bool
    products: int


@dataclass(eq=False)
class _Basis:
    """Orthonormal columns V, the products S V, and how many were computed."""

    apply: Apply
    vectors: Tensor
    images: Tensor
    products: int = 0
    random: int = 0

    def extend(self, block: Tensor) -> None:
        """Take a block of directions into the basis; what lies in it already is replaced by random directions."""
        block = self.outside(block)
        image = self.apply(block)
        self.vectors, self.images = torch.cat([self.vectors, block], dim=1), torch.cat([self.images, image], dim=1)
        self.products += block.shape[1]

    def outside(self, block: Tensor) -> Tensor:
        """Orthonormal directions outside the basis that span `block`, as far as it reaches outside."""
        columns: list[Tensor] = []
        for column in block.mT:
            space = torch.cat([self.vectors, *(c[:, None] for c in columns)], dim=1) if columns else self.vectors
            x, size = column, float(column.norm())
            for _ in range(2):  # twice is enough (Parlett 1980, section 6.9)
                x = x - space @ (space.mT @ x)
            while float(x.norm()) <= 1e-10 * size or size == 0:
                self.random += 1
                x, size = _normal(len(column), self.random), 1.0
                for _ in range(3):
                    x = x - space @ (space.mT @ x)
                x, size = x / x.norm(), 0.5
            columns.append(x / x.norm())
        return torch.stack(columns, dim=1)

    def ritz(self) -> tuple[Tensor, Tensor]:
        """Eigenvalues of S on the basis, descending, and the eigenvectors in its coordinates."""
        small = self.vectors.mT @ self.images
        values, rotation = torch.linalg.eigh((small + small.mT) / 2)
        return values.flip(0), rotation.flip(1)

    def rotate(self, rotation: Tensor) -> None:
        """Keep the columns V Y of a rotation Y."""
        self.vectors, self.images = self.vectors @ rotation, self.images @ rotation


def top_eigenpairs(
    apply: Apply,
    dimension: int,
    k: int,
    *,
    tol: float,
    max_iterations: int | None = None,
    start: Tensor | None = None,
    block: int = 1,
    checkpoint: str | Path | None = None,
) -> RitzPairs:
    """The k largest eigenvalues of a symmetric S and their eigenvectors, the same at every call.

    Parameters
    ----------
    apply
        S v for a block of columns, shape (d, m), double precision on the CPU.
    dimension, k
        d and the number of pairs, k at most d / 2.
    tol
        The iteration stops at residuals of tol ||S||. An eigenvalue counts as missed if it is larger than the smallest
        one kept by more than 10 tol ||S||.
    max_iterations
        Number of restarts after which it gives up; 10 d if None. The residuals show what is missing then.
    start
        Vectors near the eigenvectors, shape (d, any), from which the iteration starts; random if None.
    block
        Number of directions in one product.
    checkpoint
        A file (.npz) that holds the basis now and then. Where it exists, the iteration goes on from there; it is
        removed when all pairs have been found.

    Raises
    ------
    ValueError
        If the basis does not fit in the memory of the machine.
    """
    check_memory(basis_bytes(dimension, k, block), "the vectors of the basis", "take fewer pairs, or a smaller image")
    with progress_bar(desc="eigenpairs", unit="product") as bar:
        return _iterate(
            _counted(apply, bar), dimension, k, tol, max_iterations, start, block, checkpoint, _Progress(bar)
        )


def basis_bytes(dimension: int, k: int, block: int = 1) -> int:
    """Largest number of bytes of the basis, its images, and what both are while they are rotated."""
    size = _basis_size(dimension, k, block)
    return 8 * dimension * (2 * size + max(size, k + size) + 10)


def _basis_size(dimension: int, k: int, block: int) -> int:
    return min(dimension, 4 * k + 30 + block)


@dataclass(eq=False)
class _Progress:
    """The products still to come, from how fast the largest residual fell since half of them."""

    bar: Any
    looks: list[tuple[int, float]] = field(default_factory=list)

    def look(self, products: int, excess: float) -> None:
        """Take the largest residual, in units of what is allowed, after so many products."""
        level = math.log(max(excess, 1.0))
        self.looks.append((products, level))
        earlier, before = next(look for look in self.looks if 2 * look[0] >= products)
        if level < before:
            self.bar.total = products + math.ceil(level * (products - earlier) / (before - level))


def _counted(apply: Apply, bar: Any) -> Apply:
    def counted(v: Tensor) -> Tensor:
        result = apply(v)
        bar.update(v.shape[1])
        return result

    return counted


def _iterate(
    apply: Apply,
    dimension: int,
    k: int,
    tol: float,
    max_iterations: int | None,
    start: Tensor | None,
    block: int,
    checkpoint: str | Path | None,
    progress: _Progress,
) -> RitzPairs:
    size = _basis_size(dimension, k, block)
    basis = _begin(apply, dimension, start, block, checkpoint)
    limit, restarts, saved = 10 * dimension if max_iterations is None else max_iterations, 0, time.monotonic()
    while True:
        values, rotation = basis.ritz()
        scale = max(float(values.abs().max()), torch.finfo(values.dtype).tiny)
        top = rotation[:, :k]
        defects = basis.images @ top - basis.vectors @ (top * values[:k])
        residuals = torch.linalg.vector_norm(defects, dim=0)
        full = basis.vectors.shape[1] == dimension
        if len(residuals) == k:
            progress.look(basis.products, float(residuals.max()) / (tol * scale))
        done = len(residuals) == k and bool((residuals <= tol * scale).all())
        if full or (done and not _missed(basis, float(values[k - 1]), tol, scale)) or restarts >= limit:
            if checkpoint is not None and (full or done):
                Path(checkpoint).unlink(missing_ok=True)
            return RitzPairs(values[:k], basis.vectors @ top, residuals, scale, full or done, basis.products)
        if done:
            continue  # the basis now holds what was missed
        stride = max(STRIDE, basis.vectors.shape[1] // 20)
        if basis.vectors.shape[1] + stride * block > size:
            restarts += 1
            basis.rotate(rotation[:, : k + (size - k) // 2])
        if checkpoint is not None and time.monotonic() - saved >= SAVE_SECONDS:
            _save(checkpoint, basis)
            saved = time.monotonic()
        direction = defects[:, residuals.argsort(descending=True)[:block]]
        for _ in range(stride):
            if basis.vectors.shape[1] + direction.shape[1] > dimension:
                direction = direction[:, : dimension - basis.vectors.shape[1]]
            if direction.shape[1] == 0:
                break
            basis.extend(direction)
            direction = basis.images[:, -direction.shape[1] :]


def _begin(apply: Apply, dimension: int, start: Tensor | None, block: int, checkpoint: str | Path | None) -> _Basis:
    empty = torch.empty(dimension, 0, dtype=torch.float64, device="cpu")
    basis = _Basis(apply, empty, empty)
    stored = stored_results.read_arrays(checkpoint) if checkpoint is not None else {}
    if stored:
        vectors, images = (torch.from_numpy(stored[name]) for name in ("vectors", "images"))
        if vectors.shape[0] != dimension or not _same(apply(vectors[:, :1]), images[:, :1]):
            raise ValueError(f"{checkpoint} belongs to another Jacobian; remove it, or name another file")
        return _Basis(apply, vectors, images, int(stored["products"]) + 1, int(stored["random"]))
    basis.extend(torch.stack([_normal(dimension, -1 - i) for i in range(block)], dim=1) if start is None else start)
    return basis


def _missed(basis: _Basis, smallest: float, tol: float, scale: float) -> bool:
    """Whether S has an eigenvalue above `smallest` outside the basis; if so, takes its vector into the basis.

    Lanczos iteration on the complement, until the largest value theta is known to tol ||S||, which a residual of
    sqrt(tol) ||S|| gives, or lies below `smallest` by its residual.
    """
    remaining = basis.vectors.shape[0] - basis.vectors.shape[1]
    outer, steps = basis.vectors, 0
    basis.random += 1
    inner = basis.outside(_normal(len(outer), basis.random)[:, None])
    images = torch.empty(len(outer), 0, dtype=inner.dtype, device=inner.device)
    while True:
        images = torch.cat([images, basis.apply(inner[:, -1:])], dim=1)
        basis.products, steps = basis.products + 1, steps + 1
        if steps == remaining or (steps >= SHORTEST_LOOK and steps % 4 == 0):
            small = inner.mT @ images
            values, rotation = torch.linalg.eigh((small + small.mT) / 2)
            vector, image = inner @ rotation[:, -1], images @ rotation[:, -1]
            outside = image - outer @ (outer.mT @ image)
            residual = float((outside - values[-1] * vector).norm())
            theta = float(values[-1])
            if theta > smallest + ALLOWED * tol * scale:
                basis.vectors = torch.cat([outer, vector[:, None]], dim=1)
                basis.images = torch.cat([basis.images, image[:, None]], dim=1)
                return True
            if steps == remaining or theta + residual <= smallest or residual <= tol**0.5 * scale:
                return False
        residue = images[:, -1:]
        for _ in range(3):
            residue = residue - outer @ (outer.mT @ residue)
            residue = residue - inner @ (inner.mT @ residue)
        if float(residue.norm()) <= 1e-10 * scale:
            residue = _Basis(basis.apply, torch.cat([outer, inner], dim=1), images, random=basis.random).outside(
                residue
            )
            basis.random += 1
        inner = torch.cat([inner, residue / residue.norm()], dim=1)


def _save(checkpoint: str | Path, basis: _Basis) -> None:
    stored_results.write_arrays(
        checkpoint,
        {
            "vectors": basis.vectors.numpy(),
            "images": basis.images.numpy(),
            "products": np.asarray(basis.products),
            "random": np.asarray(basis.random),
        },
    )


def _same(a: Tensor, b: Tensor) -> bool:
    return float((a - b).norm()) <= 1e-3 * float(b.norm())


def _normal(dimension: int, seed: int) -> Tensor:
    """A standard normal vector, another one for each seed."""
    return torch.randn(
        dimension, generator=step_generator("cpu", Component.KRYLOV, seed), dtype=torch.float64, device="cpu"
    )
