"""The best quadtree: exact minimum of an additive cost over all dyadic segmentations (Breiman et al. 1984; Donoho 1997).

A square is a leaf or is split into four. With a cost for each square as a leaf and a price for each split,

    L(S) = min( leaf(S),  L(S_1) + L(S_2) + L(S_3) + L(S_4) + split ),

computed from the smallest squares up, is the minimum over all quadtrees; on a tie the larger square wins.
"""

from collections.abc import Mapping

import torch
from jaxtyping import Bool, Float
from torch import Tensor

__all__ = ["best_quadtree", "four_to_one"]


def four_to_one(values: Float[Tensor, "*batch rows columns"]) -> Float[Tensor, "*batch rows/2 columns/2"]:
    """Sum over the four children of each square.

    Examples
    --------
    >>> import torch
    >>> four_to_one(torch.arange(4.0).reshape(2, 2))
    tensor([[6.]])
    """
    # the four terms are added in an order of their own, the same for any shape
    return (values[..., 0::2, 0::2] + values[..., 1::2, 1::2]) + (values[..., 0::2, 1::2] + values[..., 1::2, 0::2])


def best_quadtree(
    leaf_costs: Mapping[int, Float[Tensor, "*batch _ _"]], split: Float[Tensor, "..."] | float
) -> tuple[Float[Tensor, "*batch _ _"], dict[int, Bool[Tensor, "*batch _ _"]]]:
    """Smallest cost of each of the largest squares, and the leaves that reach it.

    Parameters
    ----------
    leaf_costs
        For each size, each the double of the one before, the cost of all squares of that size as leaves, shape
        (..., rows, columns).
    split
        Price of a split, a number or a tensor that broadcasts; infinity forbids splits.

    Returns
    -------
    The cost of the largest squares, and for each size which squares are leaves.

    Examples
    --------
    >>> import torch
    >>> cost, leaves = best_quadtree({1: torch.ones(2, 2), 2: torch.tensor([[5.5]])}, split=1.0)
    >>> cost.item(), leaves[2].item(), leaves[1].sum().item()
    (5.0, False, 4)
    """
    sizes = sorted(leaf_costs)
    best, splits = leaf_costs[sizes[0]], {}
    for size in sizes[1:]:
        children, leaf = four_to_one(best) + split, leaf_costs[size]
        splits[size] = children < leaf
        best = torch.minimum(children, leaf)
    reached = torch.ones_like(best, dtype=torch.bool)
    leaves = {}
    for size in reversed(sizes[1:]):
        leaves[size] = reached & ~splits[size]
        reached = (reached & splits[size]).repeat_interleave(2, dim=-2).repeat_interleave(2, dim=-1)
    leaves[sizes[0]] = reached
    return best, leaves
