"""Two disjoint halves of a set of images, without near-duplicates: what a test of generalisation starts from.

Two denoisers trained on disjoint halves agree if they have learned the law, and disagree if they have memorised their
images (Kadkhodaie, Guth, Simoncelli and Mallat, ICLR 2024, section 2). An image that is nearly the same in both halves
would let memorisation pass for agreement, so of two images whose similarity exceeds 0.95 the later one goes.

All pairs are compared, but most of them by a bound. If P projects on a few directions, then for unit vectors u and v

    <u, v>  <=  <P u, P v> + sqrt(1 - ||P u||^2) sqrt(1 - ||P v||^2) ,

which is an inner product of 1 + rank numbers. Pairs whose bound is below the threshold need no other look.
"""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.utils.data import Dataset

from gahb_theory import runs, validate
from gahb_theory.images.stream import as_images
from gahb_theory.metrics.similarity import Vectors, centred_unit_vectors

__all__ = ["Split", "distinct", "split"]

ROWS, COLUMNS = 1024, 8192
"""Sides of the blocks of the matrix of bounds."""
RANK, FITTED = 64, 1024
"""Directions of the bound, the principal ones of the first images, so many."""
CROWDED = 0.02
"""If more of a block than this must be looked at, its similarities are computed as one product of matrices."""
PAIR_NUMBERS = 2**23
"""Numbers in a batch of pairs that are looked at one by one."""
ROUNDING = 1e-5


@dataclass(frozen=True, eq=False)
class Split:
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


def _sketches(images: Tensor, vectors: Vectors) -> Tensor:
    """1 + rank numbers for each image, whose inner products are bounds of the similarities."""
    sample = vectors(images[:FITTED]).cpu().double()
    principal = torch.linalg.eigh(sample @ sample.mT).eigenvectors[:, -RANK:]
    directions = torch.linalg.qr(sample.mT @ principal).Q  # orthonormal, also where the sample has a lower rank
    directions = directions.to(images.dtype).to(images.device)
    parts = []
    for part in torch.split(images, ROWS):
        u = vectors(part)
        with torch.autocast(u.device.type, enabled=False):
            projected = u @ directions
        rest = (u.square().sum(dim=1) - projected.square().sum(dim=1)).clamp(min=0).sqrt()
        parts.append(torch.cat([projected, rest[:, None]], dim=1))
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
