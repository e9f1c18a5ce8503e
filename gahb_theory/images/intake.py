"""Image files as arrays of intensities, and the range of images of any other kind.

Intensities lie in [0, 1], 0 black and 1 white, and noise levels count in the same units. What a file or an array holds is
read as follows; what is ambiguous is refused, with the range it has and the way on.

    8 bits, 1 bit, a palette        level / 255
    16 bits, one channel            level / 65535 (of a TIFF that says so: 12 bits, level / 4095)
    floating point                  as it is, and refused outside [0, 1]
    integers of 32 bits             refused: they do not say what white is
    16 bits, colour                 refused: Pillow would cut them to 8 bits
    transparent pixels              refused; an alpha channel that is opaque everywhere is left out
    several frames                  refused, unless one is named
    YCbCr, CMYK, HSV                converted to RGB by Pillow's formulas; Lab is refused
    orientation (EXIF)              applied: the image is the one that viewers show

Grey is the luminance of ITU-R BT.601, (299 R + 587 G + 114 B) / 1000, not rounded: that of Pillow's mode "L", of OpenCV
and of Matlab's rgb2gray, which made the usual sets of grey test images. (scikit-image's rgb2gray has the weights of
BT.709.) Colour profiles are not applied.
"""

import math
import warnings
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Real
from torch import Tensor

from gahb_theory import validate

__all__ = ["LARGEST_INTENSITY", "as_planes", "check_array", "check_range", "luminance", "open_array", "read_file"]

LARGEST_INTENSITY = 10.0
PART = 512

FORMATS = ("PNG", "JPEG", "BMP", "DIB", "TIFF", "WEBP", "PPM", "GIF")
ALPHA = ("LA", "La", "PA", "RGBA", "RGBa")
LUMINANCE = (299, 587, 114)
BITS_PER_SAMPLE, PHOTOMETRIC, SAMPLE_FORMAT, WHITE_IS_ZERO, SIGNED = 258, 262, 339, 0, 2
LOWEST, HIGHEST, OTHER_UNITS, SHARE = -0.5, 1.5, 8.0, 0.01
"""Images of a class may leave [0, 1]: Gaussian fields have tails, sine waves lie in [-1/2, 1/2]."""


# files


def read_file(
    path: str | Path, channels: int, scale: float | None = None, frame: int | None = None
) -> Float[np.ndarray, "c h w"]:
    """Read an image file as float32 intensities in [0, 1]; see `read_image` for the parameters."""
    from PIL import Image

    path = validate.path(path, "path")
    if path.exists() and not path.is_file():  # a pipe would be waited for
        raise ValueError(f"{path} cannot be read as an image (it is no regular file); remove it or convert it to PNG")
    try:
        # from an open file: given a name, Pillow maps turned TIFF files into memory and reads their rows as columns
        with path.open("rb") as file, Image.open(file, formats=FORMATS) as image:
            levels, white = _levels(image, frame, scale)
            _check_levels(levels, white, given=scale is not None)
    except FileNotFoundError:
        raise FileNotFoundError(2, f"no image file at the path {path}") from None
    except _Refused as error:
        raise ValueError(f"{path} {error}") from None
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(f"{path} cannot be read as an image ({error}); remove it or convert it to PNG") from error
    return as_planes(levels, channels, white)


class _Refused(Exception):
    """What Pillow can read, and we do not."""


def _levels(image: Any, frame: int | None, scale: float | None) -> tuple[np.ndarray, float]:
    """Levels, of shape (h, w) or (h, w, 3), and the level of white."""
    from PIL import ImageOps

    _choose_frame(image, frame)
    tags = getattr(image, "tag_v2", {})
    bits = int(max(np.atleast_1d(tags.get(BITS_PER_SAMPLE, 8))))
    one_deep = image.mode[0] in "IF"
    if not one_deep and (bits > 8 or _cut_to_8_bits(image)):
        raise _Refused(
            "has several channels of more than 8 bits, which would be cut to 8; save it with 8 bits, or each channel as a "
            "grey image of 16"
        )
    if bits <= 8 and SIGNED in np.atleast_1d(tags.get(SAMPLE_FORMAT, 1)):
        raise _Refused("holds signed integers of 8 bits; save it as unsigned ones, 0 black and 255 white")
    if one_deep and tags.get(PHOTOMETRIC) == WHITE_IS_ZERO:
        raise _Refused("says that its level 0 is white; save it with 0 black")
    if one_deep and "transparency" in image.info:
        raise _Refused("has a transparent level; save it without one")
    from_tiff = bool(tags)
    image.load()
    image = ImageOps.exif_transpose(image)
    if not one_deep:
        image = _opaque(image)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of a transparent colour that no pixel has
            levels = np.asarray(image if image.mode == "L" else image.convert("RGB"), dtype=np.float32)
        return levels, 255.0 if scale is None else scale
    stored = np.asarray(image)
    if image.mode == "I" and bits == 32 and set(np.atleast_1d(tags.get(SAMPLE_FORMAT, 1))) == {1}:
        stored = stored.view(np.uint32)  # Pillow reads these as signed
    levels = stored.astype(np.float64 if stored.dtype.itemsize == 4 and image.mode == "I" else np.float32)
    if scale is not None:
        return levels, scale
    if image.mode == "F":
        return levels, 1.0
    if image.mode == "I" and from_tiff:
        raise _Refused(
            f"holds integers from {levels.min():g} to {levels.max():g} and does not say what white is; say it, as in "
            f"read_image(path, scale={_likely_white(float(levels.max()))})"
        )
    return levels, 4095.0 if bits == 12 else 65535.0


