"""Drawing many images block by block: the memory beyond the result is that of one block, which stays in the cache."""

import math
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from gahb_theory import validate
from gahb_theory.memory import check_memory
from gahb_theory.progress import progress_bar
from gahb_theory.randomness import LARGEST_INDEX, is_double

__all__ = ["admit", "block_length", "draw_images", "draw_scene", "empty", "fill_images"]

BLOCK_PIXELS = 2**18

AnyScene = TypeVar("AnyScene")
Step = TypeVar("Step")


def block_length(pixels: int, cost: int = 1) -> int:
    """Number of images in a block; `cost` is the number of work arrays beyond the usual few."""
    return max(1, BLOCK_PIXELS // (pixels * cost))


def admit(n: int, start: int, shape: tuple[int, ...], dtype: torch.dtype) -> tuple[int, int]:
    """The number of images and the first of them, as Python integers.

    Numbers of images that are not positive, or do not fit in the memory of the machine, are refused, and precisions
    that no class draws.
    """
    n = validate.integer(n, "n", 1)
    needed = n * math.prod(shape) * (8 if is_double(dtype) else 4)
    hint = "draw fewer at a time, or write them to disk with gahb_theory.dataset"
    check_memory(needed, f"n = {n:,} images of shape {tuple(shape)}", hint)
    return n, validate.integer(start, "start", 0, LARGEST_INDEX - n)


def draw_images(
    draw: Callable[[int, int], Tensor],
    n: int,
    start: int,
    block: int,
    shape: tuple[int, ...],
    dtype: torch.dtype,
    threads: int = 1,
) -> Tensor:
    """Images start .. start + n - 1 of shape (n, *shape), drawn by `draw(count, first)` in blocks.

    `threads` above 1 are for functions `draw` that run on one core and leave the interpreter free, as NumPy does.

    Raises
    ------
    ValueError
        If the images do not fit in the memory of the machine.
    """
    n, start = admit(n, start, shape, dtype)
    if n <= block:
        return draw(n, start)
    out = empty(n, *shape, dtype=dtype)

    def fill(first: int) -> None:
        out[first : first + block] = draw(min(block, n - first), start + first)

    firsts = range(0, n, block)
    if threads == 1:
        for first in _shown(firsts):
            fill(first)
    else:
        with ThreadPoolExecutor(min(threads, len(firsts))) as pool:
            for _ in _shown(pool.map(fill, firsts), len(firsts)):
                pass
    return out


def fill_images(
    fill: Callable[[Tensor, int], None], n: int, start: int, block: int, shape: tuple[int, ...], dtype: torch.dtype
) -> Tensor:
    """The same where `fill(out, first)` writes the images from `first` on into its memory: no block is copied."""
    n, start = admit(n, start, shape, dtype)
    out = empty(n, *shape, dtype=dtype)
    for first in _shown(range(0, n, block)):
        fill(out[first : first + block], start + first)
    return out


def empty(*shape: int, dtype: torch.dtype) -> Tensor:
    """Memory as NumPy asks for it: in huge pages, whose first use costs a small part of that of ordinary ones."""
    return torch.from_numpy(np.empty(shape, np.float64 if dtype == torch.float64 else np.float32))


def draw_scene(
    draw: Callable[[int, int], AnyScene], n: int, start: int, block: int, shape: tuple[int, ...], dtype: torch.dtype
) -> AnyScene:
    """Scenes of images start .. start + n - 1, drawn by `draw(count, first)` in blocks and joined field by field."""
    n, start = admit(n, start, shape, dtype)
    if n <= block:
        return draw(n, start)
    return _join([draw(min(block, n - first), start + first) for first in _shown(range(0, n, block))])


def _shown(steps: Iterable[Step], total: int | None = None) -> Iterable[Step]:
    return progress_bar(steps, total=total, desc="drawing images", unit=" blocks")


def _join(parts: list[Any]) -> Any:
    """Tensors are concatenated along the batch, dataclasses joined field by field; anything else is common to all."""
    head = parts[0]
    if isinstance(head, Tensor):
        return torch.cat(parts)
    if is_dataclass(head) and not isinstance(head, type) and getattr(head, "batched", True):
        return type(head)(*(_join([getattr(part, f.name) for part in parts]) for f in fields(head)))
    return head
