"""Near-duplicates: pairs of images whose cosine similarity exceeds a threshold, 0.95 in the paper.

    <a, b> / (||a|| ||b||),        a, b the images reduced to at most 20 x 20 pixels, without their means

(Kadkhodaie et al. 2024, figure 6 and appendix A). Two networks that learn the same image twice do not generalise.
"""

from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.utils.data import Dataset
from tqdm import tqdm

from gahb_theory import validate
from gahb_theory.images.stream import items, stacked

__all__ = ["Duplicates", "near_duplicates"]

SIDE = 20


class Duplicates(NamedTuple):
    """Pairs of near-duplicates."""

    pairs: Int[Tensor, "p 2"]
    """Indices i < j, in ascending order."""
    similarity: Float[Tensor, " p"]
    keep: Int[Tensor, " k"]
    """Indices of the images that are left if of each pair the later one is removed."""


def near_duplicates(
    images: Float[Tensor, "n c h w"] | Dataset[Any], threshold: float = 0.95, block: int = 2048
) -> Duplicates:
    """Find the pairs of images whose cosine similarity exceeds a threshold.

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
    v = _directions(images, block)
    found, similarity = [], []
    starts = range(0, len(v), block)
    pairs = [(i, j) for i in starts for j in starts if i <= j]
    for i, j in tqdm(pairs, desc="comparing", unit=" blocks", delay=2, disable=None, leave=False):
        cosine = v[i : i + block] @ v[j : j + block].mT
        close = torch.nonzero(cosine.triu(1) > threshold if i == j else cosine > threshold)
        found.append(close + torch.tensor([i, j]))
        similarity.append(cosine[close[:, 0], close[:, 1]])
    index = torch.cat(found)
    order = torch.argsort(index[:, 0] * len(v) + index[:, 1])
    index = index[order]
    keep = torch.ones(len(v), dtype=torch.bool)
    for a, b in index.tolist():
        if keep[a]:
            keep[b] = False
    return Duplicates(index, torch.cat(similarity)[order], torch.nonzero(keep)[:, 0])


def _directions(images: Tensor | Dataset[Any], block: int) -> Tensor:
    """Reduced images without their means, of norm 1; a constant image has no direction and is like no other."""
    if isinstance(images, Tensor):
        validate.images(images, "images")
    n = len(images) if isinstance(images, Tensor) else items(images, "images")
    rows = []
    for first in range(0, n, block):
        last = min(first + block, n)
        part = images[first:last] if isinstance(images, Tensor) else stacked(images, range(first, last), "images")
        height, width = min(part.shape[2], SIDE), min(part.shape[3], SIDE)
        small = torch.nn.functional.adaptive_avg_pool2d(part.detach().float(), (height, width)).flatten(1)
        small = small - small.mean(dim=1, keepdim=True)
        rows.append(small / torch.linalg.vector_norm(small, dim=1, keepdim=True).clamp(min=1e-6))
    return torch.cat(rows)
