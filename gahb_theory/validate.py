"""What every border of the library checks, once.

The messages say what was given, what is allowed and how to mend it. Public functions call these on the arguments a
user hands over; inner loops do not call them again.
"""

import math
import operator
from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = [
    "batch_sigma",
    "batch_threshold",
    "channels",
    "coefficients",
    "evaluation_mode",
    "finite",
    "images",
    "integer",
    "one_image",
    "positive",
    "same_device",
    "sigma_level",
    "square_shape",
]

LARGEST_SIGMA = 10.0


def images(x: Tensor, name: str = "images") -> Tensor:
    """Return `x` if it is a finite floating-point batch of shape (batch, channels, height, width)."""
    if not isinstance(x, Tensor):
        raise TypeError(
            f"{name} must be a torch tensor of shape (batch, channels, height, width), got {type(x).__name__}; "
            "convert it with torch.as_tensor"
        )
    if not x.is_floating_point():
        raise TypeError(
            f"{name} must be floating point with intensities in [0, 1], got {x.dtype}; "
            "for 8-bit images use x.float() / 255"
        )
    if x.ndim != 4:
        hint = "x[None, None]" if x.ndim == 2 else "x[:, None] or x[None]" if x.ndim == 3 else "x.reshape(n, c, h, w)"
        raise ValueError(
            f"{name} must have shape (batch, channels, height, width), got {tuple(x.shape)}; "
            f"add the missing axes: {hint}"
        )
    if x.numel() == 0:
        raise ValueError(f"{name} must hold at least one pixel, got shape {tuple(x.shape)}")
    return finite(x, name)


def one_image(y: Tensor, name: str = "y") -> Tensor:
    """Return `y` if it is a single image of shape (1, channels, height, width)."""
    images(y, name)
    if y.shape[0] != 1:
        raise ValueError(
            f"{name} must be one image of shape (1, c, h, w), got {tuple(y.shape)}; take one with {name}[:1]"
        )
    return y


def channels(y: Tensor, expected: int) -> Tensor:
    """Return `y` if its images have the number of channels that a network takes."""
    if y.shape[1] != expected:
        raise ValueError(
            f"this network takes images of {expected} channel(s), got shape {tuple(y.shape)}; "
            "convert the images, or build the network with image_channels"
        )
    return y


def finite(x: Tensor, name: str) -> Tensor:
    """Return `x` if all its values are finite; values that a `torch.func` transform hides are not looked at."""
    try:
        good = bool(torch.isfinite(x).all())
    except RuntimeError:  # a batched tensor inside vmap has no readable value
        return x
    if not good:
        bad = int((~torch.isfinite(x)).sum())
        raise ValueError(
            f"{name} must be finite, got {bad} of {x.numel()} values that are NaN or infinite; "
            "find them with torch.isfinite before denoising"
        )
    return x


def sigma_level(sigma: float | Tensor, name: str = "sigma") -> float:
    """Return one noise level as a float if it lies in (0, 10]."""
    if isinstance(sigma, Tensor) and sigma.numel() != 1:
        raise ValueError(f"{name} must be one number here, got a tensor of shape {tuple(sigma.shape)}")
    if isinstance(sigma, str | bytes | bool):
        raise TypeError(f"{name} must be a number, got {type(sigma).__name__}")
    try:
        sigma = float(sigma)
    except (TypeError, ValueError):
        raise TypeError(f"{name} must be a number, got {type(sigma).__name__}") from None
    if not math.isfinite(sigma) or sigma <= 0 or sigma > LARGEST_SIGMA:
        hint = "; is it in 0..255 units? divide it by 255" if math.isfinite(sigma) and sigma > LARGEST_SIGMA else ""
        raise ValueError(
            f"{name} is the noise standard deviation for intensities in [0, 1] and must lie in (0, {LARGEST_SIGMA:g}], "
            f"got {sigma:g}{hint}"
        )
    return sigma


def batch_sigma(sigma: float | Tensor, x: Tensor, name: str = "sigma") -> Tensor:
    """Return `sigma`, a number or a tensor of shape (batch,), as a tensor that broadcasts over the batch `x`.

    The result has shape (1, 1, ...) or (batch, 1, ...), the dtype and the device of `x`.
    """
    if not isinstance(sigma, Tensor) or sigma.ndim == 0:
        return torch.as_tensor(sigma_level(sigma, name), dtype=x.dtype, device=x.device).reshape([1] * x.ndim)
    if sigma.ndim != 1 or sigma.shape[0] not in (1, x.shape[0]):
        raise ValueError(
            f"{name} must be a number or a tensor of shape (batch,) = ({x.shape[0]},), got shape {tuple(sigma.shape)}"
        )
    same_device(sigma, x, name)
    finite(sigma, name)
    for end in (sigma.min(), sigma.max()):
        sigma_level(end, name)
    return sigma.to(x.dtype).reshape([-1] + [1] * (x.ndim - 1))


