"""The published law of C^alpha images (Kadkhodaie et al. 2024, algorithm 2), to the letter.

    C = F^-1 |k|^-alpha F c,        b = F^-1 |k|^-beta F w,        c, w uniform white noise on [-1, 1],

with |0| read as 1. The contour is rounded to whole pixels, the mask blurred by a box of 2 x 2 pixels with its shift of
half a pixel, and the backgrounds are stretched between their extremes to [U_1, 1] and [0, U_2]. As random functions
the contours are only C^(alpha - 1/2) and the backgrounds C^(beta - 1): a filter |k|^-q gains q from white noise, whose
regularity is -1/2 on a line and -1 in the plane.

One thing is mended: a contour above the image, which emptied the mask where it should fill it, is cut off at the border.
"""

from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor

from gahb_theory.images.transforms import filtered, forward_real, inverse_real
from gahb_theory.randomness import Component, uniforms

__all__ = ["paper_contours", "paper_fields", "paper_images"]


def paper_contours(
    n: int, size: int, alpha: float, *, seed: int = 0, start: int = 0, dtype: torch.dtype = torch.float32
) -> Float[Tensor, "n size"]:
    """Contours before they are rounded, in units of the side, about 0; their standard deviation shrinks as size^-1/2."""
    white = uniforms(n, size, seed=seed, start=start, component=Component.CONTOUR, dtype=dtype).mul_(2).sub_(1)
    gain = torch.arange(size // 2 + 1, dtype=dtype).clamp_(min=1) ** -alpha
    return inverse_real(forward_real(white).mul_(gain / size), size)


def paper_fields(
    n: int, size: int, beta: float, *, seed: int = 0, start: int = 0, dtype: torch.dtype = torch.float32
) -> Float[Tensor, "n 2 size size"]:
    """Two background fields of each image before they are stretched; they are periodic."""
    noise = uniforms(n, 2 * size**2, seed=seed, start=start, component=Component.FIELDS, dtype=dtype).mul_(2).sub_(1)
    return filtered(noise.reshape(n, 2, size, size), _gain(size, beta, dtype))


@lru_cache(maxsize=32)
def _gain(size: int, beta: float, dtype: torch.dtype) -> Tensor:
    rows = torch.fft.fftfreq(size, 1 / size).to(dtype)
    radius = torch.hypot(rows[:, None], torch.arange(size // 2 + 1, dtype=dtype)[None, :])
    radius[0, 0] = 1
    return radius**-beta


def paper_images(
    n: int, size: int, alpha: float, beta: float, *, seed: int, start: int, dtype: torch.dtype
) -> tuple[Tensor, Tensor, Tensor]:
    """Rounded contours (n, size) in units of the side, masks (n, 1, size, size), backgrounds (n, 2, size, size)."""
    contour = paper_contours(n, size, alpha, seed=seed, start=start, dtype=dtype)
    rows = contour.mul_(size).round_().add_(size // 2).clamp_(0, size)
    backgrounds = paper_fields(n, size, beta, seed=seed, start=start, dtype=dtype)
    least, most = backgrounds.amin((2, 3)), backgrounds.amax((2, 3))
    u = uniforms(n, 3, seed=seed, start=start, component=Component.PARAMETERS, dtype=dtype)
    bright = u[:, 2:] >= 0.5  # one region is stretched to [u_0, 1], the other to [0, u_1]
    first = torch.arange(2) == bright.long()
    low = torch.where(first, u[:, :1], 0)
    high = torch.where(first, 1, u[:, 1:2])
    backgrounds.sub_(least[:, :, None, None]).div_((most - least)[:, :, None, None])
    backgrounds.mul_((high - low)[:, :, None, None]).add_(low[:, :, None, None])
    return rows / size, _boxed_mask(rows, size), backgrounds


def _boxed_mask(rows: Tensor, size: int) -> Tensor:
    """The mask {i >= rows_j}, its mean over each pixel, its left and its upper neighbours, reflected at the border.

    The sum over two rows is clamp(i + 1 - rows_j, 0, 2); by reflection the first row and column equal the second.
    """
    level = torch.arange(1, size + 1, dtype=rows.dtype)
    level[0] = 2
    pair = (level[:, None] - rows[:, None, :]).clamp_(0, 2)
    out = torch.empty_like(pair)
    torch.add(pair[:, :, 1:], pair[:, :, :-1], out=out[:, :, 1:])
    out[:, :, 0] = out[:, :, 1]
    return out.mul_(0.25)[:, None]
