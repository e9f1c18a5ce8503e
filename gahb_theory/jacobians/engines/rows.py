"""The rows of a Jacobian in groups, by the cheapest way its engine offers.

both ends       all rows at once, where the network splits in its middle (`two_ended_rows`)
windows         any rows, where the receptive field is bounded (`windowed_rows`)
whole images    any rows of any engine (`batching`)
"""

from collections.abc import Iterator
from typing import Any, cast

import torch
from torch import Tensor

from gahb_theory.jacobians.batching import sparse_rows, whole_rows
from gahb_theory.jacobians.engines.linear_maps import Window
from gahb_theory.jacobians.engines.two_ended_rows import SIDE, Cut, SplitProducts, best_cut, meeting_blocks
from gahb_theory.jacobians.engines.windowed_rows import WindowedProducts, block_side, row_blocks, row_entries

__all__ = ["all_rows_sparse", "row_groups"]

Image = tuple[int, int, int]


def row_groups(
    engine: Any, indices: Tensor, output_shape: tuple[int, ...], chunk: int, y: Tensor, *, both_ends: bool
) -> Iterator[tuple[Tensor, Tensor, Window]]:
    """The rows number `indices` of J, each once: which of the indices, their values on a window of the input, the window.

    Parameters
    ----------
    engine
        Anything with `push` and `pull`.
    indices
        Numbers of rows.
    output_shape
        Shape of one output.
    chunk
        Number of directions on whole images that go through the engine at once.
    y
        The image of the Jacobian, shape (1, c, h, w).
    both_ends
        Whether memory allows to work from both ends, where all rows are asked for in their order.
    """
    if not isinstance(engine, WindowedProducts):
        return whole_rows(engine.pull, indices, output_shape, chunk, y)
    output, image = cast(Image, output_shape), cast(Image, tuple(y.shape[1:]))
    count = torch.Size(output_shape).numel()
    everything = len(indices) == count and torch.equal(indices, torch.arange(count, device=indices.device))
    cut = _cut(engine, image, output, y) if both_ends and everything else None
    if cut is not None:
        return meeting_blocks(cast(SplitProducts, engine), cut, image, output, y)
    return row_blocks(engine, indices, output, block_side(engine, output, chunk, y.device), chunk, y)


def all_rows_sparse(
    engine: WindowedProducts, groups: Any, output_shape: tuple[int, ...], chunk: int, y: Tensor, *, both_ends: bool
) -> Any:
    """All rows, from the `groups` of `row_groups`, as a `scipy.sparse.csr_array`."""
    output, image = cast(Image, output_shape), cast(Image, tuple(y.shape[1:]))
    cut = _cut(engine, image, output, y) if both_ends else None
    side = block_side(engine, output, chunk, y.device) if cut is None else SIDE
    shape = torch.Size(output).numel(), y.numel()
    return sparse_rows(groups, row_entries(engine, output, side, y), shape, y)


def _cut(engine: Any, image: Image, output: Image, y: Tensor) -> Cut | None:
    return best_cut(engine, image, output, y.element_size()) if isinstance(engine, SplitProducts) else None
