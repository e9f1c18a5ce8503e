"""The linear maps of which the derivative of a network is made, their transposes, and the windows they see.

The derivative of a network at y is a graph of linear maps: convolutions, multiplications by fixed factors (the slopes of
the activations at y, the gains of normalisations), sums, concatenations, paddings, poolings. Each map has three methods:

    push(x) = A x,        pull(g) = A^T g,        reach(window) = the inputs on which a window of the output depends.

For a convolution of kernel k, stride s, padding p and dilation d, outputs a..b reach the inputs s a - p to
s b - p + d (k - 1): the windows from which a receptive field grows (Araujo, Norris and Sim, Distill 2019).

A window holds two spans (start, stop), of rows and of columns; `pull` takes cotangents on a window of the output and
returns them on the window that `reach` gives.
"""

# ruff: noqa: D102 - the protocol Map describes the methods of all of them

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor
from torch.nn import functional

__all__ = [
    "Channels",
    "Concatenation",
    "Convolution",
    "Map",
    "Placement",
    "Pooling",
    "Scale",
    "Sum",
    "Transposed",
    "Upsampling",
    "Window",
]

Span = tuple[int, int]
Window = tuple[Span, Span]
Pair = tuple[int, int]


@runtime_checkable
class Map(Protocol):
    """A linear map of one or more images."""

    @property
    def fresh(self) -> bool:
        """Whether the results are new tensors, which the caller may overwrite."""
        ...

    def push(self, *x: Tensor) -> Tensor:
        """A x."""
        ...

    def pull(self, g: Tensor, window: Window) -> list[Tensor]:
        """A^T g for each input."""
        ...

    def reach(self, window: Window) -> list[Window]:
        """The window of each input on which a window of the output depends."""
        ...

    def work(self, window: Window) -> int:
        """Multiplications and additions of `pull`."""
        ...


class _OneInput:
    """What maps of one image have in common."""

    fresh = True

    def work(self, window: Window) -> int:
        return 0


@dataclass(frozen=True, eq=False)
class Convolution(_OneInput):
    """A convolution without its bias, `weight` (out, in / groups, k, k), on images of `size` (height, width)."""

    weight: Tensor
    size: Pair
    stride: Pair
    padding: Pair
    dilation: Pair
    groups: int
    flipped: Tensor | None = None

    def prepared(self, factor: Tensor | None = None) -> "Convolution":
        """The same map followed by a `factor` per channel, weights laid out for speed, with those of the transpose."""
        weight = self.weight if factor is None else self.weight * factor.reshape(-1, 1, 1, 1)
        weight = weight.detach().contiguous(memory_format=torch.channels_last)
        simple = self.stride == (1, 1) and self.groups == 1
        flipped = weight.flip(2, 3).transpose(0, 1).contiguous(memory_format=torch.channels_last) if simple else None
        return Convolution(weight, self.size, self.stride, self.padding, self.dilation, self.groups, flipped)

    def push(self, *x: Tensor) -> Tensor:
        return functional.conv2d(x[0], self.weight, None, self.stride, self.padding, self.dilation, self.groups)

    def pull(self, g: Tensor, window: Window) -> list[Tensor]:
        if self.flipped is not None:
            padding, start, target = _places(self.weight.shape[2:], self.size, self.padding, self.dilation, window)
            return [_between(functional.conv2d(g, self.flipped, None, 1, padding, self.dilation), start, target)]
        (target,) = self.reach(window)
        first = [self.stride[i] * window[i][0] - self.padding[i] for i in (0, 1)]
        full = functional.conv_transpose2d(
            g, self.weight, None, self.stride, 0, 0, groups=self.groups, dilation=self.dilation
        )
        return [_between(full, (target[0][0] - first[0], target[1][0] - first[1]), target)]

    def reach(self, window: Window) -> list[Window]:
        return [_both(self._reach(i, window[i]) for i in (0, 1))]

    def _reach(self, i: int, span: Span) -> Span:
        start = self.stride[i] * span[0] - self.padding[i]
        extent = self.dilation[i] * (self.weight.shape[2 + i] - 1)
        return _clamp(start, start + self.stride[i] * (span[1] - 1 - span[0]) + extent + 1, self.size[i])

    def work(self, window: Window) -> int:
        area = _area(self.reach(window)[0]) // (self.stride[0] * self.stride[1])
        return 2 * self.weight.numel() * max(area, _area(window))


