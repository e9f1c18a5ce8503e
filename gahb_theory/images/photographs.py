"""Photographs: patches of real images, at random places and scales.

By default the five photographs that come with PyWavelets (aero, ascent, camera) and scikit-learn (china, flower); or
all the images of a folder. A patch is drawn by choosing a photograph, a scale (natural images are nearly scale
invariant: Field 1987, Ruderman 1994), a place, and whether to mirror it. Grey is the mean of red, green and blue.
Intensities lie in [0, 1].
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from gahb_theory import validate
from gahb_theory.images.blocks import block_length, draw_images, draw_scene
from gahb_theory.randomness import Component, uniforms

__all__ = ["Photographs", "PhotographsScene", "centre_crop", "read_image"]

SCALES = (1.0, 0.71, 0.5, 0.35, 0.25)
SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".pgm", ".ppm")


@dataclass(frozen=True)
class PhotographsScene:
    """Patches, and where each comes from."""

    images: Float[Tensor, "n c size size"]
    photograph: Int[Tensor, " n"]
    """Index into `Photographs.names`."""
    scale: Float[Tensor, " n"]
    """Factor by which the photograph was reduced."""


@dataclass(frozen=True)
class Photographs:
    """Patches of photographs.

    Parameters
    ----------
    folder
        A folder of images (read with Pillow, sub-folders included), or None for the embedded photographs. Images
        smaller than `size` are left out.
    size
        Height and width of the patches in pixels.
    channels
        1 for grey, 3 for colour. The embedded colour photographs are china and flower.
    split
        In the order of their names every fifth photograph, beginning with the third, is for testing ("test"), the
        others for training ("train"); "all" takes both. Of the embedded grey ones, "camera" is for testing.

    Examples
    --------
    >>> Photographs(size=32, split="test").names
    ('camera',)
    """

    folder: str | Path | None = None
    size: int = 64
    channels: Literal[1, 3] = 1
    split: Literal["all", "train", "test"] = "all"

    def __post_init__(self) -> None:
        validate.integer(self.size, "size", 4, 4096)
        if self.channels not in (1, 3):
            raise ValueError(f"channels must be 1 (grey) or 3 (colour), got {self.channels}")
        if self.split not in ("all", "train", "test"):
            raise ValueError(f'split must be "all", "train" or "test", got {self.split!r}')

    @property
    def dimension(self) -> None:
        """Not a manifold of known dimension."""
        return None

    @property
    def optimal_slope(self) -> None:
        """Unknown."""
        return None

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the photographs that patches are drawn from."""
        return _pyramid(self.folder, self.size, self.channels, self.split).names

    def sample(
        self, n: int, seed: int = 0, start: int = 0, dtype: torch.dtype = torch.float32
    ) -> Float[Tensor, "n c size size"]:
        """Patches start .. start + n - 1, shape (n, channels, size, size).

        In double precision they are the same patches: photographs hold no more than single precision does.
        """
        shape = (self.channels, self.size, self.size)

        def draw(count: int, first: int) -> Tensor:
            return self._draw(count, seed, first, dtype).images

        return draw_images(draw, n, start, block_length(self.size**2, 2 * self.channels), shape, dtype)

    def scene(self, n: int, seed: int = 0, start: int = 0, dtype: torch.dtype = torch.float32) -> PhotographsScene:
        """Patches together with the photograph and the scale each comes from."""
        shape = (self.channels, self.size, self.size)

        def draw(count: int, first: int) -> PhotographsScene:
            return self._draw(count, seed, first, dtype)

        return draw_scene(draw, n, start, block_length(self.size**2, 2 * self.channels), shape, dtype)

    def _draw(self, n: int, seed: int, start: int, dtype: torch.dtype) -> PhotographsScene:
        if dtype not in (torch.float32, torch.float64):
            raise ValueError(
                f"dtype must be torch.float32 or torch.float64, got {dtype}; convert the images afterwards"
            )
        planes = _pyramid(self.folder, self.size, self.channels, self.split)
        u = uniforms(n, 4, seed=seed, start=start, component=Component.PARAMETERS, dtype=torch.float64)
        plane = torch.searchsorted(planes.cumulative, u[:, 0].contiguous(), right=True).clamp(
            max=len(planes.height) - 1
        )
        height, width = planes.height[plane], planes.width[plane]
        row = (u[:, 1] * (height - self.size + 1)).long()
        column = (u[:, 2] * (width - self.size + 1)).long()
        span = torch.arange(self.size)
        mirrored = torch.where(u[:, 3, None] < 0.5, span, span.flip(0))
        corner = planes.offset[plane] + row * width + column
        index = corner[:, None, None] + span[None, :, None] * width[:, None, None] + mirrored[:, None, :]
        images = planes.pixels[:, index].transpose(0, 1).to(dtype).contiguous()
        return PhotographsScene(images, planes.photograph[plane], planes.scale[plane])


@dataclass(frozen=True)
class _Planes:
    """All photographs at all scales, as one row of pixels per channel."""

    names: tuple[str, ...]
    pixels: Tensor  # (channels, all pixels)
    offset: Tensor
    height: Tensor
    width: Tensor
    photograph: Tensor
    scale: Tensor
    cumulative: Tensor  # probability of each plane, summed


