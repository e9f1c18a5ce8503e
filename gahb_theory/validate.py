"""What every border of the library checks: one validator for each kind of argument.

The messages say what was given, what is allowed and how to mend it. Public functions call these on the arguments a
user hands over and go on with what they return: NumPy numbers come back as Python numbers, noise levels as tensors that
broadcast. Inner loops do not call them again.
"""

import math
import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gahb_theory.scalars import (
    LARGEST_SEED,
    explain_call,
    flag,
    function,
    hidden,
    integer,
    integers,
    kind_of,
    number,
    odd,
    one_of,
    opaque,
    path,
    positive,
    real,
    real_array,
    seed,
)

__all__ = [
    "LARGEST_SEED",
    "batch_sigma",
    "batch_threshold",
    "channels",
    "coefficients",
    "denoised",
    "denoiser",
    "evaluation_mode",
    "explain_call",
    "finite",
    "flag",
    "floating",
    "function",
    "images",
    "integer",
    "integers",
    "levels",
    "number",
    "odd",
    "one_image",
    "one_of",
    "path",
    "positive",
    "real_array",
    "returned",
    "same_device",
    "sampled",
    "seed",
    "sigma_level",
    "sizes",
    "square_shape",
    "tensor",
    "warn_of_units",
]

LARGEST_USUAL_SIGMA = 10.0
_FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
LARGEST_COUNT = 2**40

Function = Callable[[Tensor, Any], Tensor]


# images and coefficients


def images(x: Tensor, name: str = "images", least: int = 1) -> Tensor:
    """Return `x` if it is a finite floating-point batch of at least `least` images (batch, channels, height, width)."""
    _dense(x, name, "(batch, channels, height, width)")
    if x.dtype not in _FLOATS:
        hint = "take the real part" if x.is_complex() else "for 8-bit images use x.float() / 255"
        raise TypeError(f"{name} must be floating point with intensities in [0, 1], got {x.dtype}; {hint}")
    if x.ndim != 4:
        missing = {1: "x.reshape(n, c, h, w)", 2: "x[None, None]", 3: "x[:, None] or x[None]"}
        hint = (
            f"add the missing axes: {missing[x.ndim]}" if x.ndim in missing else "only images are taken, one batch axis"
        )
        raise ValueError(f"{name} must have shape (batch, channels, height, width), got {tuple(x.shape)}; {hint}")
    if x.numel() == 0:
        raise ValueError(f"{name} must hold at least one pixel, got shape {tuple(x.shape)}")
    if len(x) < least:
        raise ValueError(f"{name} must hold at least {least} images, got {len(x)}; add images along the first axis")
    return finite(x, name)


def _dense(x: Tensor, name: str, shape: str) -> None:
    """Refuse what is no tensor with values in memory."""
    if not isinstance(x, Tensor):
        raise TypeError(
            f"{name} must be a torch tensor of shape {shape}, got {kind_of(x)}; "
            f"{'draw images with .sample(n)' if hasattr(x, 'sample') else 'convert it with torch.as_tensor'}"
        )
    if x.is_nested or x.layout != torch.strided:
        raise TypeError(f"{name} must be a dense tensor, got the layout {x.layout}; convert it with {name}.to_dense()")
    if x.is_meta:
        raise TypeError(f"{name} is on the meta device and holds no values; move it to a device that does")


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
    """Return `x` if all its values are finite; values that torch hides (`vmap`, `compile`) are not looked at."""
    if hidden(x) or x.numel() == 0:
        return x
    ends = torch.stack(torch.aminmax(x.detach()))  # NaN if there is one; one pass without a copy
    if not bool(torch.isfinite(ends).all()):
        bad = int((~torch.isfinite(x)).sum())
        raise ValueError(
            f"{name} must be finite, got {bad} of {x.numel()} values that are NaN or infinite; "
            "find them with torch.isfinite before denoising"
        )
    return x


