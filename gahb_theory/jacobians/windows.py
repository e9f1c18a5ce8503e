"""Rows of the Jacobian of a large image for a window of its pixels, and the pixels they depend on.

For a window W of output pixels, the rows J[W, :] are J^T e_i for i in W. They vanish outside the window of the input that
the receptive field of W reaches, so that

    J[W, :] = [0  J[W, R]  0],        R = the pixels reached,

and only J[W, R] is computed and kept: for a network of bounded receptive field its size does not depend on the image. A
window is ((top, bottom), (left, right)) in pixels, the ends excluded, and holds all channels.
"""

from dataclasses import dataclass
from typing import Any

from jaxtyping import Float
from torch import Tensor

from gahb_theory import validate
from gahb_theory.jacobians.batching import window_columns
from gahb_theory.jacobians.engines.autograd import probe_direction
from gahb_theory.jacobians.engines.linear_maps import Window
from gahb_theory.jacobians.engines.windowed_rows import WindowedProducts
from gahb_theory.jacobians.linear_operator import LinearOperator, check_operator
from gahb_theory.memory import check_memory
from gahb_theory.precision import full_precision
from gahb_theory.stored_results import Result

__all__ = ["WindowRows", "checked_window", "receptive_window", "window_pieces", "window_rows"]


MOST = 2**31
"""Pixels along a side of an image, at the most."""


@dataclass(frozen=True, eq=False, repr=False)
class WindowRows(Result):
    """The rows of a Jacobian for a window of output pixels.

    Attributes
    ----------
    window
        The output pixels, ((top, bottom), (left, right)).
    reached
        The input pixels outside which the rows vanish.
    values
        J[window, reached], shape (rows, channels, height, width of `reached`); rows by channel, row, column.
    input_shape
        (channels, height, width) of the image.
    """

    window: Window
    reached: Window
    values: Float[Tensor, "k c h w"]
    input_shape: tuple[int, int, int]

    def matrix(self) -> Float[Tensor, "k d_in"]:
        """The rows on the whole image."""
        (top, bottom), (left, right) = self.reached
        whole = self.values.new_zeros(len(self.values), *self.input_shape)
        whole[:, :, top:bottom, left:right] = self.values
        return whole.flatten(1)

    def block(self) -> Float[Tensor, "k k"]:
        """J[window, window], the part between the pixels of the window; square if f keeps the shape of images."""
        (top, bottom), (left, right) = self.window
        (above, below), (before, behind) = self.reached
        whole = self.values.new_zeros(len(self.values), self.input_shape[0], bottom - top, right - left)
        up, down, a, b = max(top, above), min(bottom, below), max(left, before), min(right, behind)
        whole[:, :, up - top : down - top, a - left : b - left] = self.values[
            :, :, up - above : down - above, a - before : b - before
        ]
        return whole.flatten(1)


def checked_window(window: Any, shape: tuple[int, ...]) -> Window:
    """The window, if it is one of an image of shape (channels, height, width)."""
    try:
        (top, bottom), (left, right) = [[validate.integer(end, "end", 0, MOST) for end in span] for span in window]
    except (TypeError, ValueError):
        raise ValueError(f"a window must be ((top, bottom), (left, right)) in whole pixels, got {window!r}") from None
    if len(shape) != 3:
        raise ValueError(f"a window needs an output that is an image, got one of shape {shape}")
    if not (0 <= top < bottom <= shape[1] and 0 <= left < right <= shape[2]):
        raise ValueError(
            f"a window must lie in the image of {shape[1]} x {shape[2]} pixels and hold some, got {window!r}"
        )
    return (top, bottom), (left, right)


@full_precision
def receptive_window(J: LinearOperator, window: Window) -> Window:
    """The window of the input on which a window of the output depends.

    From the layers where the network was recorded: every pixel outside is without influence by construction. For another
    engine it is measured, as the pixels at which two random combinations of the rows do not vanish.

    Parameters
    ----------
    J
        A Jacobian between images.
    window
        ((top, bottom), (left, right)) in pixels of the output.

    Raises
    ------
    ValueError
        If the window does not lie in the output.

    See Also
    --------
    window_rows

    Examples
    --------
    >>> import torch
    >>> from gahb_theory.jacobians import jacobian
    >>> blur = lambda y, sigma: torch.nn.functional.avg_pool2d(y, 3, stride=1, padding=1)
    >>> receptive_window(jacobian(blur, torch.rand(1, 1, 16, 16), 0.1), ((4, 6), (0, 1)))
    ((3, 7), (0, 2))
    """
    check_operator(J)
    (top, bottom), (left, right) = window = checked_window(window, J.output_shape)
    engine: Any = J._products
    if isinstance(engine, WindowedProducts):
        return engine.reached(window)
    u = J._y.new_zeros(2, *J.output_shape)
    part = u[:, :, top:bottom, left:right]
    part.copy_(probe_direction(part, 3))
    pulled = J.rmatvec(u.flatten(1).mT).mT.reshape(2, *J.input_shape).abs().amax(dim=(0, 1))
    rows, columns = (pulled.amax(dim=1 - axis).nonzero().flatten() for axis in (0, 1))
    if len(rows) == 0:
        return (0, 0), (0, 0)
    return (int(rows[0]), int(rows[-1]) + 1), (int(columns[0]), int(columns[-1]) + 1)


