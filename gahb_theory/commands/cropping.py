"""The square of a photograph that a command looks at."""

import re
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from gahb_theory.images.photographs import reduced

__all__ = ["Crop", "cut_out"]

LARGEST_SHOWN = 480


@dataclass(frozen=True)
class Crop:
    """A square of a photograph, and where it lies."""

    image: Tensor
    """Shape (1, c, size, size)."""
    shown: np.ndarray
    """The photograph, made smaller for a page, shape (h, w, c), uint8."""
    box: tuple[float, float, float]
    """Left, top and side of the square in the pixels of `shown`."""
    words: str
    """Which square it is."""


def cut_out(x: Tensor, size: int, crop: str | None, resize: bool, name: str) -> Crop:
    """The square of `size` pixels whose upper left corner is `crop`, as "x,y"; by default the middle.

    With `resize` the photograph is first made so small that its smaller side is `size`.
    """
    height, width = x.shape[2:]
    if min(height, width) < size:
        raise ValueError(f"size must not exceed the smaller side of {name}, got {size} for {(height, width)}")
    if resize and min(height, width) > size:
        smaller = reduced(x[0].numpy(), size / min(height, width))
        x = torch.from_numpy(smaller)[None].clamp(0, 1)
    height_now, width_now = x.shape[2:]
    left, top = (width_now - size) // 2, (height_now - size) // 2
    place = "the middle"
    if crop is not None:
        match = re.fullmatch(r"(\d+),(\d+)", crop)
        if match is None:
            raise ValueError(f"crop must be X,Y, the upper left corner in pixels, got {crop!r}")
        left, top = int(match[1]), int(match[2])
        place = "as asked for"
        if left + size > width_now or top + size > height_now:
            raise ValueError(
                f"the crop of {size} pixels at {left},{top} leaves {name}, which is {width_now} x {height_now}; the last "
                f"corner is {width_now - size},{height_now - size}"
            )
    words = f"{size} x {size} pixels at {left},{top} ({place}) of {width_now} x {height_now}"
    if (height_now, width_now) == (size, size):
        words = f"the whole image, {size} x {size} pixels"
    if (height_now, width_now) != (height, width):
        words += f", resized from {width} x {height}"
    step = max(1, -(-max(height_now, width_now) // LARGEST_SHOWN))
    small = reduced(x[0].numpy(), 1 / step)
    levels = (255 * np.clip(small, 0, 1)).round().astype(np.uint8).transpose(1, 2, 0)
    box = (left / step, top / step, size / step)
    return Crop(x[:, :, top : top + size, left : left + size].contiguous(), levels, box, words)
