"""Numbers, integers, seeds, words and arrays of a user, of whatever library they come from.

Each function returns what it converts; `gahb_theory.validate` offers them with those for images and noise levels.
"""

import inspect
import math
import numbers
import operator
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

__all__ = [
    "LARGEST_SEED",
    "explain_call",
    "flag",
    "function",
    "hidden",
    "integer",
    "integers",
    "kind_of",
    "number",
    "odd",
    "one_of",
    "opaque",
    "path",
    "positive",
    "real",
    "real_array",
    "seed",
]

LARGEST_SEED = 2**128 - 1


def number(
    value: Any,
    name: str,
    *,
    above: float | int | None = None,
    least: float | int | None = None,
    below: float | int | None = None,
    most: float | int | None = None,
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
    result = real(value, name)
    low = above if above is not None else least
    high = below if below is not None else most
    good = (
        math.isfinite(result)
        and (above is None or result > above)
        and (least is None or result >= least)
        and (below is None or result < below)
        and (most is None or result <= most)
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
        raise ValueError(f"{name} must {allowed}, got {result:g}")
    return result


def real(value: Any, name: str) -> float:
    """A real number of any library as a float."""
    if isinstance(value, Tensor) and ((why := opaque(value)) or hidden(value)):
        raise TypeError(f"{name} must be a number, got a {why or 'vmapped'} tensor")
    if isinstance(value, (Tensor, np.ndarray)):
        if math.prod(value.shape) != 1:
            raise ValueError(f"{name} must be one number here, got shape {tuple(value.shape)}")
        value = value.detach().item() if isinstance(value, Tensor) else value.reshape(())[()]
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, numbers.Real):
        raise TypeError(f"{name} must be a number, got {kind_of(value)}")
    try:
        return float(value)
    except OverflowError:
        raise ValueError(f"{name} must be a number below 1.8e308 in size, got a larger one") from None


def kind_of(value: Any) -> str:
    """The type of a value, and the value itself where it is short."""
    name = type(value).__name__
    if isinstance(value, (Tensor, np.ndarray)):
        return f"{name} of shape {tuple(value.shape)} and dtype {value.dtype}"
    if isinstance(value, str | bytes | bool | int | float | complex | np.generic):
        text = repr(value) if isinstance(value, str | bytes) else str(value) if not _huge(value) else "of many digits"
        return f"{name} {text}" if len(text) <= 60 else name
    return name


def _huge(value: Any) -> bool:
    return isinstance(value, int) and value.bit_length() > 200


def opaque(value: Tensor) -> str | None:
    """What keeps the values of a tensor from being read as real numbers, in one word, or None."""
    if value.is_nested:
        return "nested"
    if value.is_meta:
        return "meta"
    if value.layout != torch.strided:
        return "sparse"
    if value.is_quantized:
        return "quantized"
    if value.is_complex():
        return "complex"
    return "boolean" if value.dtype == torch.bool else None


def positive(value: Any, name: str) -> float:
    """Return `value` as a float if it is a finite number above zero."""
    return number(value, name, above=0)


def integer(value: Any, name: str, low: int, high: int | None = None) -> int:
    """Return `value` as a Python integer if it is one with low <= value <= high; booleans are none."""
    try:
        if isinstance(value, bool | np.bool_) or (isinstance(value, np.ndarray) and value.dtype == bool):
            raise TypeError
        if isinstance(value, Tensor) and (opaque(value) or hidden(value) or value.is_floating_point()):
            raise TypeError
        result = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be an integer, got {kind_of(value)}") from None
    if result < low or (high is not None and result > high):
        allowed = f"at least {low}" if high is None else f"between {low} and {high}"
        raise ValueError(f"{name} must be {allowed}, got {'one of many digits' if _huge(result) else result}")
    return result


def odd(value: Any, name: str) -> int:
    """Return a side that has a middle: an odd integer, at least 1."""
    result = integer(value, name, 1)
    if result % 2 == 0:
        raise ValueError(f"{name} must be odd, so that it has a middle, got {result}; take {result + 1}")
    return result


def seed(value: Any, name: str = "seed", high: int = LARGEST_SEED) -> int:
    """Return a seed as a Python integer in 0 .. `high`; None is refused, since a result must be found again."""
    if value is None:
        raise TypeError(
            f"{name} must be an integer, got None; the same seed gives the same result, so one must be given"
        )
    return integer(value, name, 0, high)


def path(value: Any, name: str) -> Path:
    """Return a path of the file system with "~" expanded to the home directory."""
    text = os.fspath(value) if isinstance(value, str | os.PathLike) else None
    if not isinstance(text, str):
        raise TypeError(f"{name} must be a string or a pathlib.Path, got {kind_of(value)}")
    if not text or "\0" in text:
        raise ValueError(f"{name} must be a path without null characters, got {text[:60]!r}")
    try:
        return Path(text).expanduser()
    except RuntimeError as error:  # no such user
        raise ValueError(f"{name} must be a path, got {text!r}: {error}") from None


def one_of(value: Any, name: str, allowed: Iterable[str]) -> Any:
    """Return `value` if it is one of the allowed words."""
    allowed = tuple(allowed)
    if not isinstance(value, str) or value not in allowed:
        words = [f'"{word}"' for word in allowed]
        listed = ", ".join(words[:-1]) + (" or " if len(words) > 1 else "") + words[-1]
        shown = repr(value) if isinstance(value, str) and len(value) <= 60 else kind_of(value)
        raise ValueError(f"{name} must be {listed}, got {shown}")
    return value


def flag(value: Any, name: str) -> bool:
    """Return True or False if `value` is one of them."""
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} must be True or False, got {kind_of(value)}")
    return bool(value)