@lru_cache(maxsize=8)
def _pyramid(folder: str | Path | None, size: int, channels: int, split: str) -> _Planes:
    named = _embedded(channels) if folder is None else _folder(Path(folder), channels)
    chosen = [item for i, item in enumerate(named) if split == "all" or (i % 5 == 2) == (split == "test")]
    if not chosen:
        raise ValueError(
            f'split="{split}" leaves no photograph of the {len(named)} in {folder or "the embedded set"}; '
            'use split="all" or give more photographs'
        )
    largest = max(min(image.shape[1:]) for _, image in chosen)
    if largest < size:
        raise ValueError(
            f"size must not exceed the smaller side of the photographs, here {largest} pixels at most, got {size}"
        )
    chosen = [(name, image) for name, image in chosen if min(image.shape[1:]) >= size]
    pixels: list[np.ndarray] = []
    table: list[tuple[int, int, int, int, float, float]] = []
    offset = 0
    for number, (_, image) in enumerate(chosen):
        fitting = [s for s in SCALES if round(s * min(image.shape[1:])) >= size]
        for scale in fitting:
            plane = _reduce(image, scale)
            table.append((offset, *plane.shape[1:], number, scale, 1 / len(fitting)))
            pixels.append(plane.reshape(channels, -1))
            offset += pixels[-1].shape[1]
    names = tuple(name for name, _ in chosen)
    offsets, heights, widths, numbers, scales, weights = (torch.tensor(column) for column in zip(*table, strict=True))
    cumulative = torch.cumsum(weights.double(), 0) / weights.double().sum()
    flat = torch.from_numpy(np.concatenate(pixels, axis=1)).clamp(0, 1)
    return _Planes(names, flat, offsets, heights, widths, numbers, scales, cumulative)


def _reduce(image: np.ndarray, scale: float) -> np.ndarray:
    """Shrink an image (channels, height, width) with an anti-aliasing filter."""
    from PIL import Image

    if scale == 1:
        return image
    target = (round(scale * image.shape[2]), round(scale * image.shape[1]))
    channels = [Image.fromarray(channel).resize(target, Image.Resampling.BICUBIC) for channel in image]
    return np.stack([np.asarray(channel, dtype=np.float32) for channel in channels])


def _embedded(channels: int) -> list[tuple[str, np.ndarray]]:
    import pywt
    from sklearn.datasets import load_sample_images

    sample = load_sample_images()
    colour = {Path(name).stem: image for name, image in zip(sample.filenames, sample.images, strict=True)}
    if channels == 3:
        return [(name, _channels_first(image, 3)) for name, image in sorted(colour.items())]
    grey = {"aero": pywt.data.aero(), "ascent": pywt.data.ascent(), "camera": pywt.data.camera()}
    return [(name, _channels_first(image, 1)) for name, image in sorted({**grey, **colour}.items())]


def _channels_first(image: np.ndarray, channels: int) -> np.ndarray:
    levels = np.asarray(image, dtype=np.float32)  # the mean of whole numbers is exact
    if levels.ndim == 2:
        levels = levels[:, :, None].repeat(channels, axis=2)
    elif channels == 1:
        levels = levels.mean(axis=2, keepdims=True)
    return np.ascontiguousarray(levels.transpose(2, 0, 1)) / 255


def _folder(folder: Path, channels: int) -> list[tuple[str, np.ndarray]]:
    if not folder.is_dir():
        raise ValueError(f"folder must be a directory of images, got {folder}, which does not exist or is a file")
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    if not files:
        raise ValueError(f"no image found in {folder}; the endings looked for are {', '.join(SUFFIXES)}")
    return [(str(path.relative_to(folder)), read_image(path, channels)[0].numpy()) for path in files]


def read_image(path: str | Path, channels: int = 1) -> Float[Tensor, "1 c h w"]:
    """Read one image file as a batch of shape (1, channels, height, width), float32, intensities in [0, 1].

    Parameters
    ----------
    path
        Any format that Pillow reads, 8 or 16 bits.
    channels
        1 for grey (the mean of red, green and blue), 3 for colour.
    """
    from PIL import Image

    if channels not in (1, 3):
        raise ValueError(f"channels must be 1 (grey) or 3 (colour), got {channels}")
    if Path(path).exists() and not Path(path).is_file():  # a pipe would be waited for
        raise ValueError(f"{path} cannot be read as an image (it is no regular file); remove it or convert it to PNG")
    try:
        with Image.open(path) as opened:
            opened.load()
            image: Any = opened
            if image.mode.startswith("I") or image.mode == "F":  # 16 bits, or floating point
                array = np.asarray(image, dtype=np.float32)
                array = array * (255 / 65535 if image.mode.startswith("I") else 255)
            else:
                array = np.asarray(image.convert("RGB"), dtype=np.float32)
    except FileNotFoundError:
        raise FileNotFoundError(f"no image file at {path}") from None
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(f"{path} cannot be read as an image ({error}); remove it or convert it to PNG") from error
    return torch.from_numpy(_channels_first(array, channels))[None]


def centre_crop(x: Float[Tensor, "n c h w"], shape: Sequence[int]) -> Float[Tensor, "n c height width"]:
    """The middle of each image, of the given (height, width)."""
    height, width = shape
    top, left = (x.shape[2] - height) // 2, (x.shape[3] - width) // 2
    return x[:, :, top : top + height, left : left + width]
