"""The settings of torch under which Jacobians are computed, whatever those of the caller.

`torch.autocast` would turn products into half precision, and the fused kernels of attention have a gradient but no
gradient of that gradient, which J v needs.
"""

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import ParamSpec, TypeVar

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

__all__ = ["full_precision", "plain_arithmetic", "plain_attention"]

P = ParamSpec("P")
R = TypeVar("R")


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
        with plain_arithmetic():
            return function(*args, **kwargs)

    return inner


def plain_attention() -> contextlib.AbstractContextManager[None]:
    """Attention by matrix products and a softmax, as it is defined, which torch differentiates as often as asked."""
    return sdpa_kernel(SDPBackend.MATH)
