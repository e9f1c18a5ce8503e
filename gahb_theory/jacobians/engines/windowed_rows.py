"""Rows of a Jacobian block by block, each on the window of the input that its receptive field reaches.

The rows of J that belong to a b x b block of output pixels vanish outside the receptive field of the block. The cotangents
start on b x b pixels and the window grows layer by layer,

    b  ->  b + (k - 1)  ->  b + 2 (k - 1)  ->  ...        for layers of kernel k and stride 1,

so that a row costs a sum of window areas instead of a sum of image areas, whatever the size of the image. In a UNet the
layers near the output work on small windows and only the coarse ones, which are cheap, on the whole image. Each value is
the same sum of the same terms as on the whole image; whether it has the same bits depends on the library of convolutions,
which may add the terms in another order at another size. The difference is of the order of rounding.
"""

from collections.abc import Iterator
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from gahb_theory.jacobians.engines.linear_maps import Window

__all__ = ["WindowedProducts", "block_side", "row_blocks", "row_entries"]

CPU_RATE, DEVICE_RATE = 8e10, 1e13
"""Operations per second that a convolution reaches, per thread on a CPU, and on an accelerator."""
OVERHEAD = 3e-5
"""Seconds that a linear map costs however small it is."""
SIDES = (1, 2, 4, 8, 16, 32, 64)


@runtime_checkable
class WindowedProducts(Protocol):
    """An engine whose transposed product can start from a window of the output."""

    @property
    def steps(self) -> int:
        """Number of linear maps in one product."""
        ...

    def pull_window(self, u: Tensor, window: Window, /) -> tuple[Tensor, Window]:
        """J^T u for `u` on a window of the output; returns the values on a window of the input, and the window."""
        ...

    def work(self, window: Window, /) -> int:
        """Operations of `pull_window` for one direction."""
        ...

    def reached(self, window: Window, /) -> Window:
        """The window of the input on which a window of the output depends."""
        ...


def block_side(engine: WindowedProducts, shape: tuple[int, int, int], chunk: int, device: torch.device) -> int:
    """Side of the blocks of output pixels for which a row is cheapest; `shape` is (channels, height, width)."""
    channels, height, width = shape
    rate = CPU_RATE * torch.get_num_threads() if device.type == "cpu" else DEVICE_RATE
    costs: dict[int, float] = {}
    for side in (*(s for s in SIDES if s < max(height, width)), max(height, width)):
        top, left = max(0, (height - side) // 2), max(0, (width - side) // 2)
        window = ((top, min(height, top + side)), (left, min(width, left + side)))
        batch = min(_fitting(engine, window, shape, chunk), channels * side * side)
        costs[side] = engine.work(window) / rate + OVERHEAD * engine.steps / batch
    return min(costs, key=costs.__getitem__)


def row_blocks(
    engine: WindowedProducts, indices: Tensor, shape: tuple[int, int, int], side: int, chunk: int, like: Tensor
) -> Iterator[tuple[Tensor, Tensor, Window]]:
    """The rows number `indices` of J in groups, each row once.

    Yields
    ------
    positions
        Which of the `indices` the group holds, shape (n,).
    rows
        Their values on a window of the input, shape (n, channels, rows, columns).
    window
        That window.
    """
    _, height, width = shape
    channel, pixel = indices // (height * width), indices % (height * width)
    row, column = pixel // width, pixel % width
    key = row // side * -(-width // side) + column // side
    order = key.argsort(stable=True)
    _, counts = key[order].unique_consecutive(return_counts=True)  # type: ignore[no-untyped-call]
    for block in torch.split(order, counts.tolist()):
        top, left = (int(x[block[0]]) // side * side for x in (row, column))
        window = ((top, min(height, top + side)), (left, min(width, left + side)))
        for group in torch.split(block, _fitting(engine, window, shape, chunk)):
            u = like.new_zeros(len(group), shape[0], window[0][1] - top, window[1][1] - left)
            u[torch.arange(len(group), device=like.device), channel[group], row[group] - top, column[group] - left] = 1
            yield (group, *engine.pull_window(u, window))


def _fitting(engine: WindowedProducts, window: Window, shape: tuple[int, int, int], chunk: int) -> int:
    """Number of directions on a window that take no more memory than `chunk` of them on the whole image."""
    (top, bottom), (left, right) = engine.reached(window)
    return max(chunk, chunk * shape[1] * shape[2] // max(1, (bottom - top) * (right - left)))


def row_entries(engine: WindowedProducts, shape: tuple[int, int, int], side: int, y: Tensor) -> Tensor:
    """Number of entries of each row of J on the window of its block."""
    channels, height, width = shape
    entries = torch.empty(channels, height, width, dtype=torch.int64, device=y.device)
    for top in range(0, height, side):
        for left in range(0, width, side):
            window = ((top, min(height, top + side)), (left, min(width, left + side)))
            (a, b), (c, d) = engine.reached(window)
            entries[:, top : top + side, left : left + side] = y.shape[1] * (b - a) * (d - c)
    return entries.flatten()