def _choose_frame(image: Any, frame: int | None) -> None:
    frames = int(getattr(image, "n_frames", 1))
    if frame is not None:
        if validate.integer(frame, "frame", 0) >= frames:
            raise _Refused(f"holds {frames} frames, so frame must be below {frames}, got {frame}")
        image.seek(frame)
        return
    if frames > 1 and image.format == "MPO":  # of a phone: beside the photograph a preview or a map, of another size
        whole, frames = image.size, 0
        for k in range(image.n_frames):
            image.seek(k)
            frames += image.size == whole
        image.seek(0)
    if frames > 1:
        raise _Refused(
            f"holds {frames} frames; name one, as in read_image(path, frame=0), or save each as a file of its own"
        )


def _cut_to_8_bits(image: Any) -> bool:
    """Whether Pillow will read samples of more than 8 bits into a mode of 8."""
    for tile in image.tile:
        arguments = tile[3] if isinstance(tile[3], tuple) else (tile[3],)
        if any(isinstance(a, str) and ";16" in a for a in arguments):
            return True
        if image.format == "PPM" and any(isinstance(a, int) and a > 255 for a in arguments):
            return True
    return False


def _opaque(image: Any) -> Any:
    """The image as one of mode "L" or in colour, without the alpha channel, which must be opaque everywhere."""
    if image.mode == "LAB":
        raise _Refused("is in Lab colours; convert it to RGB")
    if image.mode in ALPHA or "transparency" in image.info:
        alpha = np.asarray(image.convert("RGBA").getchannel("A"))
        if (alpha < 255).any():
            raise _Refused(
                f"is transparent in {100 * (alpha < 255).mean():.3g} % of its pixels, and what is seen there depends on "
                "the ground; lay it on one (Image.alpha_composite of Pillow) and save it without alpha"
            )
        return image.convert("L" if image.mode[0] == "L" else "RGB")
    return image.convert("L") if image.mode == "1" else image


def _check_levels(levels: np.ndarray, white: float, given: bool) -> None:
    """Refuse levels that are not finite, or not between 0 and white."""
    if not np.isfinite(levels).all():
        raise _Refused(f"holds {(~np.isfinite(levels)).sum()} of {levels.size} values that are NaN or infinite")
    low, high = float(levels.min()), float(levels.max())
    if low >= 0 and high <= white:
        return
    if given:
        raise _Refused(f"holds values from {low:g} to {high:g}, which scale={white:g} does not bring into [0, 1]")
    if low < 0:
        raise _Refused(
            f"holds values from {low:g} to {high:g}, and intensities lie in [0, 1]; save it with 0 black and 1 white"
        )
    raise _Refused(
        f"holds values from {low:g} to {high:g}, and intensities lie in [0, 1]; say what white is, as in "
        f"read_image(path, scale={_likely_white(high)}), or save it with 1 white"
    )


def _likely_white(highest: float) -> int:
    return next((white for white in (255, 4095, 65535) if highest <= white), math.ceil(highest))


def as_planes(levels: np.ndarray, channels: int, white: float = 255) -> Float[np.ndarray, "c h w"]:
    """Levels of shape (h, w) or (h, w, 3) as grey or colour intensities, float32, 1 where the level is `white`."""
    levels = np.asarray(levels, dtype=np.float32)
    if levels.ndim == 2:
        levels = levels[:, :, None].repeat(channels, axis=2)
    elif channels == 1:
        levels = luminance(levels)
    return np.ascontiguousarray(levels.transpose(2, 0, 1)) / np.float32(white)


