"""Linear maps that see the whole image: means, their transposes, and the derivative of a norm.

A network that normalises its input, N(y) = r z(P y / r) with P y = y - mean and r = ||P y||, has these between y and its
convolutions. A window of what they make depends on all pixels, so that no receptive field is bounded behind them.
"""

# ruff: noqa: D102 - the protocol Map describes the methods of all of them

from dataclasses import dataclass

import torch
from torch import Tensor

from gahb_theory.jacobians.engines.linear_maps import Window

__all__ = ["Inner", "Mean", "Spread"]


@dataclass(frozen=True, eq=False)
class Mean:
    """The mean of each channel of images of `size` (height, width), as an image of one pixel."""

    size: tuple[int, int]
    fresh = True

    def push(self, *x: Tensor) -> Tensor:
        return x[0].mean((2, 3), keepdim=True)

    def pull(self, g: Tensor, window: Window) -> list[Tensor]:
        return [(g / (self.size[0] * self.size[1])).expand(-1, -1, *self.size).clone(memory_format=torch.channels_last)]

    def reach(self, window: Window) -> list[Window]:
        return [((0, self.size[0]), (0, self.size[1]))]

    def work(self, window: Window) -> int:
        return 0


@dataclass(frozen=True, eq=False)
class Spread:
    """One number for all, or one for each channel, at every pixel: from `before` to `after`, (channels, height, width)."""

    before: tuple[int, int, int]
    after: tuple[int, int, int]
    fresh = True

    def push(self, *x: Tensor) -> Tensor:
        return x[0].expand(-1, *self.after).clone(memory_format=torch.channels_last)

    def pull(self, g: Tensor, window: Window) -> list[Tensor]:
        axes = [i + 1 for i in range(3) if self.before[i] == 1]
        return [g.sum(axes, keepdim=True)]

    def reach(self, window: Window) -> list[Window]:
        rows, columns = ((0, 1) if n == 1 else span for n, span in zip(self.before[1:], window, strict=True))
        return [(rows, columns)]

    def work(self, window: Window) -> int:
        return 0


@dataclass(frozen=True, eq=False)
class Inner:
    """The inner product with `direction`, shape (1, channels, height, width), as an image of one pixel and one channel."""

    direction: Tensor
    fresh = True

    def push(self, *x: Tensor) -> Tensor:
        return (x[0] * self.direction).sum((1, 2, 3), keepdim=True)

    def pull(self, g: Tensor, window: Window) -> list[Tensor]:
        return [g * self.direction]

    def reach(self, window: Window) -> list[Window]:
        return [((0, self.direction.shape[2]), (0, self.direction.shape[3]))]

    def work(self, window: Window) -> int:
        return 0
