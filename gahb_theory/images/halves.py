"""Two disjoint halves of a set of images, without near-duplicates: what a test of generalisation starts from.

Two denoisers trained on disjoint halves agree if they have learned the distribution, and disagree if they have memorised their
images (Kadkhodaie, Guth, Simoncelli and Mallat, ICLR 2024, section 2). An image that is nearly the same in both halves
would let memorisation pass for agreement, so of two images whose similarity exceeds 0.95 the later one goes.

All pairs are compared, but most of them by a bound. If P projects on a few directions, then for unit vectors u and v

    <u, v>  <=  <P u, P v> + sqrt(1 - ||P u||^2) sqrt(1 - ||P v||^2) ,

which is an inner product of 1 + rank numbers. Pairs whose bound is below the threshold need no other look.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.utils.data import Dataset

from gahb_theory import runs, validate
from gahb_theory.images.stream import as_images, items, stacked
from gahb_theory.metrics.similarity import Vectors, centred_unit_vectors, vectors_of
from gahb_theory.precision import takes_arrays
from gahb_theory.progress import progress_bar
from gahb_theory.stored_results import Result

__all__ = ["Duplicates", "Split", "distinct", "near_duplicates", "split"]

ROWS, COLUMNS = 1024, 8192
"""Sides of the blocks of the matrix of bounds."""
RANK, FITTED = 64, 1024
"""Directions of the bound, the principal ones of the first images, so many."""
CROWDED = 0.02
"""If more of a block than this must be looked at, its similarities are computed as one product of matrices."""
PAIR_NUMBERS = 2**23
"""Numbers in a batch of pairs that are looked at one by one."""
ROUNDING = 1e-5
REDUCED_SIDE = 20
"""Largest side of the images that `near_duplicates` compares."""


@dataclass(frozen=True, eq=False, repr=False)
class Split(Result):
    """Two disjoint sets of n distinct images.

    Parameters
    ----------
    first, second
        The images, shape (n, channels, height, width) each.
    first_indices, second_indices
        Their places in the set that was split, ascending, shape (n,).
    removed
        Places of the near-duplicates, shape (r,).
    threshold
        Similarity above which an image was removed.
    hashes
        The sha256 of the two sets (values, dtype and shape).
    """

    first: Float[Tensor, "n c h w"]
    second: Float[Tensor, "n c h w"]
    first_indices: Int[Tensor, " n"]
    second_indices: Int[Tensor, " n"]
    removed: Int[Tensor, " r"]
    threshold: float
    hashes: tuple[str, str]


@takes_arrays
def split(
    images: Float[Tensor, "m c h w"] | Dataset[Any],
    n: int | None = None,
    threshold: float = 0.95,
    vectors: Vectors = centred_unit_vectors,
) -> Split:
    """Remove near-duplicates, then take the first n and the last n of the images that are left.

    For a smaller n the sets are the beginnings and the ends of those for a larger n, so that a sweep over n has nested
    training sets. Images whose order means something should be shuffled first.

    Parameters
    ----------
    images
        Shape (m, channels, height, width), or a Dataset with a length, of images (c, h, w) or tuples that begin with one.
    n
        Size of each set; None takes as many as there are.
    threshold
        Of two images with a similarity above this, in (0, 1), the later one is removed.
    vectors
        The convention of the similarity: `centred_unit_vectors` or `unit_vectors`.

    Raises
    ------
    ValueError
        If fewer than 2 n distinct images are left.

    Examples
    --------
    >>> import torch
    >>> x = torch.rand(20, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    >>> halves = split(torch.cat([x, x]), n=8)
    >>> halves.first_indices.tolist(), halves.second_indices.tolist(), len(halves.removed)
    ([0, 1, 2, 3, 4, 5, 6, 7], [12, 13, 14, 15, 16, 17, 18, 19], 20)
    """
    images = as_images(images)
    keep = distinct(images, threshold, vectors)
    left = keep.nonzero()[:, 0]
    wanted = len(left) // 2 if n is None else validate.integer(n, "n", 1)
    if wanted < 1 or 2 * wanted > len(left):
        raise ValueError(
            f"two disjoint halves of {max(wanted, 1)} images need {2 * max(wanted, 1)} distinct ones, got {len(left)}: "
            f"{len(images) - len(left)} of {len(images)} are near-duplicates at the threshold {threshold}; "
            "lower n or bring more images"
        )
    places = left[:wanted], left[len(left) - wanted :]
    first, second = images[places[0]], images[places[1]]
    hashes = runs.fingerprint(first), runs.fingerprint(second)
    return Split(first, second, *places, (~keep).nonzero()[:, 0], threshold, hashes)


@takes_arrays
def distinct(
    images: Float[Tensor, "m c h w"] | Dataset[Any],
    threshold: float = 0.95,
    vectors: Vectors = centred_unit_vectors,
) -> Bool[Tensor, " m"]:
    """Which images to keep so that no two of them are more similar than `threshold`: the earlier one of each pair.

    Beside the images, memory holds 65 numbers for each of them and one block of similarities.

    Parameters
    ----------
    images, threshold, vectors
        As in `split`.

    Returns
    -------
    Shape (m,). An image goes if it is too similar to an earlier one that stays.
    """
    images = as_images(images)
    threshold = validate.number(threshold, "threshold", above=0.0, below=1.0)
    sketches = _sketches(images, vectors)
    keep = torch.ones(len(images), dtype=torch.bool, device=images.device)
    everything = torch.arange(len(images), device=images.device)
    for rows in torch.split(everything, ROWS):
        earlier = everything[: int(rows[0])][keep[: int(rows[0])]]
        for columns in torch.split(earlier, COLUMNS):
            rows = rows[keep[rows]]
            i, _ = _similar_pairs(images, sketches, rows, columns, threshold, vectors)
            keep[rows[i]] = False
        rows = rows[keep[rows]]
        i, j = _similar_pairs(images, sketches, rows, rows, threshold, vectors)
        alike = torch.zeros(len(rows), len(rows), dtype=torch.bool, device=images.device)
        alike[i, j] = True
        stays = torch.ones(len(rows), dtype=torch.bool, device=images.device)
        for row in sorted(set(i[i > j].tolist())):  # only those that are like an earlier one
            stays[row] = not bool((alike[row, :row] & stays[:row]).any())
        keep[rows] = stays
    return keep


class Duplicates(NamedTuple):
    """Pairs of near-duplicates."""

    pairs: Int[Tensor, "p 2"]
    """Indices i < j, in ascending order."""
    similarity: Float[Tensor, " p"]
    keep: Int[Tensor, " k"]
    """Indices of the images that are left if of each pair the later one is removed."""


@takes_arrays
def near_duplicates(
    images: Float[Tensor, "n c h w"] | Dataset[Any], threshold: float = 0.95, block: int = 2048
) -> Duplicates:
    """Pairs of images whose cosine similarity, of at most 20 x 20 pixels without their means, exceeds a threshold.

    This is the comparison of Kadkhodaie et al. 2024, figure 6 and appendix A; a constant image is like no other.

    Parameters
    ----------
    images
        A tensor (n, c, h, w), or a Dataset with a length, of images (c, h, w) or tuples that begin with one.
    threshold
        In (0, 1).
    block
        Images are compared in blocks of this many: the memory is block^2 similarities beside the reduced images.

    Examples
    --------
    >>> import torch
    >>> x = torch.rand(4, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    >>> near_duplicates(torch.cat([x, 0.5 * x[1:2] + 0.1])).pairs
    tensor([[1, 4]])
    """
    threshold = validate.number(threshold, "threshold", above=0.0, below=1.0)
    block = validate.integer(block, "block", 1)
    x = _reduced(images, block)
    vectors = centred_unit_vectors
    sketches, everything = _sketches(x, vectors), torch.arange(len(x), device=x.device)
    blocks = []
    for rows in progress_bar(torch.split(everything, block), desc="comparing", unit=" blocks"):
        for columns in torch.split(everything[int(rows[0]) :], block):
            i, j = _similar_pairs(x, sketches, rows, columns, threshold, vectors)
            blocks.append(torch.stack([rows[i], columns[j]], dim=1))
    pairs = torch.cat(blocks)
    pairs = pairs[pairs[:, 0] < pairs[:, 1]]
    pairs = pairs[torch.argsort(pairs[:, 0] * len(x) + pairs[:, 1])]
    parts = torch.split(pairs, block)
    similarity = torch.cat([(vectors(x[part[:, 0]]) * vectors(x[part[:, 1]])).sum(dim=1) for part in parts])
    keep = torch.ones(len(x), dtype=torch.bool, device="cpu")
    for a, b in pairs.tolist():
        if keep[a]:
            keep[b] = False
    return Duplicates(pairs, similarity, torch.nonzero(keep)[:, 0])


def _reduced(images: Tensor | Dataset[Any], block: int) -> Tensor:
    """Images averaged to at most 20 x 20 pixels, float32."""
    n = len(validate.images(images)) if isinstance(images, Tensor) else items(images, "images")
    parts = []
    for first in range(0, n, block):
        last = min(first + block, n)
        part = images[first:last] if isinstance(images, Tensor) else stacked(images, range(first, last), "images")
        height, width = (min(side, REDUCED_SIDE) for side in part.shape[2:])
        parts.append(torch.nn.functional.adaptive_avg_pool2d(part.detach().float(), (height, width)))
    return torch.cat(parts)


def _sketches(images: Tensor, vectors: Vectors) -> Tensor:
    """1 + rank numbers for each image, whose inner products are bounds of the similarities."""
    sample = vectors_of(vectors, images[:FITTED]).cpu().double()
    principal = torch.linalg.eigh(sample @ sample.mT).eigenvectors[:, -RANK:]
    directions = torch.linalg.qr(sample.mT @ principal).Q  # orthonormal, also where the sample has a lower rank
    parts = []
    for part in torch.split(images, ROWS):
        u = vectors_of(vectors, part)
        with torch.autocast(u.device.type, enabled=False):
            projected = u @ directions.to(u)
        remainder = (u.square().sum(dim=1) - projected.square().sum(dim=1)).clamp(min=0).sqrt()
        parts.append(torch.cat([projected, remainder[:, None]], dim=1))
    return torch.cat(parts)


def _similar_pairs(
    images: Tensor, sketches: Tensor, rows: Tensor, columns: Tensor, threshold: float, vectors: Vectors
) -> tuple[Tensor, Tensor]:
    """Positions in `rows` and in `columns` of all pairs above the threshold, ascending."""
    with torch.autocast(images.device.type, enabled=False):
        possible = sketches[rows] @ sketches[columns].mT > threshold - ROUNDING
    i, j = possible.nonzero(as_tuple=True)
    if len(i) > CROWDED * possible.numel():
        with torch.autocast(images.device.type, enabled=False):
            i, j = (vectors(images[rows]) @ vectors(images[columns]).mT > threshold).nonzero(as_tuple=True)
        return i, j
    exact = torch.zeros(len(i), dtype=torch.bool, device=images.device)
    size = max(1, PAIR_NUMBERS // images[0].numel())
    for part in torch.split(torch.arange(len(i), device=images.device), size):
        u, v = vectors(images[rows[i[part]]]), vectors(images[columns[j[part]]])
        exact[part] = (u * v).sum(dim=1) > threshold
    return i[exact], j[exact]
