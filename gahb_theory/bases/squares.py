"""Cutting images into equal squares or rectangles, and pasting them together."""

from jaxtyping import Shaped
from torch import Tensor

__all__ = ["cut", "paste"]


def cut(
    x: Shaped[Tensor, "*batch h w"], height: int, width: int
) -> Shaped[Tensor, "*batch rows columns {height} {width}"]:
    """Cut images into rectangles of `height` by `width` pixels, which divide the sides.

    Examples
    --------
    >>> import torch
    >>> cut(torch.arange(4.0).reshape(1, 4), 1, 2).shape
    torch.Size([1, 2, 1, 2])
    """
    *batch, h, w = x.shape
    return x.reshape(*batch, h // height, height, w // width, width).transpose(-3, -2)


def paste(blocks: Shaped[Tensor, "*batch rows columns height width"]) -> Shaped[Tensor, "*batch h w"]:
    """Paste rectangles together: the inverse of `cut`."""
    *batch, rows, columns, height, width = blocks.shape
    return blocks.transpose(-3, -2).reshape(*batch, rows * height, columns * width)
