"""What functions do with their arguments first: NumPy arrays become tensors, and no autocast is left on.

Sums over pixels or coefficients are done in float32 or float64, which half precision cannot hold: its largest
number is 65504. `torch.autocast` would turn products of matrices into half precision: bases, risks and Jacobians are
computed outside it. The fused kernels of attention have a gradient but no gradient of that gradient, which J v needs.
"""

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any, ParamSpec, TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

__all__ = ["as_tensor", "full_precision", "plain_arithmetic", "plain_attention", "takes_arrays", "wide"]

P = ParamSpec("P")
R = TypeVar("R")


def wide(x: Tensor) -> Tensor:
    """Return `x` in float32 if it is in half precision, else as it is.

    Examples
    --------
    >>> wide(torch.ones(1, dtype=torch.float16)).dtype, wide(torch.ones(1, dtype=torch.float64)).dtype
    (torch.float32, torch.float64)
    """
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def takes_arrays(function: Callable[P, R]) -> Callable[P, R]:
    """The function, which also takes NumPy arrays of images, coefficients or matrices: they become tensors, once.

    Examples
    --------
    >>> takes_arrays(torch.sum)(np.ones((2, 3)))
    tensor(6., dtype=torch.float64)
    """

    @functools.wraps(function)
    def inner(*args: P.args, **kwargs: P.kwargs) -> R:
        if any(isinstance(value, np.ndarray) for value in (*args, *kwargs.values())):
            converted: Any = [as_tensor(value) for value in args]
            named: Any = {name: as_tensor(value) for name, value in kwargs.items()}
            return function(*converted, **named)
        return function(*args, **kwargs)

    return inner


def as_tensor(value: Any) -> Any:
    """Return an array of at least two axes as a tensor with its own values, and anything else as it is."""
    if not isinstance(value, np.ndarray) or value.ndim < 2 or value.dtype.kind not in "biuf" or value.itemsize > 8:
        return value
    return torch.from_numpy(np.array(value, dtype=value.dtype.newbyteorder("="), order="C"))


@contextlib.contextmanager
def plain_arithmetic() -> Iterator[None]:
    """No autocast inside; f may still switch it on for itself."""
    with contextlib.ExitStack() as stack:
        for kind in ("cpu", "cuda", "mps"):
            if torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind):
                stack.enter_context(torch.autocast(kind, enabled=False))
        yield


def full_precision(function: Callable[P, R]) -> Callable[P, R]:
    """The function with `plain_arithmetic` around each call."""

    @functools.wraps(function)
    def inner(*args: P.args, **kwargs: P.kwargs) -> R:
        if not any(torch.is_autocast_enabled(kind) for kind in ("cpu", "cuda", "mps")):
            return function(*args, **kwargs)
        with plain_arithmetic():
            return function(*args, **kwargs)

    return inner


def plain_attention() -> contextlib.AbstractContextManager[None]:
    """Attention by matrix products and a softmax, as it is defined, which torch differentiates as often as asked."""
    return sdpa_kernel(SDPBackend.MATH)
