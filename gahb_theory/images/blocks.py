"""Drawing many images block by block: the memory beyond the result is that of one block, which stays in the cache."""

import os
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor
from tqdm import tqdm

from gahb_theory import validate

__all__ = ["block_length", "draw_images", "draw_scene"]

BLOCK_PIXELS = 2**18

AnyScene = TypeVar("AnyScene")


def block_length(pixels: int, cost: int = 1) -> int:
    """Number of images in a block; `cost` is the number of work arrays beyond the usual few."""
    return max(1, BLOCK_PIXELS // (pixels * cost))


def draw_images(
    draw: Callable[[int, int], Tensor], n: int, start: int, block: int, shape: tuple[int, ...], dtype: torch.dtype
) -> Tensor:
    """Images start .. start + n - 1 of shape (n, *shape), drawn by `draw(count, first)` in blocks.

    Raises
    ------
    ValueError
        If the images do not fit in the memory of the machine.
    """
    validate.integer(n, "n", 1)
    _fits(n, shape, dtype)
    if n <= block:
        return draw(n, start)
    out = torch.empty(n, *shape, dtype=dtype)
    for first, count in _blocks(n, block):
        out[first : first + count] = draw(count, start + first)
    return out


def draw_scene(
    draw: Callable[[int, int], AnyScene], n: int, start: int, block: int, shape: tuple[int, ...], dtype: torch.dtype
) -> AnyScene:
    """Scenes of images start .. start + n - 1, drawn by `draw(count, first)` in blocks and joined field by field."""
    validate.integer(n, "n", 1)
    _fits(n, shape, dtype)
    if n <= block:
        return draw(n, start)
    return _join([draw(count, start + first) for first, count in _blocks(n, block)])


def _blocks(n: int, block: int) -> Any:
    steps = tqdm(range(0, n, block), desc="drawing images", unit=" blocks", delay=2, disable=None, leave=False)
    return ((first, min(block, n - first)) for first in steps)


def _join(parts: list[Any]) -> Any:
    """Tensors are concatenated along the batch, dataclasses joined field by field; anything else is common to all."""
    head = parts[0]
    if isinstance(head, Tensor):
        return torch.cat(parts)
    if is_dataclass(head) and not isinstance(head, type) and getattr(head, "batched", True):
        return type(head)(*(_join([getattr(part, f.name) for part in parts]) for f in fields(head)))
    return head


def _fits(n: int, shape: tuple[int, ...], dtype: torch.dtype) -> None:
    needed = n * torch.Size(shape).numel() * dtype.itemsize
    try:
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # no such figure on this system
        return
    if needed > memory:
        raise ValueError(
            f"{n:,} images of shape {tuple(shape)} need {needed / 2**30:,.0f} GiB, and this machine has "
            f"{memory / 2**30:,.0f} GiB; draw fewer at a time, or write them to disk with gahb_theory.dataset"
        )
