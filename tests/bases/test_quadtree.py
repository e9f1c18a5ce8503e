import itertools

import pytest
import torch
from torch import Tensor

from gahb_theory.bases.quadtree import best_quadtree


def every_tree(costs: dict[int, Tensor], split: float, size: int, row: int, column: int) -> list[float]:
    """The costs of all quadtrees of one square."""
    found = [float(costs[size][row, column])]
    if size // 2 in costs:
        children = [
            every_tree(costs, split, size // 2, 2 * row + i, 2 * column + j)
            for i, j in ((0, 0), (1, 1), (0, 1), (1, 0))
        ]
        found += [sum(chosen) + split for chosen in itertools.product(*children)]
    return found


@pytest.mark.parametrize("split", [0.0, 3.0, 20.0])
def test_equals_the_search_through_all_trees(split: float) -> None:
    generator = torch.Generator().manual_seed(int(split))
    for _ in range(20):
        # whole numbers, so that sums are exact in any order; a square of side 8 has 17 trees
        costs = {
            size: torch.randint(0, 9 * size, (8 // size, 8 // size), generator=generator).double() for size in (2, 4, 8)
        }
        best, leaves = best_quadtree(costs, split)
        assert float(best) == min(every_tree(costs, split, 8, 0, 0))
        total = sum(float(costs[size][leaves[size]].sum()) for size in costs)
        count = sum(int(leaf.sum()) for leaf in leaves.values())
        assert total + split * (count - 1) / 3 == float(best)
        area = sum(size**2 * int(leaf.sum()) for size, leaf in leaves.items())
        assert area == 64


def test_ties_go_to_the_larger_square() -> None:
    _, leaves = best_quadtree({1: torch.ones(2, 2), 2: torch.full((1, 1), 4.0)}, split=0.0)
    assert leaves[2].all()
    assert not leaves[1].any()


def test_an_infinite_price_forbids_splits() -> None:
    best, leaves = best_quadtree({1: torch.zeros(4, 4), 2: torch.ones(2, 2)}, split=float("inf"))
    assert torch.equal(best, torch.ones(2, 2))
    assert leaves[2].all()
    assert not leaves[1].any()