@dataclass(frozen=True, eq=False)
class Transposed(_OneInput):
    """A transposed convolution without its bias, `weight` (in, out / groups, k, k), on images of `size`."""

    weight: Tensor
    size: Pair
    stride: Pair
    padding: Pair
    dilation: Pair
    output_padding: Pair
    groups: int

    def push(self, *x: Tensor) -> Tensor:
        return functional.conv_transpose2d(
            x[0], self.weight, None, self.stride, self.padding, self.output_padding, self.groups, self.dilation
        )

    def pull(self, g: Tensor, window: Window) -> list[Tensor]:
        geometry = self.weight.shape[2:], self.size, self.stride, self.padding, self.dilation
        pads = _pads(*geometry, window)
        g = functional.pad(g, pads) if any(pads) else g
        return [functional.conv2d(g, self.weight, None, self.stride, 0, self.dilation, self.groups)]

    def reach(self, window: Window) -> list[Window]:
        geometry = zip(self.weight.shape[2:], self.size, self.stride, self.padding, self.dilation, strict=True)
        return [_both(_spread(*axis, span) for axis, span in zip(geometry, window, strict=True))]

    def work(self, window: Window) -> int:
        return 2 * self.weight.numel() * _area(self.reach(window)[0])


@dataclass(frozen=True, eq=False)
class Scale(_OneInput):
    """Multiplication by `factor`, of shape (1, 1 or channels, 1 or height, 1 or width)."""

    factor: Tensor

    def push(self, *x: Tensor) -> Tensor:
        return x[0] * self.factor

    def pull(self, g: Tensor, window: Window) -> list[Tensor]:
        return [g * self.on(window)]

    def on(self, window: Window) -> Tensor:
        """The factor on a window."""
        factor = self.factor
        for axis, span in zip((2, 3), window, strict=True):
            if factor.shape[axis] not in (1, span[1] - span[0]):
                factor = factor.narrow(axis, span[0], span[1] - span[0])
        return factor

    def reach(self, window: Window) -> list[Window]:
        return [window]


@dataclass(frozen=True, eq=False)
class Sum(_OneInput):
    """sum_i weights[i] x_i."""

    weights: tuple[float, ...]
    fresh = False

    def push(self, *x: Tensor) -> Tensor:
        total = x[0] if self.weights[0] == 1 else self.weights[0] * x[0]
        for weight, other in zip(self.weights[1:], x[1:], strict=True):
            total = torch.add(total, other, alpha=weight)
        return total

    def pull(self, g: Tensor, window: Window) -> list[Tensor]:
        return [g if weight == 1 else weight * g for weight in self.weights]

    def reach(self, window: Window) -> list[Window]:
        return [window] * len(self.weights)


@dataclass(frozen=True, eq=False)
class Concatenation(_OneInput):
    """Images of `channels[i]` channels, one behind the other."""

    channels: tuple[int, ...]
    fresh = False

    def push(self, *x: Tensor) -> Tensor:
        return torch.cat(x, dim=1)

    def pull(self, g: Tensor, window: Window) -> list[Tensor]:
        return list(torch.split(g, list(self.channels), dim=1))

    def reach(self, window: Window) -> list[Window]:
        return [window] * len(self.channels)


@dataclass(frozen=True, eq=False)
class Channels(_OneInput):
    """`count` of the `total` channels of an image, from `start` on."""

    start: int
    count: int
    total: int
    fresh = False  # a view of the image, which others may need

    def push(self, *x: Tensor) -> Tensor:
        return x[0].narrow(1, self.start, self.count)

    def pull(self, g: Tensor, window: Window) -> list[Tensor]:
        return [functional.pad(g, (0, 0, 0, 0, self.start, self.total - self.start - self.count))]

    def reach(self, window: Window) -> list[Window]:
        return [window]


@dataclass(frozen=True, eq=False)
class Placement(_OneInput):
    """Zero padding by `before` and `after` (rows, columns), or cropping where negative, of images of `size`."""

    before: Pair
    after: Pair
    size: Pair
    fresh = False

    def push(self, *x: Tensor) -> Tensor:
        return functional.pad(x[0], (self.before[1], self.after[1], self.before[0], self.after[0]))

    def pull(self, g: Tensor, window: Window) -> list[Tensor]:
        (target,) = self.reach(window)
        top, left = (target[i][0] + self.before[i] - window[i][0] for i in (0, 1))
        return [_between(g, (top, left), target)]

    def reach(self, window: Window) -> list[Window]:
        return [
            _both(_clamp(a - pad, b - pad, n) for (a, b), pad, n in zip(window, self.before, self.size, strict=True))
        ]


