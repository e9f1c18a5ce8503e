"""The published distribution of C^alpha images (Kadkhodaie et al. 2024, algorithm 2), to the letter.

    C = F^-1 |k|^-alpha F c,        b = F^-1 |k|^-beta F w,        c, w uniform white noise on [-1, 1],

with |0| read as 1. The contour is rounded to whole pixels, the mask blurred by a box of 2 x 2 pixels with its shift of
half a pixel, and the backgrounds are stretched between their extremes to [U_1, 1] and [0, U_2]. As random functions
the contours are only C^(alpha - 1/2) and the backgrounds C^(beta - 1): a filter |k|^-q gains q from white noise, whose
regularity is -1/2 on a line and -1 in the plane.

One thing is mended: a contour above the image, which emptied the mask where it should fill it, is cut off at the border.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from gahb_theory.images.transforms import filtered_pairs, forward_real, inverse_real
from gahb_theory.randomness import Component, symmetric_uniforms

__all__ = ["PaperImages", "paper_contours", "paper_fields", "paper_images", "paper_sample"]

PART_PIXELS = 2**16  # the arrays of so many stay in the cache of one core


class PaperImages(NamedTuple):
    """Images and what they are made of."""

    images: Float[Tensor, "n 1 size size"]
    contour: Float[Tensor, "n size"]
    """Rounded to whole pixels, in units of the side."""
    coverage: Float[Tensor, "n 1 size size"]
    backgrounds: Float[Tensor, "n 2 size size"]


def paper_contours(
    n: int, size: int, alpha: float, *, seed: int = 0, start: int = 0, dtype: torch.dtype = torch.float32
) -> Float[Tensor, "n size"]:
    """Contours before they are rounded, in units of the side, about 0; their standard deviation shrinks as size^-1/2."""
    white = symmetric_uniforms(n, size, seed=seed, start=start, component=Component.CONTOUR, dtype=dtype)
    gain = torch.arange(size // 2 + 1, dtype=dtype, device="cpu").clamp_(min=1) ** -alpha
    return inverse_real(forward_real(white).mul_(gain / size), size)


def paper_fields(
    n: int, size: int, beta: float, *, seed: int = 0, start: int = 0, dtype: torch.dtype = torch.float32
) -> Float[Tensor, "n 2 size size"]:
    """Two background fields of each image before they are stretched; they are periodic."""
    return _field_pairs(n, size, beta, seed, start, dtype).permute(0, 3, 1, 2).contiguous()


def _field_pairs(n: int, size: int, beta: float, seed: int, start: int, dtype: torch.dtype) -> Tensor:
    noise = symmetric_uniforms(n, 2 * size**2, seed=seed, start=start, component=Component.FIELDS, dtype=dtype)
    return filtered_pairs(noise.reshape(n, size, size, 2), _gain(size, beta, dtype))


@lru_cache(maxsize=32)
def _gain(size: int, beta: float, dtype: torch.dtype) -> Tensor:
    """|k|^-beta / size^2, the factor of the inverse transform included, each number twice in a row."""
    k = torch.fft.fftfreq(size, 1 / size, dtype=torch.float64, device="cpu")
    radius = torch.hypot(k[:, None], k[None, :])
    radius[0, 0] = 1
    return (radius**-beta / size**2).repeat_interleave(2, dim=1).to(dtype)


def paper_images(
    n: int, size: int, alpha: float, beta: float, *, seed: int, start: int, dtype: torch.dtype
) -> PaperImages:
    """Draw images, by NumPy alone: many threads can do so at once, each with images of its own."""
    images, rows, coverage, backgrounds = _drawn(n, size, alpha, beta, seed, start, dtype, held=n)
    return PaperImages(
        torch.from_numpy(images)[:, None],
        torch.from_numpy(rows / rows.dtype.type(size)),
        torch.from_numpy(coverage)[:, None],
        torch.from_numpy(backgrounds),
    )


def paper_sample(
    n: int, size: int, alpha: float, beta: float, *, seed: int, start: int, dtype: torch.dtype
) -> Float[Tensor, "n 1 size size"]:
    """The same images alone: what they are made of stays in the cache and is overwritten by that of the next ones."""
    images, *_ = _drawn(n, size, alpha, beta, seed, start, dtype, held=min(n, _part_length(size)))
    return torch.from_numpy(images)[:, None]


def _drawn(
    n: int, size: int, alpha: float, beta: float, seed: int, start: int, dtype: torch.dtype, *, held: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Images and rows of the contours, and coverage and backgrounds of `kept` images: all, or those of one part."""
    rows, low, high = _parameters(n, size, alpha, seed, start, dtype)
    images, coverage = np.empty((n, size, size), rows.dtype), np.empty((held, size, size), rows.dtype)
    backgrounds = np.empty((held, 2, size, size), rows.dtype)
    length = _part_length(size)
    for first in range(0, n, length):
        part = slice(first, min(first + length, n))
        count = part.stop - first
        at = slice(first % held, first % held + count)
        _boxed_mask(rows[part], coverage[at])
        pairs = _field_pairs(count, size, beta, seed, start + first, dtype)
        _compose(pairs.numpy(), low[part], high[part], coverage[at], backgrounds[at], images[part])
    return images, rows, coverage, backgrounds


def _part_length(size: int) -> int:
    return max(1, PART_PIXELS // size**2)


def _parameters(
    n: int, size: int, alpha: float, seed: int, start: int, dtype: torch.dtype
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows of the contours (n, size), lower and upper end (n, 2) of the backgrounds."""
    contour = paper_contours(n, size, alpha, seed=seed, start=start, dtype=dtype).numpy()
    rows = np.clip(np.rint(contour * contour.dtype.type(size)) + size // 2, 0, size)
    u = symmetric_uniforms(n, 3, seed=seed, start=start, component=Component.PARAMETERS, dtype=dtype).numpy()
    bright = (u[:, 2:] >= 0) == np.array([False, True])  # one region is stretched to [u_0, 1], the other to [0, u_1]
    u = (u + 1) / 2
    return rows, np.where(bright, u[:, :1], 0), np.where(bright, 1, u[:, 1:2])


def _compose(
    pairs: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    coverage: np.ndarray,
    backgrounds: np.ndarray,
    images: np.ndarray,
) -> None:
    """Stretch the fields into `backgrounds`, and mix these into `images`."""
    for region in range(2):
        field = backgrounds[:, region]
        field[:] = pairs[..., region]
        least, most = field.min((1, 2)), field.max((1, 2))
        field -= least[:, None, None]
        field *= ((high - low)[:, region] / (most - least))[:, None, None]
        field += low[:, region, None, None]
    np.subtract(backgrounds[:, 0], backgrounds[:, 1], out=images)
    images *= coverage
    images += backgrounds[:, 1]


def _boxed_mask(rows: np.ndarray, out: np.ndarray) -> None:
    """The mask {i >= rows_j}, its mean over each pixel, its left and its upper neighbours, reflected at the border.

    The sum over two rows is clamp(i + 1 - rows_j, 0, 2); by reflection the first row and column equal the second.
    """
    level = np.arange(1, rows.shape[1] + 1, dtype=rows.dtype)
    level[0] = 2
    half = np.subtract(level[:, None], rows[:, None, :])
    np.clip(half, 0, 2, out=half)
    np.add(half[:, :, 1:], half[:, :, :-1], out=out[:, :, 1:])
    out[:, :, 0] = out[:, :, 1]
    out *= rows.dtype.type(0.25)