def coefficients(c: Tensor, count: int | None = None, name: str = "c") -> Tensor:
    """Return `c` if it is a finite floating-point tensor of shape (batch, k); `count` is the k that is asked for."""
    _dense(c, name, "(batch, k)")
    if c.dtype not in _FLOATS:
        raise TypeError(f"{name} must be floating point, got {c.dtype}; convert it with {name}.float()")
    if c.ndim != 2 or c.numel() == 0:
        hint = {1: f"; use {name}[None]"}.get(c.ndim, f"; use {name}.flatten(1)" if c.ndim > 2 else "")
        raise ValueError(f"{name} must have shape (batch, k), one row for each image, got {tuple(c.shape)}{hint}")
    if count is not None and c.shape[1] != count:
        raise ValueError(f"{name} must hold {count} coefficients for each image, got shape {tuple(c.shape)}")
    return finite(c, name)


def tensor(x: Tensor, name: str, shape: Sequence[int | str], whose: str = "") -> Tensor:
    """Return `x` if it is a finite floating-point tensor of this shape, in which letters stand for any size.

    `whose` says in a message what the sizes come from.
    """
    words = f"({', '.join(map(str, shape))}{',' if len(shape) == 1 else ''})"
    _dense(x, name, words)
    if x.dtype not in _FLOATS:
        raise TypeError(f"{name} must be a floating-point torch tensor, got {x.dtype}; convert it with {name}.float()")
    fits = len(shape) == x.ndim and all(isinstance(s, str) or s == k for s, k in zip(shape, x.shape, strict=True))
    if not fits or x.numel() == 0:
        raise ValueError(f"{name} must have shape {words}{whose and f', {whose}'}, got {tuple(x.shape)}")
    return finite(x, name)


def floating(dtype: Any, name: str = "dtype") -> torch.dtype:
    """Return `dtype` if it is a floating-point type that images may have."""
    if not isinstance(dtype, torch.dtype) or dtype not in _FLOATS:
        shown = dtype if isinstance(dtype, torch.dtype) else kind_of(dtype)
        raise TypeError(f"{name} must be a floating-point type such as torch.float32, got {shown}")
    return dtype


def same_device(a: Tensor, b: Tensor, name: str) -> None:
    """Refuse two tensors on different devices."""
    if a.device != b.device:
        raise ValueError(
            f"{name} is on {a.device}, but the images are on {b.device}; move one of them with .to(device)"
        )


def square_shape(dimension: int, shape: Sequence[int] | None) -> tuple[int, int, int]:
    """Return the image shape (channels, height, width) of `dimension` pixels: the one given, or a square grey one."""
    if shape is None:
        side = math.isqrt(dimension)
        if side * side != dimension:
            raise ValueError(
                f"{dimension} coefficients are not a square grey image; give shape=(channels, height, width)"
            )
        return 1, side, side
    given = sizes(shape, 3)
    if math.prod(given) != dimension:
        raise ValueError(f"shape must be (channels, height, width) with {dimension} pixels in all, got {given}")
    return given[0], given[1], given[2]


def sizes(shape: Any, count: int, name: str = "shape") -> tuple[int, ...]:
    """Return `count` sizes as Python integers, the last three of them (channels, height, width).

    A product that no memory holds is refused, so that nobody waits for it.
    """
    axes = "(channels, height, width)" if count == 3 else "(n, channels, height, width)"
    if isinstance(shape, np.ndarray) and shape.ndim == 1:
        shape = tuple(shape)
    if not isinstance(shape, Sequence) or isinstance(shape, str | bytes):
        raise TypeError(f"{name} must be {axes}, got {kind_of(shape)}")
    if len(shape) != count:
        raise ValueError(f"{name} must be {axes}, got {tuple(shape) if len(shape) < 6 else len(shape)}")
    result = tuple(integer(s, f"each of {name}", 1) for s in shape)
    if math.prod(result) > LARGEST_COUNT:
        raise ValueError(f"{name} must hold at most {LARGEST_COUNT} numbers in all, got {math.prod(result):.3g}")
    return result


# noise levels and thresholds


