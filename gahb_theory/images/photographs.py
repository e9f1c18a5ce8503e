"""Photographs: patches of real images, at random places and scales.

By default the five photographs that come with PyWavelets (aero, ascent, camera) and scikit-learn (china, flower); or
all the images of a folder. A patch is drawn by choosing a photograph, a scale (natural images are nearly scale
invariant: Field 1987, Ruderman 1994), a place, and whether to mirror it. Files are read as
`gahb_theory.images.intake` says; grey is the luminance 0.299 R + 0.587 G + 0.114 B of ITU-R BT.601, as Pillow has it.
Intensities lie in [0, 1].
"""

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from gahb_theory import validate
from gahb_theory.images.base import Drawn, keep
from gahb_theory.images.batches import block_length, draw_images, draw_scene
from gahb_theory.images.intake import as_planes, read_file
from gahb_theory.randomness import Component, uniforms
from gahb_theory.stored_results import Result

__all__ = ["Photographs", "PhotographsScene", "centre_crop", "read_image", "reduced"]

SETTLED = 10**9  # nanoseconds after which a file with the same times is taken to be the same
SCALES = (1.0, 0.71, 0.5, 0.35, 0.25)
SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".pgm", ".ppm")


@dataclass(frozen=True, repr=False)
class PhotographsScene(Result):
    """Patches, and where each comes from."""

    images: Float[Tensor, "n c size size"]
    photograph: Int[Tensor, " n"]
    """Index into `Photographs.names`."""
    scale: Float[Tensor, " n"]
    """Factor by which the photograph was reduced."""


@dataclass(frozen=True)
class Photographs(Drawn[PhotographsScene]):
    """Patches of photographs.

    Parameters
    ----------
    folder
        A folder of images (PNG, JPEG, TIFF, BMP, WebP, PPM; sub-folders included, other files left out), or None for
        the embedded photographs. Images smaller than `size` are left out. The folder is looked at whenever patches are
        drawn: after its files have changed the patches are those of the new ones.
    size
        Height and width of the patches in pixels.
    channels
        1 for grey, 3 for colour. The embedded colour photographs are china and flower.
    split
        In the order of their names every fifth photograph, beginning with the third, is for testing ("test"), the
        others for training ("train"); "all" takes both. Of the embedded grey ones, "camera" is for testing.

    See Also
    --------
    gahb_theory.read_image, gahb_theory.train, gahb_theory.excess_risk

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
        if self.folder is not None:
            keep(self, "folder", validate.path(self.folder, "folder").absolute())  # whoever draws may stand elsewhere
        keep(self, "size", validate.integer(self.size, "size", 4, 4096))
        keep(self, "channels", _one_or_three(self.channels))
        validate.one_of(self.split, "split", ("all", "train", "test"))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the photographs that patches are drawn from."""
        return self._planes().names

    def sample(
        self, n: int, *, seed: int = 0, start: int = 0, dtype: torch.dtype = torch.float32
    ) -> Float[Tensor, "n c size size"]:
        """Patches start .. start + n - 1, shape (n, channels, size, size).

        In double precision they are the same patches: photographs hold no more than single precision does.
        """
        shape, planes = (self.channels, self.size, self.size), self._planes()

        def draw(count: int, first: int) -> Tensor:
            return self._patches(planes, count, seed, first, dtype).images

        return draw_images(draw, n, start, block_length(self.size**2, 2 * self.channels), shape, dtype)

    def scene(self, n: int, *, seed: int = 0, start: int = 0, dtype: torch.dtype = torch.float32) -> PhotographsScene:
        """Patches together with the photograph and the scale each comes from."""
        shape, planes = (self.channels, self.size, self.size), self._planes()

        def draw(count: int, first: int) -> PhotographsScene:
            return self._patches(planes, count, seed, first, dtype)

        return draw_scene(draw, n, start, block_length(self.size**2, 2 * self.channels), shape, dtype)

    def _planes(self) -> "_Planes":
        return _pyramid(self.folder, self.size, self.channels, self.split)

    def _patches(self, planes: "_Planes", n: int, seed: int, start: int, dtype: torch.dtype) -> PhotographsScene:
        u = uniforms(n, 4, seed=seed, start=start, component=Component.PARAMETERS, dtype=torch.float64)
        plane = torch.searchsorted(planes.cumulative, u[:, 0].contiguous(), right=True).clamp(
            max=len(planes.height) - 1
        )
        height, width = planes.height[plane], planes.width[plane]
        row = (u[:, 1] * (height - self.size + 1)).long()
        column = (u[:, 2] * (width - self.size + 1)).long()
        span = torch.arange(self.size, device="cpu")
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


@dataclass(frozen=True)
class _Files:
    """The image files of a folder as they are now; two are equal if names and contents are, wherever they lie."""

    root: Path = field(compare=False)
    names: tuple[str, ...]
    hashes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.names)

    def read(self, channels: int) -> list[tuple[str, np.ndarray]]:
        """Name and intensities (channels, height, width) of each."""
        return [(name, read_file(self.root / name, channels)) for name in self.names]


