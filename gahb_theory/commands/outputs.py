"""Images that a command writes: a .npy file, a picture, or a folder of pictures; never over what is there."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from torch import Tensor

from gahb_theory import runs

__all__ = ["check_free", "write_images"]

PICTURES = (".png", ".tif", ".tiff", ".bmp")


def check_free(path: Path, n: int | None = None) -> None:
    """Refuse a place that is taken, or an ending that is not known; `n` is the number of images, if it is known."""
    if path.suffix and path.suffix.lower() not in (".npy", *PICTURES):
        raise ValueError(f"{path} must end in .npy or {', '.join(PICTURES)}, or be a folder")
    if path.suffix.lower() in PICTURES and n is not None and n > 1:
        raise ValueError(f"{path} holds one picture, and there are {n} images; name a folder or a .npy file")
    if path.exists() and not (path.is_dir() and not path.suffix):
        raise FileExistsError(17, f"{path} exists and is not overwritten; remove it or choose another name")


def write_images(path: Path, images: Sequence[Tensor], names: Sequence[str]) -> Path:
    """Write images of shape (1, c, h, w): all in one .npy file, one as a picture of 8 bits, or one picture each in a folder."""
    check_free(path, len(images))
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".npy":
        shapes = {tuple(x.shape[1:]) for x in images}
        if len(shapes) > 1:
            raise ValueError(f"a .npy file holds images of one shape, got {len(shapes)}; name a folder")
        buffer = io.BytesIO()
        np.save(buffer, np.concatenate([x.cpu().float().numpy() for x in images]))
        return runs.write_bytes(path, buffer.getvalue())
    if path.suffix:
        return runs.write_bytes(path, _picture(images[0], path.suffix))
    path.mkdir(exist_ok=True)
    files = [path / f"{name}.png" for name in names]
    for file in files:
        check_free(file)
    for file, x in zip(files, images, strict=True):
        runs.write_bytes(file, _picture(x, ".png"))
    return path


def _picture(x: Tensor, suffix: str) -> bytes:
    from PIL import Image

    levels = (255 * x[0].clamp(0, 1)).round().byte().cpu().numpy()
    image = Image.fromarray(levels[0] if len(levels) == 1 else np.ascontiguousarray(levels.transpose(1, 2, 0)))
    buffer = io.BytesIO()
    image.save(buffer, format={".tif": "TIFF", ".tiff": "TIFF", ".bmp": "BMP"}.get(suffix.lower(), "PNG"))
    return buffer.getvalue()
