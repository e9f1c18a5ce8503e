"""What commands take as images: image files, folders of them, and .npy files of `gahb generate`."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gahb_theory import validate
from gahb_theory.images import read_image
from gahb_theory.images.dataset import dataset
from gahb_theory.images.intake import LUMINANCE
from gahb_theory.images.photographs import SUFFIXES

__all__ = ["Given", "channels_of", "given_images", "with_channels"]


@dataclass(frozen=True)
class Given:
    """One image that was named on the command line."""

    source: Path
    """The file it is in."""
    index: int | None
    """Its number in a .npy file."""
    image: Tensor
    """Shape (1, c, h, w), in colour where the file is."""

    @property
    def name(self) -> str:
        """A word for it."""
        return self.source.stem if self.index is None else f"{self.source.stem}-{self.index}"


def channels_of(f: Any) -> int | None:
    """The channels of the images that a denoiser takes; None if it does not say."""
    return getattr(f, "image_channels", None)


def given_images(paths: Sequence[Path], n: int | None = None) -> Iterator[Given]:
    """The images of files and folders, in the order of their names, at most `n`; of a .npy file the first `n`, or one."""
    if not paths:
        raise ValueError("no image is given; name an image file, a folder of them, or a .npy file of gahb generate")
    n = None if n is None else validate.integer(n, "n", 1)
    count = 0
    for path in paths:
        for given in _of_one(validate.path(path, "image"), n):
            if count == n:
                return
            count += 1
            yield given


def _of_one(path: Path, n: int | None) -> Iterator[Given]:
    if path.suffix == ".npy":
        data = dataset(path)
        for index in range(min(n or 1, len(data))):
            yield Given(path, index, data.images(index, index + 1))
        return
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.suffix.lower() in SUFFIXES and file.is_file())
        if not files:
            raise ValueError(f"{path} holds no images; the endings looked for are {', '.join(SUFFIXES)}")
    else:
        if path.exists() and not path.is_file():
            raise ValueError(f"{path} is no regular file; give an image file")
        files = [path]
    for file in files:
        yield Given(file, None, read_image(file, channels=3))


def with_channels(x: Tensor, channels: int) -> Tensor:
    """Colour as grey by its luminance, grey as three equal channels, or the images as they are."""
    if x.shape[1] == channels:
        return x
    if channels == 1 and x.shape[1] == 3:
        if torch.equal(x[:, :1].expand_as(x), x):  # a grey file that was read in colour: exactly its own levels
            return x[:, :1].contiguous()
        weights = torch.tensor(LUMINANCE, dtype=x.dtype) / 1000
        return torch.einsum("nchw,c->nhw", x, weights)[:, None]
    if channels == 3 and x.shape[1] == 1:
        return x.repeat(1, 3, 1, 1)
    raise ValueError(f"the images have {x.shape[1]} channels, and {channels} are needed; convert them")