@dataclass(frozen=True, eq=False)
class Pooling(_OneInput):
    """Means over blocks of `factor` (rows, columns) that tile the image."""

    factor: Pair

    def push(self, *x: Tensor) -> Tensor:
        return functional.avg_pool2d(x[0], self.factor)

    def pull(self, g: Tensor, window: Window) -> list[Tensor]:
        spread = functional.interpolate(g, size=[n * f for n, f in zip(g.shape[2:], self.factor, strict=True)])
        return [spread.div_(self.factor[0] * self.factor[1])]

    def reach(self, window: Window) -> list[Window]:
        return [_both((a * f, b * f) for (a, b), f in zip(window, self.factor, strict=True))]


@dataclass(frozen=True, eq=False)
class Upsampling(_OneInput):
    """Each pixel repeated `factor` (rows, columns) times."""

    factor: Pair

    def push(self, *x: Tensor) -> Tensor:
        return functional.interpolate(x[0], size=[n * f for n, f in zip(x[0].shape[2:], self.factor, strict=True)])

    def pull(self, g: Tensor, window: Window) -> list[Tensor]:
        (rows, columns), (fr, fc) = window, self.factor
        pads = (columns[0] % fc, -columns[1] % fc, rows[0] % fr, -rows[1] % fr)
        return [functional.avg_pool2d(functional.pad(g, pads), self.factor, divisor_override=1)]

    def reach(self, window: Window) -> list[Window]:
        return [_both((a // f, -(-b // f)) for (a, b), f in zip(window, self.factor, strict=True))]


def _spread(kernel: int, size: int, stride: int, padding: int, dilation: int, span: Span) -> Span:
    """The inputs of a transposed convolution that reach a span."""
    first = -((dilation * (kernel - 1) - span[0] - padding) // stride)
    return _clamp(first, (span[1] - 1 + padding) // stride + 1, size)


@lru_cache(maxsize=4096)
def _pads(kernel: Pair, size: Pair, stride: Pair, padding: Pair, dilation: Pair, window: Window) -> tuple[int, ...]:
    """By how much cotangents of a transposed convolution are padded; remembered as `_places` is."""
    pads: list[int] = []
    for k, n, step, p, d, (a, b) in zip(kernel, size, stride, padding, dilation, window, strict=True):
        first, last = _spread(k, n, step, p, d, (a, b))
        start, stop = step * first - p, step * (last - 1) - p + d * (k - 1) + 1
        pads = [a - start, stop - b, *pads]  # functional.pad starts with the last axis
    return tuple(pads)


@lru_cache(maxsize=4096)
def _places(kernel: Pair, size: Pair, padding: Pair, dilation: Pair, window: Window) -> tuple[Pair, Pair, Window]:
    """The padding of the transpose of a convolution of stride 1, where in its result the target starts, and that window.

    Remembered, since a product of a small network takes no longer than finding them.
    """
    spans, pads, starts = [], [], []
    for (a, b), k, n, p, d in zip(window, kernel, size, padding, dilation, strict=True):
        extent, first = d * (k - 1), a - p
        last = b - p + extent
        target = _clamp(first, last, n)
        before = target[0] - first
        trim = min(before, last - target[1], extent)  # what less padding saves
        spans.append(target)
        pads.append(extent - trim)
        starts.append(before - trim)
    return (pads[0], pads[1]), (starts[0], starts[1]), (spans[0], spans[1])


def _between(x: Tensor, start: Pair, target: Window) -> Tensor:
    """The part of `x` of the size of `target` that starts at `start`."""
    for axis in (0, 1):
        length = max(0, target[axis][1] - target[axis][0])
        if x.shape[2 + axis] != length:
            x = x.narrow(2 + axis, start[axis], length)
    return x


def _clamp(start: int, stop: int, size: int) -> Span:
    start = min(max(start, 0), size)
    return start, min(max(stop, start), size)


def _both(spans: Iterable[Span]) -> Window:
    rows, columns = spans
    return rows, columns


def _area(window: Window) -> int:
    (top, bottom), (left, right) = window
    return max(0, bottom - top) * max(0, right - left)
