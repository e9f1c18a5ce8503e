"""Linear maps that move pixels: shuffles between pixels and channels, resamplings, maxima held at y.

shuffle      out[c, r i + a, r j + b] = in[c r^2 + a r + b, i, j]                    (Shi et al., CVPR 2016)
resampling   out = R in C^T, R and C the matrices of one axis: interpolation, padding by reflection or repetition
selection    out[c, p] = in[c, s(c, p)], s the place of the maximum at y             (pooling by maxima)
"""

# ruff: noqa: D102 - the protocol Map describes the methods of all of them

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from gahb_theory.jacobians.engines.linear_maps import Window

__all__ = ["Joined", "Resampling", "Selection", "Shuffle", "Unshuffle"]


class _Free:
    """What these maps have in common: new tensors, and no multiplications that count."""

    fresh = True

    def work(self, window: Window) -> int:
        return 0


@dataclass(frozen=True, eq=False)
class Shuffle(_Free):
    """Channels to pixels, `factor` times as many rows and columns."""

    factor: int

    def push(self, *x: Tensor) -> Tensor:
        return functional.pixel_shuffle(x[0], self.factor)

    def pull(self, g: Tensor, window: Window) -> list[Tensor]:
        (rows, columns), r = window, self.factor
        pads = (columns[0] % r, -columns[1] % r, rows[0] % r, -rows[1] % r)
        return [functional.pixel_unshuffle(functional.pad(g, pads) if any(pads) else g, r)]

    def reach(self, window: Window) -> list[Window]:
        rows, columns = ((a // self.factor, -(-b // self.factor)) for a, b in window)
        return [(rows, columns)]


@dataclass(frozen=True, eq=False)
class Unshuffle(_Free):
    """Pixels to channels, the inverse of `Shuffle`."""

    factor: int

    def push(self, *x: Tensor) -> Tensor:
        return functional.pixel_unshuffle(x[0], self.factor)

    def pull(self, g: Tensor, window: Window) -> list[Tensor]:
        return [functional.pixel_shuffle(g, self.factor)]

    def reach(self, window: Window) -> list[Window]:
        rows, columns = ((a * self.factor, b * self.factor) for a, b in window)
        return [(rows, columns)]


@dataclass(frozen=True, eq=False)
class Resampling(_Free):
    """A matrix on the rows, shape (height out, height in), and one on the columns, the same for all channels."""

    rows: Tensor
    columns: Tensor

    def push(self, *x: Tensor) -> Tensor:
        return self.rows @ x[0] @ self.columns.mT

    def pull(self, g: Tensor, window: Window) -> list[Tensor]:
        (target,) = self.reach(window)
        rows, columns = (
            matrix[a:b, start:stop]
            for matrix, (a, b), (start, stop) in zip((self.rows, self.columns), window, target, strict=True)
        )
        return [rows.mT @ g @ columns]

    def reach(self, window: Window) -> list[Window]:
        rows, columns = (_support(matrix, span) for matrix, span in zip((self.rows, self.columns), window, strict=True))
        return [(rows, columns)]


@dataclass(frozen=True, eq=False)
class Selection(_Free):
    """One input pixel for each output pixel of each channel.

    Parameters
    ----------
    places
        Number row * width + column of the pixel, shape (1, channels, height out, width out).
    size
        (height, width) of the input.
    """

    places: Tensor
    size: tuple[int, int]

    def push(self, *x: Tensor) -> Tensor:
        places = self.places.expand(len(x[0]), -1, -1, -1)
        return x[0].flatten(2).gather(2, places.flatten(2)).reshape(places.shape)

    def pull(self, g: Tensor, window: Window) -> list[Tensor]:
        (((top, bottom), (left, right)),) = self.reach(window)
        places = self._on(window)
        local = (places // self.size[1] - top) * (right - left) + places % self.size[1] - left
        result = g.new_zeros(*g.shape[:2], (bottom - top) * (right - left))
        result.scatter_add_(2, local.expand(len(g), -1, -1, -1).flatten(2), g.flatten(2))
        return [result.reshape(*g.shape[:2], bottom - top, right - left)]

    def reach(self, window: Window) -> list[Window]:
        places = self._on(window)
        if places.numel() == 0:
            return [((0, 0), (0, 0))]
        rows, columns = ((int(p.min()), int(p.max()) + 1) for p in (places // self.size[1], places % self.size[1]))
        return [(rows, columns)]

    def _on(self, window: Window) -> Tensor:
        (top, bottom), (left, right) = window
        return self.places[:, :, top:bottom, left:right]


@dataclass(frozen=True, eq=False)
class Joined(_Free):
    """Images among other channels that do not depend on y: channels `spans[i]`, (start, stop), of `total`."""

    spans: tuple[tuple[int, int], ...]
    total: int

    def push(self, *x: Tensor) -> Tensor:
        result = x[0].new_zeros(len(x[0]), self.total, *x[0].shape[2:]).contiguous(memory_format=torch.channels_last)
        for (start, stop), part in zip(self.spans, x, strict=True):
            result[:, start:stop] = part
        return result

    def pull(self, g: Tensor, window: Window) -> list[Tensor]:
        return [g[:, start:stop].clone(memory_format=torch.channels_last) for start, stop in self.spans]

    def reach(self, window: Window) -> list[Window]:
        return [window] * len(self.spans)


def _support(matrix: Tensor, span: tuple[int, int]) -> tuple[int, int]:
    """The columns of the matrix that do not vanish on a span of its rows."""
    used = matrix[span[0] : span[1]].any(dim=0).nonzero().flatten()
    return (int(used[0]), int(used[-1]) + 1) if len(used) else (0, 0)
