"""What every border of the library checks: one validator for each kind of argument.

The messages say what was given, what is allowed and how to mend it. Public functions call these on the arguments a
user hands over and go on with what they return: NumPy numbers come back as Python numbers, noise levels as tensors that
broadcast. Inner loops do not call them again.
"""

import math
import numbers
import operator
import os
import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

__all__ = [
    "LARGEST_SEED",
    "batch_sigma",
    "batch_threshold",
    "channels",
    "coefficients",
    "denoised",
    "evaluation_mode",
    "finite",
    "images",
    "integer",
    "levels",
    "memory",
    "number",
    "one_image",
    "one_of",
    "positive",
    "real_array",
    "same_device",
    "sampled",
    "seed",
    "sigma_level",
    "square_shape",
    "warn_of_units",
]

LARGEST_USUAL_SIGMA = 10.0
LARGEST_SEED = 2**128 - 1

Function = Callable[[Tensor, float | Tensor], Tensor]


# numbers


def number(
    value: Any,
    name: str,
    *,
    above: float | None = None,
    least: float | None = None,
    below: float | None = None,
    most: float | None = None,
) -> float:
    """Return a finite real number as a float, if it lies within the bounds that are given.

    Python, NumPy and torch numbers are taken; booleans, complex numbers, strings and arrays of several are not.

    Parameters
    ----------
    value, name
        What was given, and the name of the argument.
    above, below
        Bounds that the number must not meet.
    least, most
        Bounds that it may meet.

    Examples
    --------
    >>> number(np.float32(0.5), "alpha", above=0)
    0.5
    """
    found = _real(value, name)
    low = above if above is not None else least
    high = below if below is not None else most
    good = (
        math.isfinite(found)
        and (above is None or found > above)
        and (least is None or found >= least)
        and (below is None or found < below)
        and (most is None or found <= most)
    )
    if not good:
        if low is not None and high is not None:
            left, right = "(" if above is not None else "[", ")" if below is not None else "]"
            allowed = f"lie in {left}{low:g}, {high:g}{right}"
        elif low is not None:
            allowed = f"be finite and {'above' if above is not None else 'at least'} {low:g}"
        elif high is not None:
            allowed = f"be finite and {'below' if below is not None else 'at most'} {high:g}"
        else:
            allowed = "be finite"
        raise ValueError(f"{name} must {allowed}, got {found:g}")
    return found


def _real(value: Any, name: str) -> float:
    """A real number of any library as a float."""
    if isinstance(value, Tensor | np.ndarray):
        if math.prod(value.shape) != 1:
            raise ValueError(f"{name} must be one number here, got shape {tuple(value.shape)}")
        if isinstance(value, Tensor) and (value.is_meta or value.layout != torch.strided):
            raise TypeError(f"{name} must be a number, got a {'meta' if value.is_meta else 'sparse'} tensor")
        value = value.detach().cpu().item() if isinstance(value, Tensor) else value.reshape(())[()]
    if isinstance(value, bool | np.bool_) or not isinstance(value, numbers.Real):
        raise TypeError(f"{name} must be a number, got {_kind(value)}")
    try:
        return float(value)
    except OverflowError:
        raise ValueError(f"{name} must be a number that fits a float, got one of {len(str(value))} digits") from None


def _kind(value: Any) -> str:
    return type(value).__name__


def positive(value: Any, name: str) -> float:
    """Return `value` as a float if it is a finite number above zero."""
    return number(value, name, above=0)


def integer(value: Any, name: str, low: int, high: int | None = None) -> int:
    """Return `value` as a Python integer if it is one with low <= value <= high; booleans are none."""
    boolean = isinstance(value, bool | np.bool_) or (isinstance(value, Tensor) and value.dtype == torch.bool)
    boolean = boolean or (isinstance(value, np.ndarray) and value.dtype == bool)
    try:
        if boolean or (isinstance(value, Tensor) and (value.is_meta or value.layout != torch.strided)):
            raise TypeError
        found = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be an integer, got {_kind(value)}") from None
    if found < low or (high is not None and found > high):
        allowed = f"at least {low}" if high is None else f"between {low} and {high}"
        shown = found if abs(found) < 10**40 else f"one of {len(str(abs(found)))} digits"
        raise ValueError(f"{name} must be {allowed}, got {shown}")
    return found


def seed(value: Any, name: str = "seed", high: int = LARGEST_SEED) -> int:
    """Return a seed as a Python integer in 0 .. `high`; None is refused, since a result must be found again."""
    if value is None:
        raise TypeError(
            f"{name} must be an integer, got None; the same seed gives the same result, so one must be given"
        )
    return integer(value, name, 0, high)


def memory(needed: int, what: str, hint: str) -> None:
    """Refuse what needs more bytes than the machine has; `what` is a plural noun, `hint` the way on."""
    try:
        there = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # no such figure on this system
        return
    if needed > there:
        raise ValueError(
            f"{what} need {needed / 2**30:,.0f} GiB, and this machine has {there / 2**30:,.0f} GiB; {hint}"
        )