def _files(folder: Path) -> _Files:
    """Look at a folder: links are resolved, and a file is hashed again when it has been written to."""
    root = folder.resolve()
    if not root.is_dir():
        raise ValueError(f"folder must be a directory of images, got {folder}, which does not exist or is a file")
    files = sorted(path for path in root.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    if not files:
        raise ValueError(f"no image found in {folder}; the endings looked for are {', '.join(SUFFIXES)}")
    hashes = []
    for path in files:
        try:
            stat = path.stat()
        except OSError as error:
            raise ValueError(f"{path} cannot be read as an image ({error.strerror}); remove it") from error
        written = max(stat.st_mtime_ns, stat.st_ctime_ns)
        look = _hash if time.time_ns() - written > SETTLED else _hash.__wrapped__  # times of files are coarse
        hashes.append(look(path, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns))
    return _Files(root, tuple(path.relative_to(root).as_posix() for path in files), tuple(hashes))


@lru_cache(maxsize=2**17)
def _hash(path: Path, inode: int, size: int, modified: int, changed: int) -> str:
    """The sha256 of a file as it was at a time."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise ValueError(f"{path} cannot be read as an image ({error.strerror}); remove it") from error


def _pyramid(folder: Path | str | None, size: int, channels: int, split: str) -> _Planes:
    """The photographs as they are now; those of files that have not changed are kept."""
    return _planes(None if folder is None else _files(Path(folder)), size, channels, split)


@lru_cache(maxsize=8)
def _planes(files: _Files | None, size: int, channels: int, split: str) -> _Planes:
    named = _embedded(channels) if files is None else files.read(channels)
    chosen = [item for i, item in enumerate(named) if split == "all" or (i % 5 == 2) == (split == "test")]
    if not chosen:
        raise ValueError(
            f'split="{split}" leaves no photograph of the {len(named)} in {files.root if files else "the embedded set"}; '
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
            plane = reduced(image, scale)
            table.append((offset, *plane.shape[1:], number, scale, 1 / len(fitting)))
            pixels.append(plane.reshape(channels, -1))
            offset += pixels[-1].shape[1]
    names = tuple(name for name, _ in chosen)
    offsets, heights, widths, numbers, scales, weights = (
        torch.tensor(column, dtype=torch.float32 if isinstance(column[0], float) else torch.int64, device="cpu")
        for column in zip(*table, strict=True)
    )
    cumulative = torch.cumsum(weights.double(), 0) / weights.double().sum()
    flat = torch.from_numpy(np.concatenate(pixels, axis=1)).clamp(0, 1)
    return _Planes(names, flat, offsets, heights, widths, numbers, scales, cumulative)


def reduced(image: np.ndarray, scale: float) -> np.ndarray:
    """An image (channels, height, width) made smaller by the factor `scale` below 1, with an anti-aliasing filter."""
    from PIL import Image

    if scale == 1:
        return image
    target = (round(scale * image.shape[2]), round(scale * image.shape[1]))
    channels = [Image.fromarray(channel).resize(target, Image.Resampling.BICUBIC) for channel in image]
    return np.stack([np.asarray(channel, dtype=np.float32) for channel in channels])


@lru_cache(maxsize=2)
def _embedded(channels: int) -> list[tuple[str, np.ndarray]]:
    import pywt
    from sklearn.datasets import load_sample_images

    sample = load_sample_images()
    colour = {Path(name).stem: image for name, image in zip(sample.filenames, sample.images, strict=True)}
    if channels == 3:
        return [(name, as_planes(image, 3)) for name, image in sorted(colour.items())]
    grey = {"aero": pywt.data.aero(), "ascent": pywt.data.ascent(), "camera": pywt.data.camera()}
    return [(name, as_planes(image, 1)) for name, image in sorted({**grey, **colour}.items())]


def read_image(
    path: str | Path, channels: int = 1, *, scale: float | int | None = None, frame: int | None = None
) -> Float[Tensor, "1 c h w"]:
    """Read one image file as a batch of shape (1, channels, height, width), float32, intensities in [0, 1].

    Parameters
    ----------
    path
        A PNG, JPEG, TIFF, BMP, WebP, PPM or GIF file. How each kind of pixel is read stands in
        `gahb_theory.images.intake`.
    channels
        1 for grey (the luminance 0.299 R + 0.587 G + 0.114 B of ITU-R BT.601, as Pillow has it), 3 for colour.
    scale
        The level of white, where the file does not say it or says it wrong: 255 for floating-point files in 0..255, 4095
        for a sensor of 12 bits. None takes that of the format: 255, 65535, or 1 for floating point.
    frame
        Which frame of a file that holds several, from 0.

    Raises
    ------
    ValueError
        If the file is no image, or one whose pixels are ambiguous: levels outside of [0, 1] or NaN,
        integers of 32 bits, colour of 16 bits, transparent pixels, several frames.

    See Also
    --------
    gahb_theory.Photographs, gahb_theory.add_noise

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from PIL import Image
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     Image.fromarray(np.full((4, 6), 51.0, np.float32)).save(f"{folder}/a.tif")
    ...     x = read_image(f"{folder}/a.tif", scale=255)
    >>> tuple(x.shape), round(float(x.max()), 3)
    ((1, 1, 4, 6), 0.2)
    """
    channels = _one_or_three(channels)
    white = None if scale is None else validate.positive(scale, "scale")
    return torch.from_numpy(read_file(path, channels, white, frame))[None]


def _one_or_three(channels: Any) -> Any:
    if validate.integer(channels, "channels", 1) not in (1, 3):
        raise ValueError(f"channels must be 1 (grey) or 3 (colour), got {channels}")
    return int(channels)


def centre_crop(x: Float[Tensor, "n c h w"], shape: Sequence[int]) -> Float[Tensor, "n c height width"]:
    """The middle of each image, of the given (height, width)."""
    height, width = shape
    top, left = (x.shape[2] - height) // 2, (x.shape[3] - width) // 2
    return x[:, :, top : top + height, left : left + width]