@full_precision
def window_rows(J: LinearOperator, window: Window, *, limit: float | None = None) -> WindowRows:
    """The rows of J for a window of output pixels, exactly, on the pixels of the input that they reach.

    Parameters
    ----------
    J
        A Jacobian between images.
    window
        ((top, bottom), (left, right)) in pixels of the output; all channels.
    limit
        Bytes that the rows may take; the memory of the machine if None.

    Raises
    ------
    ValueError
        If the window does not lie in the output, or if its rows need more than the limit: `window_pieces` divides
        it.

    See Also
    --------
    window_pieces, receptive_window, gahb_theory.jacobians.local_eigenbasis

    Examples
    --------
    >>> import torch
    >>> from gahb_theory.jacobians import jacobian
    >>> blur = lambda y, sigma: torch.nn.functional.avg_pool2d(y, 3, stride=1, padding=1)
    >>> R = window_rows(jacobian(blur, torch.rand(1, 1, 64, 64), 0.1), ((30, 32), (30, 32)))
    >>> R.values.shape, R.reached
    (torch.Size([4, 1, 4, 4]), ((29, 33), (29, 33)))
    """
    check_operator(J)
    window = checked_window(window, J.output_shape)
    reached = _reached(J, window)
    indices = window_columns(window, J.output_shape, J.device)  # type: ignore[arg-type]
    check_memory(
        len(indices) * _row_bytes(J, reached),
        "the rows of the window",
        "take window_pieces(J, window, limit=...)",
        limit=limit,
    )
    (top, bottom), (left, right) = reached

    def fill() -> Tensor:
        values = J._y.new_zeros(len(indices), J.input_shape[0], bottom - top, right - left)
        for positions, part, ((above, below), (before, behind)) in J._blocks(indices):  # blocks may reach further
            up, down, a, b = max(top, above), min(bottom, below), max(left, before), min(right, behind)
            values[positions, :, up - top : down - top, a - left : b - left] = part[
                :, :, up - above : down - above, a - before : b - before
            ]
        return values

    rows = J.rows(indices).reshape(-1, *J.input_shape) if J._products is None else J._halving(fill)
    return WindowRows(window, reached, rows, J.input_shape)


def window_pieces(J: LinearOperator, window: Window, *, limit: float) -> tuple[Window, ...]:
    """The window in parts whose rows take at most `limit` bytes each, from its top to its bottom.

    The rows of one part can be saved before those of the next are computed.

    Parameters
    ----------
    J, window
        As in `window_rows`.
    limit
        Bytes that the rows of one part may take.

    Raises
    ------
    ValueError
        If the rows of one pixel need more than the limit.

    Examples
    --------
    >>> import torch
    >>> from gahb_theory.jacobians import jacobian
    >>> J = jacobian(lambda y, sigma: y.square(), torch.rand(1, 1, 8, 8), 0.1)
    >>> window_pieces(J, ((0, 2), (0, 4)), limit=64.0)
    (((0, 1), (0, 4)), ((1, 2), (0, 4)))
    """
    check_operator(J)
    parts, stack = [], [checked_window(window, J.output_shape)]
    while stack:
        (top, bottom), (left, right) = part = stack.pop()
        count = J.output_shape[0] * (bottom - top) * (right - left)
        needed = count * _row_bytes(J, _reached(J, part))
        if needed <= validate.positive(limit, "limit"):
            parts.append(part)
        elif bottom - top > 1:
            middle = (top + bottom) // 2
            stack += [((middle, bottom), (left, right)), ((top, middle), (left, right))]
        elif right - left > 1:
            middle = (left + right) // 2
            stack += [((top, bottom), (middle, right)), ((top, bottom), (left, middle))]
        else:
            check_memory(needed, "the rows of one pixel", "allow more", limit=limit)
    return tuple(parts)


def _reached(J: LinearOperator, window: Window) -> Window:
    """The pixels outside which the rows vanish by construction."""
    engine: Any = J._products
    if isinstance(engine, WindowedProducts):
        return engine.reached(window)
    return (0, J.input_shape[1]), (0, J.input_shape[2])


def _row_bytes(J: LinearOperator, reached: Window) -> int:
    (top, bottom), (left, right) = reached
    return J.input_shape[0] * (bottom - top) * (right - left) * J._y.element_size()