def one_of(value: Any, name: str, allowed: Iterable[str]) -> Any:
    """Return `value` if it is one of the allowed words."""
    allowed = tuple(allowed)
    if not isinstance(value, str) or value not in allowed:
        words = [f'"{word}"' for word in allowed]
        listed = ", ".join(words[:-1]) + (" or " if len(words) > 1 else "") + words[-1]
        shown = repr(value) if len(repr(value)) <= 60 else _kind(value)
        raise ValueError(f"{name} must be {listed}, got {shown}")
    return value


def real_array(value: Any, name: str, ndim: int | tuple[int, ...] | None = None) -> np.ndarray:
    """Return numbers as a finite, non-empty float64 array with an allowed number of axes.

    Sequences, arrays and tensors of real numbers are taken; booleans, complex numbers and objects are not.
    """
    if isinstance(value, Tensor):
        if value.is_meta or value.layout != torch.strided:
            raise TypeError(f"{name} must hold numbers, got a {'meta' if value.is_meta else 'sparse'} tensor")
        array = value.detach().cpu()
        array = (array.double() if array.is_floating_point() else array).numpy()
    else:
        try:
            array = np.asarray(value)
        except (ValueError, TypeError) as error:
            raise TypeError(f"{name} must be an array of numbers, got {_kind(value)} ({error})") from None
    if array.dtype.kind not in "fiu":
        raise TypeError(f"{name} must hold real numbers, got {_kind(value)} of dtype {array.dtype}")
    allowed = (ndim,) if isinstance(ndim, int) else ndim
    if allowed is not None and array.ndim not in allowed:
        axes = " or ".join(str(a) for a in allowed)
        raise ValueError(f"{name} must have {axes} {'axis' if axes == '1' else 'axes'}, got shape {array.shape}")
    if array.size == 0:
        raise ValueError(f"{name} must hold at least one number, got shape {array.shape}")
    array = array.astype(np.float64)
    if not np.isfinite(array).all():
        bad = int((~np.isfinite(array)).sum())
        raise ValueError(f"{name} must be finite, got {bad} of {array.size} values that are NaN or infinite")
    return array


# images and coefficients


def images(x: Tensor, name: str = "images") -> Tensor:
    """Return `x` if it is a finite floating-point batch of shape (batch, channels, height, width)."""
    _dense(x, name, "(batch, channels, height, width)")
    if not x.is_floating_point():
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
    return finite(x, name)


def _dense(x: Tensor, name: str, shape: str) -> None:
    """Refuse what is no tensor with values in memory."""
    if not isinstance(x, Tensor):
        raise TypeError(
            f"{name} must be a torch tensor of shape {shape}, got {_kind(x)}; convert it with torch.as_tensor"
        )
    if x.layout != torch.strided:
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


def _hidden(x: Tensor) -> bool:
    """Whether the values of a tensor cannot be looked at: while torch compiles or exports, or inside `vmap`."""
    return torch.compiler.is_compiling() or torch._C._functorch.is_batchedtensor(x)


def finite(x: Tensor, name: str) -> Tensor:
    """Return `x` if all its values are finite; values that torch hides (`vmap`, `compile`) are not looked at."""
    if _hidden(x):
        return x
    try:
        good = bool(torch.isfinite(x).all())
    except RuntimeError:  # a batched tensor within a gradient
        return x
    if not good:
        bad = int((~torch.isfinite(x)).sum())
        raise ValueError(
            f"{name} must be finite, got {bad} of {x.numel()} values that are NaN or infinite; "
            "find them with torch.isfinite before denoising"
        )
    return x


def coefficients(c: Tensor, count: int | None = None, name: str = "c") -> Tensor:
    """Return `c` if it is a finite floating-point tensor of shape (batch, k); `count` is the k that is asked for."""
    _dense(c, name, "(batch, k)")
    if not c.is_floating_point():
        raise TypeError(f"{name} must be floating point, got {c.dtype}; convert it with {name}.float()")
    if c.ndim != 2 or c.numel() == 0:
        hint = f"{name}[None]" if c.ndim == 1 else f"{name}.flatten(1)"
        raise ValueError(f"{name} must have shape (batch, k), one row for each image, got {tuple(c.shape)}; use {hint}")
    if count is not None and c.shape[1] != count:
        raise ValueError(f"{name} must hold {count} coefficients for each image, got shape {tuple(c.shape)}")
    return finite(c, name)


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
    given = tuple(integer(s, "each of shape", 1) for s in shape) if not isinstance(shape, str) else ()
    if len(given) != 3 or math.prod(given) != dimension:
        raise ValueError(f"shape must be (channels, height, width) with {dimension} pixels in all, got {tuple(shape)}")
    return given


# noise levels and thresholds


def sigma_level(sigma: Any, name: str = "sigma", *, zero: bool = False) -> float:
    """Return one noise level as a float if it is finite and above 0, or with `zero` at least 0."""
    found = _real(sigma, name)
    if not math.isfinite(found) or found < 0 or (found == 0 and not zero):
        raise ValueError(
            f"{name} is the standard deviation of the noise, in units of intensity, and must be finite and "
            f"{'at least' if zero else 'above'} 0, got {found:g}"
        )
    return found


