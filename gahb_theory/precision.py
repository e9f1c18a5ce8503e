"""Results whose precision does not depend on where they are asked for.

Sums over pixels or coefficients are done in float32 or float64, which half precision cannot hold: its largest
number is 65504. `torch.autocast` would turn products of matrices into half precision: bases, risks and Jacobians are
computed outside it. The fused kernels of attention have a gradient but no gradient of that gradient, which J v needs.
"""

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import ParamSpec, TypeVar

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

__all__ = ["full_precision", "plain_arithmetic", "plain_attention", "wide"]

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