def integers(value: Any, name: str, low: int) -> tuple[int, ...]:
    """Return a sequence of at least one integer, none below `low`."""
    items = value.tolist() if isinstance(value, np.ndarray) else value
    if not isinstance(items, list | tuple | range):
        raise TypeError(f"{name} must be a sequence of integers such as (3, 5, 7), got {kind_of(value)}")
    if not items:
        raise ValueError(f"{name} must hold at least one integer, got none; give for example (3, 5, 7)")
    return tuple(integer(item, f"each of {name}", low) for item in items)


def function(value: Any, name: str, example: str) -> Any:
    """Return `value` if it can be called; `example` is how."""
    if not callable(value):
        raise TypeError(f"{name} must be callable, got {kind_of(value)}; it is called as {example}")
    return value


def explain_call(f: Any, y: Tensor, sigma: Any, name: str, error: Exception) -> None:
    """Say what is wrong where f(y, sigma) raised `error`: no place for sigma, sigma as a tensor, or weights of another type.

    Torch speaks of arguments and of Float and Double; what is neither is the user's own, and is left as it is.
    """
    if isinstance(error, TypeError | AttributeError) and isinstance(sigma, float) and "'float' object" in str(error):
        raise TypeError(
            f"{name} may want sigma as a tensor, and is called with a number ({error}); begin it with "
            "sigma = torch.as_tensor(sigma).expand(len(y)), which takes both"
        ) from error
    if isinstance(error, AttributeError):
        return
    if isinstance(error, TypeError):
        try:
            call = inspect.signature(f.forward if isinstance(f, torch.nn.Module) else f)
            call.bind(y)
        except (TypeError, ValueError):
            return
        try:
            call.bind(y, sigma)
        except TypeError:
            raise TypeError(
                f"{name} takes no sigma, and denoisers are called as {name}(y, sigma); gt.adapt({name}) makes it one"
            ) from error
        return
    weights = {p.dtype for p in f.parameters() if p.is_floating_point()} if isinstance(f, torch.nn.Module) else set()
    if weights and y.dtype not in weights:
        given = " and ".join(sorted(map(str, weights)))
        raise TypeError(
            f"{name} holds {given}, but the images are {y.dtype}; convert them with .to({given.split()[0]}), or {name} with "
            f".to({y.dtype})"
        ) from error


def real_array(value: Any, name: str, ndim: int | tuple[int, ...] | None = None) -> np.ndarray:
    """Return numbers as a finite, non-empty float64 array with an allowed number of axes.

    Sequences, arrays and tensors of real numbers are taken; booleans, complex numbers and objects are not.
    """
    array: np.ndarray
    if isinstance(value, Tensor):
        if (why := opaque(value)) or hidden(value):
            raise TypeError(f"{name} must hold real numbers, got a {why or 'vmapped'} tensor")
        tensor = value.detach().cpu()
        array = (tensor.double() if tensor.is_floating_point() else tensor).numpy()
    else:
        try:
            array = np.asarray(value)
        except (ValueError, TypeError, RuntimeError):  # rows of several lengths, tensors with gradients
            raise TypeError(f"{name} must be an array of numbers, got {kind_of(value)} that is none") from None
    if array.dtype.kind not in "fiu":
        raise TypeError(f"{name} must hold real numbers, got {kind_of(value)} of dtype {array.dtype}")
    allowed = (ndim,) if isinstance(ndim, int) else ndim
    if allowed is not None and array.ndim not in allowed:
        axes = " or ".join(str(a) for a in allowed)
        raise ValueError(f"{name} must have {axes} {'axis' if axes == '1' else 'axes'}, got shape {array.shape}")
    if array.size == 0:
        raise ValueError(f"{name} must hold at least one number, got shape {array.shape}")
    with np.errstate(over="ignore"):
        array = array.astype(np.float64)
    if not np.isfinite(array).all():
        bad = int((~np.isfinite(array)).sum())
        raise ValueError(f"{name} must be finite, got {bad} of {array.size} values that are NaN or infinite")
    return array


def hidden(x: Tensor) -> bool:
    """Whether the values of a tensor cannot be looked at: while torch compiles or exports, or inside `vmap`."""
    if torch.compiler.is_compiling():
        return True
    while torch._C._functorch.is_functorch_wrapped_tensor(x):
        if torch._C._functorch.is_batchedtensor(x):
            return True
        x = torch._C._functorch.get_unwrapped(x)
    return False
