"""How alike two images are: the cosine <a, b> / (||a|| ||b||), with or without the mean intensity.

The cosine of two positive images is large whatever they show. Without their means it is their correlation, which is the
convention here (`centred_unit_vectors`); the paper's histograms keep the means (`unit_vectors`). Both are inner products
of unit vectors, so that every comparison of sets is a product of matrices, done in blocks.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gahb_theory import validate
from gahb_theory.precision import full_precision, takes_arrays, wide
from gahb_theory.stored_results import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "Closest",
    "Vectors",
    "centred_unit_vectors",
    "check_pair",
    "closest",
    "cosine_similarity",
    "unit_vectors",
    "vectors_of",
]

Vectors: TypeAlias = Callable[[Tensor], Tensor]
"""Images (n, c, h, w) to unit vectors (n, d), whose inner products are the similarities."""

QUERIES, REFERENCES = 1024, 4096
"""Sides of the blocks of a matrix of similarities."""


def unit_vectors(x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d"]:
    """Images as vectors of length 1, their mean intensity included, in at least float32; a black image is 0."""
    return _normalised(_flat(x))


def centred_unit_vectors(x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d"]:
    """Images less their mean intensity, as vectors of length 1, in at least float32; a constant image is 0."""
    flat = _flat(x)
    centred = flat - flat.mean(dim=1, keepdim=True)
    rounding = 10 * torch.finfo(x.dtype).eps * flat.abs().amax(dim=1, keepdim=True)
    return _normalised(torch.where(centred.abs().amax(dim=1, keepdim=True) > rounding, centred, 0.0))


def vectors_of(vectors: Vectors, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d"]:
    """The vectors of images, one finite row for each, in at least float32."""
    if not callable(vectors):
        raise TypeError(f"vectors must be a function such as unit_vectors, got {type(vectors).__name__}")
    rows = validate.coefficients(vectors(x), name="what vectors returned")
    if len(rows) != len(x):
        raise ValueError(f"vectors must return one row for each of {len(x)} images, got shape {tuple(rows.shape)}")
    return wide(rows)


def _flat(x: Tensor) -> Tensor:
    """Images as rows, none of them allowed."""
    none = isinstance(x, Tensor) and x.ndim == 4 and len(x) == 0
    return wide(x if none else validate.images(x, "x")).flatten(1)


def _normalised(v: Tensor) -> Tensor:
    largest = v.abs().amax(dim=1, keepdim=True)
    v = v / torch.where(largest > 0, largest, 1.0)  # no square leaves the range
    norm = v.square().sum(dim=1, keepdim=True).sqrt()  # summed in pairs, where vector_norm adds one after the other
    return v / torch.where(norm > 0, norm, 1.0)


@full_precision
@takes_arrays
def cosine_similarity(
    a: Float[Tensor, "n c h w"], b: Float[Tensor, "n c h w"], vectors: Vectors = centred_unit_vectors
) -> Float[Tensor, " n"]:
    """Cosine similarity of image i of `a` and image i of `b`.

    Parameters
    ----------
    a, b
        Images, shape (n, channels, height, width).
    vectors
        The convention: `centred_unit_vectors` or `unit_vectors`.

    Returns
    -------
    Shape (n,), in [-1, 1]; 0 for a constant image.

    Examples
    --------
    >>> import torch
    >>> a = torch.tensor([[[[0.1, 0.9]]]])
    >>> round(float(cosine_similarity(a, 1 - a)), 3), round(float(cosine_similarity(a, 1 - a, unit_vectors)), 3)
    (-1.0, 0.22)
    """
    check_pair(a, b)
    return (vectors_of(vectors, a) * vectors_of(vectors, b)).sum(dim=1)


@dataclass(frozen=True, eq=False, repr=False)
class Closest(Result):
    """The k most similar reference images of each of n images.

    Parameters
    ----------
    indices
        Their numbers, the most similar first, shape (n, k).
    similarity
        Their similarities, shape (n, k).
    """

    indices: Int[Tensor, "n k"]
    similarity: Float[Tensor, "n k"]

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """Draw the distribution of the similarities by rank, and return the axes."""
        from gahb_theory.report.draw_results import draw_histograms

        ranks = {f"closest {k + 1}": column.cpu() for k, column in enumerate(self.similarity.mT)}
        return draw_histograms(ranks, ax, "similarity")


@full_precision
@takes_arrays
def closest(
    x: Float[Tensor, "n c h w"],
    reference: Float[Tensor, "m c h w"],
    k: int = 1,
    vectors: Vectors = centred_unit_vectors,
) -> Closest:
    """The k reference images that are most similar to each image.

    The matrix of similarities exists in blocks of 1024 by 4096 only.

    Parameters
    ----------
    x
        Images, shape (n, channels, height, width).
    reference
        Images to search, such as a training set, shape (m, channels, height, width).
    k
        How many, at most m.
    vectors
        The convention: `centred_unit_vectors` or `unit_vectors`.

    Examples
    --------
    >>> import torch
    >>> reference = torch.rand(100, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    >>> closest(0.5 * reference[[7, 3]] + 0.2, reference).indices.tolist()
    [[7], [3]]
    """
    validate.images(x, "x")
    validate.images(reference, "reference")
    check_pair(x[:1], reference[:1], "reference", "x")
    k = validate.integer(k, "k", 1, len(reference))
    indices, similarity = [], []
    for part in torch.split(x, QUERIES):
        u = vectors_of(vectors, part)
        best = torch.empty(len(part), 0, dtype=u.dtype, device=u.device)
        where = torch.empty(len(part), 0, dtype=torch.long, device=u.device)
        for first in range(0, len(reference), REFERENCES):
            block = u @ vectors_of(vectors, reference[first : first + REFERENCES]).mT
            value, position = block.topk(min(k, block.shape[1]), dim=1)
            best, where = torch.cat([best, value], dim=1), torch.cat([where, position + first], dim=1)
            best, order = best.topk(min(k, best.shape[1]), dim=1)
            where = where.gather(1, order)
        indices.append(where)
        similarity.append(best)
    return Closest(torch.cat(indices), torch.cat(similarity))


def check_pair(a: Tensor, b: Tensor, name: str = "b", other: str = "a") -> None:
    """Refuse two sets of images of which image i cannot be compared with image i."""
    validate.images(a, other)
    validate.images(b, name)
    if a.dtype != b.dtype:
        raise TypeError(f"{name} must be {a.dtype} as {other} is, got {b.dtype}; convert it with .to({a.dtype})")
    if a.shape != b.shape:
        raise ValueError(f"{name} must hold images of the same shape, {tuple(a.shape)}, got {tuple(b.shape)}")
    validate.same_device(b, a, name)
