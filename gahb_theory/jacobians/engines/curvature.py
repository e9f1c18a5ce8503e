"""How the transposed derivative of one operation changes with its inputs.

The cotangent g of the result of an operation b = h(a) gives that of its input, g_a = h'(a)^T g. Where a moves by v and g by
w, g_a moves by

    h'(a)^T w + H v,        H = d/da [h'(a)^T g],

H symmetric: for an activation a diagonal, h''(a) g; for a product of two values, g between the one and the other; for a norm
r = ||a|| with n = a / r, (I - n n^T) g / r. For convolutions, sums and all that is linear it vanishes.
"""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

__all__ = ["Bend", "Bending", "NormBending", "PointwiseBending"]


@runtime_checkable
class Bending(Protocol):
    """H as a function of g."""

    def along(self, g: Tensor, /) -> "Bending":
        """H for the cotangent `g` of the result."""
        ...

    def add(self, g: Tensor, v: Tensor, /) -> Tensor:
        """`g`, which is overwritten, plus H `v`."""
        ...


@dataclass(frozen=True)
class Bend:
    """The cotangent of value `target` gains H times the tangent of value `source`, with g the cotangent of `output`."""

    target: int
    source: int
    output: int
    bending: Bending


@dataclass(frozen=True, eq=False)
class PointwiseBending:
    """Multiplication by `factor`, which acts on each number alone."""

    factor: Tensor

    def along(self, g: Tensor) -> "PointwiseBending":
        """The second derivatives times `g`."""
        return PointwiseBending((self.factor * g).contiguous(memory_format=torch.channels_last))

    def add(self, g: Tensor, v: Tensor) -> Tensor:
        """`g` plus the factor times `v`."""
        return g.addcmul_(self.factor, v)


@dataclass(frozen=True, eq=False)
class NormBending:
    """The second derivative (I - n n^T) `factor` of a norm, with `direction` n of shape (1, channels, height, width)."""

    direction: Tensor
    factor: Tensor

    def along(self, g: Tensor) -> "NormBending":
        """For the cotangent `g` of the norm, a number."""
        return NormBending(self.direction, self.factor * g)

    def add(self, g: Tensor, v: Tensor) -> Tensor:
        """`g` plus the part of `v` across the direction, times the factor."""
        along = (v * self.direction).sum((1, 2, 3), keepdim=True)
        return g.addcmul_(self.factor, v - along * self.direction)
