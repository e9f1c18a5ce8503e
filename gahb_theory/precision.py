"""Results whose precision does not depend on where they are asked for.

Sums over pixels or coefficients are done in float32 or float64, as half precision has no room for them: its largest
number is 65504. Inside `torch.autocast` products of matrices would be rounded to half precision; the transforms of bases
and the risks are computed outside it.
"""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import torch
from torch import Tensor

__all__ = ["wide", "without_autocast"]

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


def without_autocast(function: Callable[P, R]) -> Callable[P, R]:
    """Return `function`, computed in the types of its arguments also inside `torch.autocast`."""

    @wraps(function)
    def exact(*args: P.args, **kwargs: P.kwargs) -> R:
        kinds = {part.device.type for part in (*args, *kwargs.values()) if isinstance(part, Tensor)}
        for kind in kinds:
            if torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind):
                with torch.autocast(kind, enabled=False):
                    return function(*args, **kwargs)
        return function(*args, **kwargs)

    return exact