def luminance(levels: Real[np.ndarray, "h w 3"]) -> Float[np.ndarray, "h w 1"]:
    """Grey of red, green and blue, float32: exact where the three are whole numbers and equal.

    Examples
    --------
    >>> luminance(np.array([[[255, 0, 0], [7, 7, 7]]]))[..., 0]
    array([[76.245,  7.   ]], dtype=float32)
    """
    weighted = levels.astype(np.float32) * np.array(LUMINANCE, np.float32)
    return weighted.sum(axis=2, keepdims=True) / np.float32(1000)


# ranges


def check_range(
    x: Float[Tensor, "n c h w"], name: str = "the images of data", *, strict: bool = True, sigma_max: float = 1.0
) -> None:
    """Refuse images that are not in units of [0, 1], such as 0..255, or warn of them.

    Up to one pixel in a hundred may lie outside of [-0.5, 1.5]; those in [-1, 1] and standardised ones do not pass.

    Parameters
    ----------
    x, name
        The images, and how to call them in the message.
    strict
        Whether all such images are refused. Else those that stay within 8, which may be what is meant, are warned of.
    sigma_max
        The largest level of the noise they will be given. Levels above 1 show that other units are meant: 2 sigma_max then
        stands for 1.
    """
    if x.shape[1] > 4 and x.shape[3] in (1, 3, 4):
        raise ValueError(
            f"{name} have shape {tuple(x.shape)}, and their channels seem to be last; use x.permute(0, 3, 1, 2)"
        )
    unit = 2 * sigma_max if sigma_max > 1 else 1.0
    lowest, highest = LOWEST * unit, HIGHEST * unit
    low, high = (float(end) for end in torch.aminmax(x.detach()))
    far = max(-low, high) > OTHER_UNITS * unit
    share = float(((x < lowest) | (x > highest)).double().mean())
    if not far and share <= SHARE:
        return
    message = (
        f"{name} hold values from {low:.4g} to {high:.4g}; intensities are taken in [0, 1], and noise levels in the same "
        f"units: use {_remedy(low, high)}"
    )
    if far or strict:
        raise ValueError(message)
    warnings.warn(message, stacklevel=3)


def _remedy(low: float, high: float) -> str:
    if low >= 0:
        white = next((w for w in (255, 4095, 65535) if high <= w), None)
        return f"x / {white or round(high, 4)}"
    return "(x + 1) / 2" if low >= -1 and high <= 1 else "x * std + mean to undo a normalisation"


# arrays on disk


@lru_cache(maxsize=8)
def open_array(path: Path, modified: int, size: int) -> np.ndarray:
    """The array of a file as it was at a time."""
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise ValueError(f"{path} is damaged or no array of numbers ({error}); write it anew with np.save") from error
    remedy = "convert the array to float32 in [0, 1] or to uint8, shape (n, channels, height, width), and np.save it"
    if not isinstance(array, np.ndarray) or array.dtype not in (np.float32, np.uint8):
        raise ValueError(f"{path} must hold float32 or uint8, got {getattr(array, 'dtype', 'an archive')}; {remedy}")
    if array.ndim != 4 or array.size == 0:
        raise ValueError(f"{path} must have shape (n, channels, height, width), got {array.shape}; {remedy}")
    return array


def check_array(array: np.ndarray, path: Path) -> None:
    """Refuse an array that no record describes, where it holds no images (n, c, h, w) with intensities about [0, 1]."""
    n, channels, _, last = array.shape
    if channels > 4 >= last:
        raise ValueError(
            f"{path} has the shape {array.shape}, which seems to be (n, height, width, channels); "
            "np.save(path, array.transpose(0, 3, 1, 2)) gives (n, channels, height, width)"
        )
    if array.dtype == np.uint8:
        if max(int(array[first : first + PART].max()) for first in range(0, n, PART)) == 1:
            raise ValueError(f"{path} holds 0 and 1 as uint8, whose white is 255; save array * 255, or float32")
        return
    for first in range(0, n, PART):
        part = array[first : first + PART]
        low, high = float(part.min()), float(part.max())
        if not np.isfinite([low, high]).all():
            raise ValueError(f"{path} must be finite, got NaN or infinity in images {first} to {first + len(part) - 1}")
        if max(-low, high) > LARGEST_INTENSITY:
            raise ValueError(
                f"intensities of {path} must lie about [0, 1], got {low:.4g} to {high:.4g}; divide them, for instance by "
                "255, or save them as uint8"
            )
        check_range(torch.from_numpy(np.array(part)), f"images {first} to {first + len(part) - 1} of {path}")