def sigma_level(sigma: Any, name: str = "sigma", *, zero: bool = False) -> float:
    """Return one noise level as a float if it is finite and above 0, or with `zero` at least 0."""
    result = real(sigma, name)
    if not math.isfinite(result) or result < 0 or (result == 0 and not zero):
        raise ValueError(
            f"{name} is the standard deviation of the noise, in units of intensity, and must be finite and "
            f"{'at least' if zero else 'above'} 0, got {result:g}"
        )
    return result


def levels(sigmas: Any, name: str = "sigmas", *, zero: bool = False) -> tuple[float, ...]:
    """Return noise levels as floats, at least one; a number is one level."""
    if isinstance(sigmas, Tensor | np.ndarray):
        sigmas = real_array(sigmas, name, 1)
    elif isinstance(sigmas, int | float | np.number) and not isinstance(sigmas, bool):
        sigmas = [sigmas]
    if isinstance(sigmas, str | bytes | dict) or not isinstance(sigmas, Iterable):
        raise TypeError(f"{name} must be a sequence of noise levels such as [0.05, 0.1, 0.2], got {kind_of(sigmas)}")
    result = tuple(sigma_level(s, f"each of {name}", zero=zero) for s in sigmas)
    if not result:
        raise ValueError(f"{name} must hold at least one noise level, got none; give for example [0.05, 0.1, 0.2]")
    return result


def batch_sigma(sigma: float | Tensor, x: Tensor, name: str = "sigma", *, zero: bool = False) -> Tensor:
    """Return noise levels as a tensor that broadcasts over the batch `x`, of its dtype and device.

    Parameters
    ----------
    sigma
        A number, or a tensor of shape (), (1,), (batch,), (1, 1, ...) or (batch, 1, ...); its gradient is kept.
    x
        The batch.
    name
        Of the argument.
    zero
        Whether 0 is allowed, too.

    Returns
    -------
    Shape (1, 1, ...) or (batch, 1, ...). Values that torch hides (`vmap`, `compile`) are not looked at.
    """
    return _broadcast(sigma, x, name, lambda value, what: sigma_level(value, what, zero=zero))


def batch_threshold(threshold: float | Tensor, x: Tensor, name: str = "threshold") -> Tensor:
    """Return a threshold, a number or a tensor of shape (batch,) above zero, as a tensor that broadcasts over `x`."""
    return _broadcast(threshold, x, name, positive)


def _broadcast(value: Any, x: Tensor, name: str, check: Callable[[Any, str], float]) -> Tensor:
    """A number, or one for each image, as a tensor that broadcasts over `x`; checked before and after the cast."""
    if isinstance(value, np.ndarray) and value.ndim > 0:
        value = torch.tensor(real_array(value, name), dtype=torch.float64, device=x.device)
    if not isinstance(value, Tensor):
        tensor = torch.tensor(check(value, name), dtype=torch.float64, device="cpu").to(x.dtype)
        if not torch.compiler.is_compiling():
            _check_cast(tensor, name, check)
        return tensor.to(x.device).reshape([1] * x.ndim)
    if why := opaque(value):
        raise TypeError(f"{name} must be a number or a tensor of real numbers, got a {why} tensor")
    shape, n = tuple(value.shape), len(x)
    if shape not in ((), (1,), (n,), shape[:1] + (1,) * (x.ndim - 1)) or (shape and shape[0] not in (1, n)):
        raise ValueError(f"{name} must be a number or a tensor of shape (batch,) = ({n},), got shape {shape}")
    if value.numel() > 1:
        same_device(value, x, name)
    tensor = value.to(x.device, x.dtype)
    if not hidden(value):
        for end in torch.aminmax(value.detach()):
            check(end, name)
        _check_cast(tensor, name, check)
    return tensor.reshape([-1] + [1] * (x.ndim - 1))


def _check_cast(tensor: Tensor, name: str, check: Callable[[Any, str], float]) -> None:
    """Refuse numbers that are good in double precision, but round to 0 or infinity in the type of the images."""
    for end in torch.aminmax(tensor.detach()):
        check(end, f"{name}, rounded to {tensor.dtype},")


