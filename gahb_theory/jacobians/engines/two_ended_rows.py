"""All rows of a Jacobian from both ends of the network.

A network whose first layers are a chain splits at a value z in its middle,

    J = B A + R,        A = dz/dy,        B = df/dz,        R what of y goes round z, such as a skip connection.

A column of A lives on the window of z that one pixel of the input reaches, and is computed forwards; a row of B lives on
the window that one pixel of the output sees, and is computed backwards. Each half grows its windows over half of the
layers only, which is less than half of the work: the areas are those of radius up to r / 2 instead of r. For 21 layers of
kernel 3 the convolutions cost 2.7 times less than by windows grown from one end. What is left is to multiply the two,

    (B A)_ij = sum over positions p of z and channels c of B_i,pc A_pc,j ,        |i - p| and |p - j| bounded,

about a tenth of the whole. The rows of A are kept in a ring that moves down the image with the blocks of the output, in
groups of neighbouring p, for each of which one matrix product gives all j.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor
from torch.nn import functional

from gahb_theory.jacobians.engines.linear_maps import Convolution, Map, Scale, Window
from gahb_theory.jacobians.engines.recording import Step

__all__ = ["Cut", "SplitProducts", "best_cut", "meeting_blocks"]

SIDE = 4
"""Side of the blocks of pixels whose rows of B, or columns of A, go through their half together."""
GROUP = 4
"""Neighbouring positions of z in one matrix product."""
GAIN = 0.8
"""The largest share of the work of one-ended windows at which two ends are taken."""


@dataclass(frozen=True, eq=False)
class Cut:
    """A value in the middle of a network.

    Attributes
    ----------
    value
        Its number.
    chain
        The maps from the input to it, each a convolution that keeps the size of images, or a factor.
    radius
        How far it sees.
    channels
        Its channels.
    """

    value: int
    chain: tuple[Map, ...]
    radius: int
    channels: int


@runtime_checkable
class SplitProducts(Protocol):
    """An engine that can stop at a value in the middle of the network."""

    budget: float

    @property
    def recorded(self) -> tuple[Step, ...]:
        """The steps of the network."""
        ...

    def windows(self, window: Window, held: int | None = None, /) -> dict[int, Window]:
        """For each value the window on which a window of the output depends, not looking behind the value `held`."""
        ...

    def work(self, window: Window, held: int | None = None, /) -> int:
        """Operations of a transposed product from a window of the output back to `held`."""
        ...

    def pull_to(self, u: Tensor, window: Window, held: int, /) -> tuple[Tensor, Window, Tensor | None, Window]:
        """The cotangent at `held`, its window, and what reaches the input around it, with the window of that."""
        ...


def best_cut(engine: SplitProducts, shape: tuple[int, int, int], output: tuple[int, int, int], size: int) -> Cut | None:
    """The cheapest cut whose ring fits the budget, None if windows from one end are no dearer.

    Parameters
    ----------
    engine
        The recorded network.
    shape, output
        (channels, height, width) of its input and output.
    size
        Bytes of a number.
    """
    window = _middle(output)
    costs = {}
    for cut in _cuts(engine.recorded, shape):
        reach = engine.windows(window, cut.value).get(cut.value)
        if reach is None or _ring_size(cut, shape, reach[0][1] - reach[0][0]) * size > 0.8 * engine.budget:
            continue
        at, forward = _middle(shape), 0
        for each in cut.chain:
            if isinstance(each, Convolution):
                at = each.reach(at)[0]
                forward += 2 * each.weight.numel() * _area(at)
        positions = (reach[0][1] - reach[0][0]) * (reach[1][1] - reach[1][0] + GROUP)
        join = 2 * positions * cut.channels * _patch(cut)[0] * _patch(cut)[1] * shape[0]
        columns = shape[0] * shape[1] * shape[2] / (output[0] * output[1] * output[2])
        costs[cut] = engine.work(window, cut.value) + forward * columns + join
    if not costs:
        return None
    cut = min(costs, key=costs.__getitem__)
    return cut if costs[cut] <= GAIN * engine.work(window) else None


def meeting_blocks(
    engine: SplitProducts, cut: Cut, shape: tuple[int, int, int], output: tuple[int, int, int], like: Tensor
) -> Iterator[tuple[Tensor, Tensor, Window]]:
    """All rows of J in blocks of SIDE x SIDE pixels: their numbers, their values on a window, the window."""
    channels, height, width = output
    spans = {top: _rows(engine, cut, top, output) for top in range(0, height, SIDE)}
    ring = _Ring(cut, shape, max(b - a for a, b in spans.values()), like)
    numbers = torch.arange(channels * height * width, device=like.device).reshape(channels, height, width)
    for top, (_, bottom) in spans.items():
        ring.advance(bottom)
        for left in range(0, width, SIDE):
            block = ((top, min(height, top + SIDE)), (left, min(width, left + SIDE)))
            u = _units(channels, block, like)
            g, at, bypass, around = engine.pull_to(u, block, cut.value)
            part, window = ring.join(g, at)
            if bypass is not None:
                part, window = _sum(part, window, bypass, around)
            yield numbers[:, block[0][0] : block[0][1], block[1][0] : block[1][1]].flatten(), part, window


class _Ring:
    """Rows of A on a band of lines of z: entry [line, group, dy, dx, channel of y, position in the group, channel of z].

    The pixel of y is at (line + dy - r, first position of the group + dx - r).
    """

    def __init__(self, cut: Cut, shape: tuple[int, int, int], span: int, like: Tensor) -> None:
        self._cut, self._shape, self._like = cut, shape, like
        self._lines = min(shape[1], span + 2 * cut.radius + SIDE)
        self._opened = self._done = 0
        rows, columns = _patch(cut)
        groups = -(-shape[2] // GROUP)
        self._data = like.new_zeros(self._lines, groups, rows, columns, shape[0], GROUP * cut.channels)

    def advance(self, bottom: int) -> None:
        """Make the lines of z up to `bottom` complete; those of the lines above that fall out of the band are lost."""
        _, height, width = self._shape
        while self._done < min(height, bottom + self._cut.radius):
            stop = min(height, self._done + SIDE)
            opened = min(height, stop + self._cut.radius)
            for line in range(max(self._opened, self._lines), opened):
                self._data[line % self._lines].zero_()
            self._opened = opened
            for left in range(0, width, SIDE):
                self._put(((self._done, stop), (left, min(width, left + SIDE))))
            self._done = stop

    def _put(self, block: Window) -> None:
        """The columns of A that belong to a block of the input."""
        channels, height, width = self._shape
        x, window, r = _units(channels, block, self._like), block, self._cut.radius
        for each in self._cut.chain:
            if isinstance(each, Convolution) and each.flipped is not None:
                mirrored = replace(each, weight=each.flipped, flipped=each.weight)
                (x,), (window,) = mirrored.pull(x, window), mirrored.reach(window)
            else:
                (x,) = each.pull(x, window)
        x, first = _grouped(x, window[1])
        line, group, dy, dx, channel, _ = self._data.stride()
        steps = (line - dy, group - GROUP * dx, 1)
        for k in range(len(x)):
            c, position = divmod(k, (block[0][1] - block[0][0]) * (block[1][1] - block[1][0]))
            row, column = divmod(position, block[1][1] - block[1][0])
            row, column = row + block[0][0], column + block[1][0]
            a, b = max(0, column - r) // GROUP, min(width - 1, column + r) // GROUP + 1
            for top, bottom in self._unbroken(max(0, row - r), min(height, row + r + 1)):
                start = top % self._lines * line + a * group + (row - top + r) * dy + (column - a * GROUP + r) * dx
                place = self._data.as_strided((bottom - top, b - a, x.shape[-1]), steps, start + c * channel)
                place.copy_(x[k, top - window[0][0] : bottom - window[0][0], a - first : b - first])

    def join(self, g: Tensor, at: Window) -> tuple[Tensor, Window]:
        """B A for rows `g` of B on the window `at` of z, on the window of y that they reach."""
        (top, bottom), columns = at
        channels, height, width = self._shape
        r, (rows, across) = self._cut.radius, _patch(self._cut)
        g, first = _grouped(g, columns)
        n, lines, groups, _ = g.shape
        total = g.new_zeros(n, lines + 2 * r, groups * GROUP + 2 * r, channels)
        for i in range(lines):
            band = self._data[(top + i) % self._lines, first : first + groups].flatten(1, 3)
            products = torch.bmm(g[:, i].transpose(0, 1), band.mT).reshape(groups, n, rows, across, channels)
            for j in range(groups):
                total[:, i : i + rows, j * GROUP : j * GROUP + across] += products[j]
        y, x = max(0, top - r), max(0, columns[0] - r)
        window = ((y, min(height, bottom + r)), (x, min(width, columns[1] + r)))
        y, x = y - top + r, x - first * GROUP + r
        part = total[:, y : y + window[0][1] - window[0][0], x : x + window[1][1] - window[1][0]]
        return part.permute(0, 3, 1, 2), window

    def _unbroken(self, top: int, bottom: int) -> Iterator[tuple[int, int]]:
        """The lines from `top` to `bottom` in pieces that do not wrap around."""
        while top < bottom:
            stop = min(bottom, (top // self._lines + 1) * self._lines)
            yield top, stop
            top = stop


def _cuts(steps: tuple[Step, ...], shape: tuple[int, int, int]) -> Iterator[Cut]:
    """The values to which a chain leads from the input."""
    users: dict[int, list[Step]] = {}
    for step in steps:
        for number in step.inputs:
            users.setdefault(number, []).append(step)
    for head in users.get(0, []):
        yield from _chain(head, users, shape[0])


def _chain(step: Step, users: dict[int, list[Step]], channels: int) -> Iterator[Cut]:
    """The factors in the chain that starts with a step."""
    chain: tuple[Map, ...] = ()
    radius = 0
    while len(step.inputs) == 1:
        each = step.map
        if isinstance(each, Convolution):
            extent = [each.dilation[i] * (each.weight.shape[2 + i] - 1) for i in (0, 1)]
            pads = {2 * each.padding[0], 2 * each.padding[1], *extent}
            if each.flipped is None or len(pads) != 1:
                return
            radius, channels = radius + each.padding[0], each.weight.shape[0]
        elif not isinstance(each, Scale):
            return
        chain = (*chain, each)
        if isinstance(each, Scale):
            yield Cut(step.output, chain, radius, channels)
        following = users.get(step.output, [])
        if len(following) != 1:
            return
        step = following[0]


def _sum(a: Tensor, at: Window, b: Tensor, around: Window) -> tuple[Tensor, Window]:
    """The sum of values on two windows, on the smallest that holds both."""
    top, left = (min(p[0], q[0]) for p, q in zip(at, around, strict=True))
    bottom, right = (max(p[1], q[1]) for p, q in zip(at, around, strict=True))
    total = a.new_zeros(*a.shape[:2], bottom - top, right - left)
    for x, ((y0, y1), (x0, x1)) in ((a, at), (b, around)):
        total[:, :, y0 - top : y1 - top, x0 - left : x1 - left] += x
    return total, ((top, bottom), (left, right))


def _units(channels: int, block: Window, like: Tensor) -> Tensor:
    """A unit image for each number of a block."""
    rows, columns = (b - a for a, b in block)
    count = channels * rows * columns
    return torch.eye(count, dtype=like.dtype, device=like.device).reshape(count, channels, rows, columns)


def _grouped(x: Tensor, columns: tuple[int, int]) -> tuple[Tensor, int]:
    """Images (n, c, rows, columns) as (n, rows, groups, positions x c), and the number of the first group."""
    first, last = columns[0] // GROUP, -(-columns[1] // GROUP)
    x = functional.pad(x.permute(0, 2, 3, 1), (0, 0, columns[0] - first * GROUP, last * GROUP - columns[1]))
    return x.reshape(x.shape[0], x.shape[1], last - first, -1), first


def _patch(cut: Cut) -> tuple[int, int]:
    """Rows and columns of y that a group of z sees."""
    return 2 * cut.radius + 1, 2 * cut.radius + GROUP


def _ring_size(cut: Cut, shape: tuple[int, int, int], span: int) -> int:
    """Numbers in the ring."""
    rows, columns = _patch(cut)
    lines = min(shape[1], span + 2 * cut.radius + SIDE)
    return lines * -(-shape[2] // GROUP) * rows * columns * shape[0] * GROUP * cut.channels


def _rows(engine: SplitProducts, cut: Cut, top: int, output: tuple[int, int, int]) -> tuple[int, int]:
    block = ((top, min(output[1], top + SIDE)), (0, output[2]))
    return engine.windows(block, cut.value)[cut.value][0]


def _middle(shape: tuple[int, int, int]) -> Window:
    """A block in the middle of an image."""
    top, left = (max(0, (n - SIDE) // 2) for n in shape[1:])
    return (top, min(shape[1], top + SIDE)), (left, min(shape[2], left + SIDE))


def _area(window: Window) -> int:
    return (window[0][1] - window[0][0]) * (window[1][1] - window[1][0])