def levels(sigmas: Any, name: str = "sigmas", *, zero: bool = False) -> tuple[float, ...]:
    """Return noise levels as floats, at least one."""
    if isinstance(sigmas, str | bytes) or not (isinstance(sigmas, Iterable) or hasattr(sigmas, "__getitem__")):
        raise TypeError(f"{name} must be a sequence of noise levels such as [0.05, 0.1, 0.2], got {_kind(sigmas)}")
    if isinstance(sigmas, Tensor | np.ndarray) and sigmas.ndim != 1:
        raise ValueError(f"{name} must be a sequence of noise levels, got shape {tuple(sigmas.shape)}")
    found = tuple(sigma_level(s, f"each of {name}", zero=zero) for s in sigmas)
    if not found:
        raise ValueError(f"{name} must hold at least one noise level, got none; give for example [0.05, 0.1, 0.2]")
    return found


def batch_sigma(sigma: float | Tensor, x: Tensor, name: str = "sigma", *, zero: bool = False) -> Tensor:
    """Return noise levels as a tensor that broadcasts over the batch `x`, of its dtype and device.

    Parameters
    ----------
    sigma
        A number, or a tensor of shape (), (1,), (batch,), (batch, 1, ...).
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
        value = torch.as_tensor(real_array(value, name), device=x.device)
    if not isinstance(value, Tensor) or (value.numel() == 1 and value.ndim <= 1 and not _hidden(value)):
        tensor = torch.as_tensor(check(value, name), dtype=torch.float64, device="cpu").to(x.dtype)
        if not torch.compiler.is_compiling():
            _check_cast(tensor, name, check, x.dtype)
        return tensor.to(x.device).reshape([1] * x.ndim)
    if value.is_meta or value.layout != torch.strided or value.is_complex() or value.dtype == torch.bool:
        kind = "meta" if value.is_meta else "sparse" if value.layout != torch.strided else str(value.dtype)
        raise TypeError(f"{name} must be a number or a tensor of real numbers, got a tensor that is {kind}")
    shape = tuple(value.shape)
    column = shape[:1] + (1,) * (x.ndim - 1)
    if shape not in ((), (1,), (len(x),), column) or (value.ndim > 0 and shape[0] not in (1, len(x))):
        raise ValueError(f"{name} must be a number or a tensor of shape (batch,) = ({len(x)},), got shape {shape}")
    same_device(value, x, name)
    tensor = value.to(x.dtype)
    if not _hidden(value):
        finite(value, name)
        for end in (value.min(), value.max()):
            check(end, name)
        _check_cast(tensor, name, check, x.dtype)
    return tensor.reshape([-1] + [1] * (x.ndim - 1))


def _check_cast(tensor: Tensor, name: str, check: Callable[[Any, str], float], dtype: torch.dtype) -> None:
    """Refuse numbers that are good in double precision, but round to 0 or infinity in `dtype`."""
    for end in (tensor.min(), tensor.max()):
        check(end, f"{name}, rounded to {dtype},")


def warn_of_units(sigma: float | Tensor, y: Tensor) -> None:
    """Warn if noise of level `sigma` cannot be in the images `y`: both may be in units of 0 to 255, or neither.

    Levels up to 10 pass, and larger ones where the images really vary as much.
    """
    if _hidden(y) or (isinstance(sigma, Tensor) and _hidden(sigma)):
        return
    largest = float(sigma.max()) if isinstance(sigma, Tensor) else float(sigma)
    if largest > LARGEST_USUAL_SIGMA and float(y.abs().max()) < largest / 4:
        warnings.warn(
            f"sigma is {largest:g}, but no intensity of the images is above {float(y.abs().max()):.3g}: "
            "is sigma in units of 0 to 255? divide it by 255",
            stacklevel=3,
        )


# what users write


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
    if not callable(f):
        raise TypeError(f"{name} must be a denoiser, called as {name}(y, sigma), got {_kind(f)}")
    evaluation_mode(f, name)
    out = f(y, sigma)
    if not isinstance(out, Tensor):
        raise TypeError(
            f"{name} must return a torch tensor, got {_kind(out)}; adapt_arrays makes a denoiser of a function on arrays"
        )
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
    if not _hidden(out):
        with torch.no_grad():
            finite(out.detach(), f"what {name} returned")
    return out


def sampled(
    image_class: Any,
    n: int,
    *,
    seed: int = 0,
    start: int = 0,
    dtype: torch.dtype | None = None,
    name: str = "the image class",
) -> Tensor:
    """Return `image_class.sample(n, seed, start)` if it is what an image class returns: n finite images.

    A `dtype` is handed on if it is given: the class must know it.
    """
    sample = getattr(image_class, "sample", None)
    if not callable(sample):
        raise TypeError(f"{name} must have a method sample(n, seed=0, start=0), got {_kind(image_class)}")
    label = f"{_kind(image_class)}.sample({n})"
    precision = {} if dtype is None else {"dtype": dtype}
    x = images(sample(n, seed=seed, start=start, **precision), f"what {label} returned")
    if len(x) != n:
        raise ValueError(f"{label} must return {n} images, got {len(x)}")
    return x