def warn_of_units(sigma: float | Tensor, y: Tensor) -> None:
    """Warn if noise of level `sigma` cannot be in the images `y`: both may be in units of 0 to 255, or neither.

    Levels up to 10 pass, and larger ones where the images really vary as much.
    """
    if hidden(y) or (isinstance(sigma, Tensor) and hidden(sigma)):
        return
    largest = float(sigma.max()) if isinstance(sigma, Tensor) else float(sigma)
    if largest > LARGEST_USUAL_SIGMA and float(y.abs().max()) < largest / 4:
        warnings.warn(
            f"sigma is {largest:g}, but no intensity of the images is above {float(y.abs().max()):.3g}: "
            "is sigma in units of 0 to 255? divide it by 255",
            stacklevel=3,
        )


# what users write


def denoiser(f: Any, name: str = "f") -> Any:
    """Return `f` if it can be called."""
    if not callable(f):
        raise TypeError(f"{name} must be a denoiser that can be called as {name}(y, sigma), got {kind_of(f)}")
    return f


def evaluation_mode(f: object, name: str = "f") -> None:
    """Refuse a network that is in train mode, or has a part that is; anything else passes."""
    if isinstance(f, torch.nn.Module) and any(module.training for module in f.modules()):
        raise RuntimeError(
            f"{name} is in train mode, where layers such as batch normalisation mix the images of a batch; "
            f"call {name}.eval() first"
        )


def denoised(f: Function, y: Tensor, sigma: float | Tensor, name: str = "f") -> Tensor:
    """Return f(y, sigma) if it is what a denoiser returns: finite images of the shape, dtype and device of `y`.

    Every place of the library that evaluates the denoiser of a user calls this. What `f` itself raises passes through.
    """
    out = returned(f, y, sigma, name)
    finite(out, f"what {name} returned")
    return out


def returned(f: Function, y: Tensor, sigma: float | Tensor, name: str = "f") -> Tensor:
    """The same without a look at the values, where NaN is to be met and dealt with."""
    denoiser(f, name)
    evaluation_mode(f, name)
    try:
        out = f(y, sigma)
    except (TypeError, AttributeError, RuntimeError) as error:
        explain_call(f, y, sigma, name, error)
        raise
    if not isinstance(out, Tensor):
        raise TypeError(
            f"{name} must return a torch tensor, got {kind_of(out)}; adapt_arrays makes a denoiser of a function on arrays"
        )
    if out.is_nested or out.layout != torch.strided:
        raise TypeError(f"{name} must return a dense tensor, got the layout {out.layout}")
    if out.shape != y.shape:
        shape = tuple(y.shape)
        hint = ""
        if out.ndim == 4 and y.ndim == 4 and out.shape[1] == 2 * y.shape[1] and out.shape[2:] == y.shape[2:]:
            hint = f"; if it learned a variance beside, take out[:, :{y.shape[1]}]"
        raise ValueError(f"{name} must return images of the shape of its input, {shape}, got {tuple(out.shape)}{hint}")
    if out.dtype != y.dtype:
        raise TypeError(
            f"{name} must return the dtype of its input, {y.dtype}, got {out.dtype}; end it with .to(y.dtype)"
        )
    if out.device != y.device:
        raise ValueError(f"{name} must return a tensor on the device of its input, {y.device}, got {out.device}")
    return out


def sampled(image_class: Any, n: int, *, seed: int = 0, start: int = 0, name: str = "the image class") -> Tensor:
    """Return `image_class.sample(n, seed=seed, start=start)` if it is what an image class returns: n finite images."""
    sample = getattr(image_class, "sample", None)
    if isinstance(image_class, type) and sample is not None:
        raise TypeError(f"{name} must be made first, as in {image_class.__name__}(size=16), got the class itself")
    if not callable(sample):
        raise TypeError(f"{name} must have a method sample(n, seed=0, start=0), got {kind_of(image_class)}")
    label = f"{type(image_class).__name__}.sample({n})"
    x = images(sample(n, seed=seed, start=start), f"what {label} returned")
    if len(x) != n:
        raise ValueError(f"{label} must return {n} images, got {len(x)}")
    return x
