"""An endless stream of images from an image class, a fixed set, or a torch Dataset.

Image i of the stream is a pure function of (data, seed, i), so that training goes on anywhere as if never interrupted.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from gahb_theory import validate
from gahb_theory.images.base import ImageClass
from gahb_theory.randomness import Component, step_generator

__all__ = ["Data", "image_stream"]

Data = ImageClass | Tensor | Dataset[Any]


def image_stream(data: Data, seed: int) -> Callable[[int, int], Tensor]:
    """The function (start, count) -> images start .. start + count - 1 of an endless stream.

    Parameters
    ----------
    data
        An image class: every image of the stream is fresh. A tensor (n, c, h, w) or a torch Dataset with a length,
        whose items are images (c, h, w) or tuples that begin with one: pass after pass, each in an order of its own.
    seed
        Names the stream.
    """
    if isinstance(data, ImageClass):
        return lambda start, count: data.sample(count, seed=seed, start=start)
    if isinstance(data, Tensor):
        validate.images(data, "data")
        return lambda start, count: data[_shuffled(start, count, len(data), seed)]
    if not (hasattr(data, "__getitem__") and hasattr(data, "__len__")):
        raise TypeError(
            "data must be an image class (with a method sample), a tensor (n, c, h, w) or a torch Dataset "
            f"with a length, got {type(data).__name__}"
        )
    if not len(data):
        raise ValueError(f"data must hold at least one image, got an empty {type(data).__name__}")
    return lambda start, count: torch.stack([_item(data, int(i)) for i in _shuffled(start, count, len(data), seed)])


def _item(data: Any, index: int) -> Tensor:
    item = data[index]
    image = item[0] if isinstance(item, tuple | list) else item
    if not isinstance(image, Tensor) or image.ndim != 3 or not image.is_floating_point():
        found = f"{image.dtype} of shape {tuple(image.shape)}" if isinstance(image, Tensor) else type(image).__name__
        raise TypeError(
            f"data[{index}] must be a floating-point tensor (channels, height, width) in [0, 1], got {found}"
        )
    return image


def _shuffled(start: int, count: int, n: int, seed: int) -> Tensor:
    """Indices start .. start + count - 1 of an endless sequence of permutations of 0 .. n - 1, one per pass."""
    position = torch.arange(start, start + count, device="cpu")
    orders = {
        epoch: torch.randperm(n, generator=step_generator("cpu", Component.ORDER, seed, epoch), device="cpu")
        for epoch in range(start // n, (start + count - 1) // n + 1)
    }
    return torch.stack([orders[int(p) // n][int(p) % n] for p in position])
