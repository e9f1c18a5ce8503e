"""An endless stream of images from an image class, a fixed set, or a torch Dataset.

Image i of the stream is a pure function of (data, seed, i), so that training goes on anywhere as if never interrupted.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.utils.data import Dataset

from gahb_theory import validate
from gahb_theory.images.base import ImageClass
from gahb_theory.randomness import Component, step_generator

__all__ = ["Data", "as_images", "batches", "image_stream", "items", "stacked", "steps_together"]

Data = ImageClass | Tensor | Dataset[Any]
VALUES_AT_ONCE, IMAGES_AT_ONCE = 2**16, 256
"""Of batches that are drawn together: alone, 32 images of 16 pixels cost three times what they do among 256."""


def image_stream(data: Data, *, seed: int) -> Callable[[int, int], Tensor]:
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
        return lambda start, count: _fresh(data, count, seed, start)
    if isinstance(data, Tensor):
        validate.images(data, "data")
        return lambda start, count: data[_shuffled(start, count, len(data), seed)]
    length = items(data)
    return lambda start, count: stacked(data, _shuffled(start, count, length, seed).tolist())


def batches(
    draw: Callable[[int, int], Tensor], steps: range, count: int, *, together: int = 1
) -> Iterator[Float[Tensor, "n c h w"]]:
    """Yield the batch of each step, images step count .. (step + 1) count - 1 of a stream, some steps drawn at a time.

    Parameters
    ----------
    draw
        A stream, the function of (start, count).
    steps
        Consecutive steps.
    count
        Images per batch.
    together
        Steps that are drawn together; they begin at multiples of it, wherever `steps` begins.

    Examples
    --------
    >>> stream = image_stream(torch.rand(6, 1, 2, 2), seed=0)
    >>> [len(x) for x in batches(stream, range(1, 4), 4, together=2)]
    [4, 4, 4]
    """
    for first in range(steps.start - steps.start % together, steps.stop, together):
        block = draw(first * count, (min(first + together, steps.stop) - first) * count)
        yield from torch.split(block, count)[max(0, steps.start - first) :]


def steps_together(batch: Float[Tensor, "n c h w"]) -> int:
    """Return how many batches of this size are drawn together."""
    return max(1, min(VALUES_AT_ONCE // batch.numel(), IMAGES_AT_ONCE // len(batch)))


def _fresh(data: ImageClass, count: int, seed: int, start: int) -> Tensor:
    """Images of a class; whether they are finite, training sees by its loss, and says what is kept."""
    x = data.sample(count, seed=seed, start=start)
    if not isinstance(x, Tensor) or x.ndim != 4 or len(x) != count or not x.is_floating_point():
        return validate.sampled(data, count, seed=seed, start=start)  # says what is wrong
    return x


def items(data: Any, name: str = "data") -> int:
    """The number of items of a torch Dataset, at least 1.

    Raises
    ------
    TypeError
        If it is none, or has no length.
    """
    if isinstance(data, str | bytes | Mapping) or not hasattr(data, "__getitem__"):
        length = None
    else:
        try:
            length = len(data)
        except TypeError:
            length = None
    if length is None:
        classes = "an image class (with a method sample), " if name == "data" else ""
        raise TypeError(
            f"{name} must be {classes}a tensor (n, c, h, w) or a Dataset with a length, got {type(data).__name__}"
        )
    if not length:
        raise ValueError(f"{name} must hold at least one image, got an empty {type(data).__name__}")
    return length


def stacked(data: Any, indices: Iterable[int], name: str = "data") -> Tensor:
    """The images of some items of a torch Dataset as one tensor (k, c, h, w).

    An item is an image (c, h, w), or a tuple or list that begins with one, such as (image, label).

    Raises
    ------
    TypeError, ValueError
        If an item is no such image, is not finite, or differs from the others in shape or type.
    """
    images: list[Tensor] = []
    for index in indices:
        image = _item(data, index, name)
        if images and (image.shape != images[0].shape or image.dtype != images[0].dtype):
            raise ValueError(
                f"all images of {name} must have one shape and type, got {tuple(image.shape)} of {image.dtype} at {index} "
                f"and {tuple(images[0].shape)} of {images[0].dtype} before; crop and convert them in the Dataset"
            )
        images.append(image)
    return torch.stack(images)


def as_images(data: Tensor | Dataset[Any], name: str = "images") -> Tensor:
    """A tensor of images as it is, a torch Dataset as one tensor (n, c, h, w)."""
    if isinstance(data, Tensor):
        return validate.images(data, name)
    return stacked(data, range(items(data, name)), name)


def _item(data: Any, index: int, name: str) -> Tensor:
    item = data[index]
    image = item[0] if isinstance(item, tuple | list) and len(item) else item
    if not isinstance(image, Tensor) or image.ndim != 3 or not image.is_floating_point():
        shown = f"{image.dtype} of shape {tuple(image.shape)}" if isinstance(image, Tensor) else type(image).__name__
        raise TypeError(
            f"{name}[{index}] must be a floating-point tensor (channels, height, width) in [0, 1], or a tuple that begins "
            f"with one, got {shown}"
        )
    return validate.finite(image, f"{name}[{index}]")


def _shuffled(start: int, count: int, n: int, seed: int) -> Tensor:
    """Indices start .. start + count - 1 of an endless sequence of permutations of 0 .. n - 1, one per pass."""
    position = torch.arange(start, start + count, device="cpu")
    orders = {
        epoch: torch.randperm(n, generator=step_generator("cpu", Component.ORDER, seed, epoch), device="cpu")
        for epoch in range(start // n, (start + count - 1) // n + 1)
    }
    return torch.stack([orders[int(p) // n][int(p) % n] for p in position])