def batch_threshold(threshold: float | Tensor, x: Tensor, name: str = "threshold") -> Tensor:
    """Return a threshold, a number or a tensor of shape (batch,) above zero, as a tensor that broadcasts over `x`."""
    if not isinstance(threshold, Tensor) or threshold.ndim == 0:
        number = float(threshold) if isinstance(threshold, Tensor) else threshold
        return torch.as_tensor(positive(number, name), dtype=x.dtype, device=x.device).reshape([1] * x.ndim)
    if threshold.ndim != 1 or threshold.shape[0] not in (1, x.shape[0]):
        raise ValueError(
            f"{name} must be a number or a tensor of shape (batch,) = ({x.shape[0]},), "
            f"got shape {tuple(threshold.shape)}"
        )
    same_device(threshold, x, name)
    positive(float(finite(threshold, name).min()), name)
    return threshold.to(x.dtype).reshape([-1] + [1] * (x.ndim - 1))


def same_device(a: Tensor, b: Tensor, name: str) -> None:
    """Refuse two tensors on different devices."""
    if a.device != b.device:
        raise ValueError(
            f"{name} is on {a.device}, but the images are on {b.device}; move one of them with .to(device)"
        )


def positive(value: float, name: str) -> float:
    """Return `value` as a float if it is a finite number above zero."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name} must be a number, got {type(value).__name__}")
    if not math.isfinite(value) or value <= 0:
        raise ValueError(f"{name} must be finite and above 0, got {value}")
    return float(value)


def integer(value: int, name: str, low: int, high: int | None = None) -> int:
    """Return `value` if it is an integer with low <= value <= high."""
    try:
        number = operator.index(value)
    except TypeError:
        number = None
    if number is None or isinstance(value, bool):
        raise TypeError(f"{name} must be an integer, got {type(value).__name__}")
    value = number
    if value < low or (high is not None and value > high):
        allowed = f"at least {low}" if high is None else f"between {low} and {high}"
        raise ValueError(f"{name} must be {allowed}, got {value}")
    return value


def square_shape(dimension: int, shape: Sequence[int] | None) -> tuple[int, int, int]:
    """Return the image shape (channels, height, width) of `dimension` pixels: the one given, or a square grey one."""
    if shape is None:
        side = math.isqrt(dimension)
        if side * side != dimension:
            raise ValueError(
                f"{dimension} coefficients are not a square grey image; give shape=(channels, height, width)"
            )
        return 1, side, side
    if len(shape) != 3 or math.prod(shape) != dimension:
        raise ValueError(f"shape must be (channels, height, width) with {dimension} pixels in all, got {tuple(shape)}")
    return tuple(shape)  # type: ignore[return-value]


def coefficients(c: Tensor, count: int | None = None, name: str = "c") -> Tensor:
    """Return `c` if it is a finite floating-point tensor of shape (batch, k); `count` is the k that is asked for."""
    if not isinstance(c, Tensor):
        raise TypeError(f"{name} must be a torch tensor of shape (batch, k), got {type(c).__name__}")
    if not c.is_floating_point():
        raise TypeError(f"{name} must be floating point, got {c.dtype}; convert it with {name}.float()")
    if c.ndim != 2 or c.numel() == 0:
        hint = f"{name}[None]" if c.ndim == 1 else f"{name}.flatten(1)"
        raise ValueError(f"{name} must have shape (batch, k), one row for each image, got {tuple(c.shape)}; use {hint}")
    if count is not None and c.shape[1] != count:
        raise ValueError(f"{name} must hold {count} coefficients for each image, got shape {tuple(c.shape)}")
    return finite(c, name)


def evaluation_mode(f: object, name: str = "f") -> None:
    """Refuse a network that is in train mode, or has a part that is; anything else passes."""
    if isinstance(f, torch.nn.Module) and any(module.training for module in f.modules()):
        raise RuntimeError(
            f"{name} is in train mode, where layers such as batch normalisation mix the images of a batch; "
            f"call {name}.eval() first"
        )
